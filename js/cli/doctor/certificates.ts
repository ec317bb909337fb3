// The dates of the configured certificates.

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Config } from '../config.js';
import { repairFor } from '../repairs.js';
import { bad, ok, type Finding, type Patient } from './finding.js';

const CHECK = 'certificate';

/** The variables beside the options. */
const VARIABLES = { cert: 'SECURE_MESH_CERT', ca: 'SECURE_MESH_CA' } as const;

export function checkCertificates({ config }: Patient): Finding[] {
  return (['cert', 'ca'] as const).flatMap((option) => checkOption(option, config));
}

function checkOption(option: 'cert' | 'ca', config: Config): Finding[] {
  const given = config.security?.certificate?.[option] ?? process.env[VARIABLES[option]];
  if (given === undefined || given === '') return [];
  const path = `security.certificate.${option}`;
  try {
    const isPem = given.includes('-----BEGIN');
    const text = isPem ? given.replaceAll('\\n', '\n') : readFileSync(given, 'utf8');
    const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
    if (blocks.length === 0) throw new Error('it holds no certificate');
    return blocks.map((block) => checkDates(path, new X509Certificate(block)));
  } catch (error) {
    const fault = `${path} cannot be read: ${(error as Error).message}`;
    const finding = bad('fail', CHECK, path, fault, repairFor('CERT_MATERIAL'));
    return [{ ...finding, reason: 'CERT_MATERIAL' }];
  }
}

function checkDates(path: string, certificate: X509Certificate, now = Date.now()): Finding {
  const { subject, validFrom, validTo, serialNumber } = certificate;
  const from = Date.parse(validFrom);
  const to = Date.parse(validTo);
  const name = subject.replaceAll('\n', ', ') || `serial ${serialNumber}`;
  const details = { subject: name, serial: serialNumber, notBefore: from, notAfter: to };
  const until = new Date(to).toISOString();
  if (now > to || now < from) {
    const text =
      now > to
        ? `${path}: ${name} has expired, on ${until}`
        : `${path}: ${name} is not valid before ${new Date(from).toISOString()}`;
    return {
      ...bad('fail', CHECK, path, text, repairFor('CERT_EXPIRED'), details),
      reason: 'CERT_EXPIRED',
    };
  }
  if (to - now < (to - from) / 3) {
    const text = `${path}: ${name} ends on ${until}; less than a third of its time is left`;
    return bad('warn', CHECK, path, text, 'Renew it, or look why it is not renewed.', details);
  }
  return ok(CHECK, path, `${path}: ${name} is valid until ${until}`, details);
}
