// doctor

import { readConfig, type GlobalOptions } from '../config.js';
import { NO, OK } from '../exits.js';
import type { Output } from '../output.js';
import type { Add, Surroundings } from '../runner.js';
import { printable } from '../text.js';
import { checkCertificates } from './certificates.js';
import { checkConfiguration, checkIdentity, checkPort } from './configuration.js';
import { skipped, type Finding, type Patient, type Status } from './finding.js';
import { checkKeyDirectory } from './keys.js';
import { checkDescriptors, checkNode, checkPlatform } from './machine.js';
import { checkNames, checkPeer, checkSources, instancesOf } from './peers.js';

/** The number of peers that are checked at the same time. */
const TOGETHER = 8;

export const addDoctor: Add = (program, runner) => {
  program
    .command('doctor')
    .description('checks this machine, the configuration and every configured peer')
    .action(runner<[]>(doctor));
};

async function doctor({ options, output }: Surroundings): Promise<number> {
  const config = await readConfig(options);
  const environment = Object.keys(process.env).some(
    (name) => name.startsWith('SECURE_MESH_') && name !== 'SECURE_MESH_KEYS_DIR',
  );
  const configured = options.config !== undefined || environment;
  const findings = await examine({ config, options, configured }, output);
  report(findings, options, output);
  return findings.some(({ status }) => status === 'fail') ? NO : OK;
}

/** Runs the checks in order: a fault of one can hide the faults of the next. */
async function examine(patient: Patient, output: Output): Promise<Finding[]> {
  const descriptors = checkDescriptors();
  const platform = checkPlatform(descriptors);
  const findings: Finding[] = [checkNode(), descriptors, platform];
  findings.push(...checkCertificates(patient));
  const instances = instancesOf(patient);
  output.progress(`looking up ${instances.length} instances of services`);
  const names = await checkNames(instances);
  if (platform.status !== 'ok') return [...findings, ...names.findings];
  findings.push(...checkKeyDirectory(patient));
  const configuration = checkConfiguration(patient);
  findings.push(...configuration, ...names.findings, ...checkSources(patient));
  const hopeless = configuration.some(({ status }) => status === 'fail');
  if (hopeless) {
    const text = 'nobody is called before the configuration is valid';
    return [...findings, skipped('peer', '', text)];
  }
  if (!patient.configured) return findings;
  const identity = await checkIdentity(patient);
  findings.push(identity, ...(await checkPort(patient)));
  for (let at = 0; at < instances.length; at += TOGETHER) {
    output.progress(`asking the instances ${at + 1} and following of ${instances.length}`);
    const some = instances.slice(at, at + TOGETHER);
    const found = await Promise.all(
      some.map((instance) => checkPeer(instance, names.unknown, patient)),
    );
    findings.push(...found.flat());
  }
  return findings;
}

const WORDS: Readonly<Record<Status, [string, 'green' | 'yellow' | 'red' | 'grey']>> = {
  ok: ['ok  ', 'green'],
  warn: ['warn', 'yellow'],
  fail: ['FAIL', 'red'],
  skip: ['-   ', 'grey'],
};

function report(findings: readonly Finding[], options: GlobalOptions, output: Output): void {
  const count = (wanted: Status): number =>
    findings.filter(({ status }) => status === wanted).length;
  const counts = { ok: count('ok'), warn: count('warn'), fail: count('fail'), skip: count('skip') };
  output.document({
    v: 1,
    ok: counts.fail === 0,
    at: Date.now(),
    config: options.config ?? null,
    counts,
    findings,
  });
  for (const { check, status, text, repair, reason } of findings) {
    const [word, colour] = WORDS[status];
    const [first = '', ...rest] = printable(text).split('\n');
    output.line(`${output.paint(colour, word)}  ${check.padEnd(13)}  ${first}`);
    for (const line of rest) output.line(`${' '.repeat(21)}${line}`);
    if (repair !== undefined && repair !== '') {
      const known = reason === undefined ? '' : ` (${reason})`;
      output.line(
        `${' '.repeat(21)}${output.paint('bold', 'repair')}: ${printable(repair)}${known}`,
      );
    }
  }
  const { fail, warn } = counts;
  output.line(
    fail + warn === 0
      ? 'All is well.'
      : `${fail} to repair, ${warn} to look at, ${counts.ok} fine.`,
  );
}
