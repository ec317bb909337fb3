// audit verify

import { createHash, createPublicKey } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { verifyAudit, type AuditReport } from '../monitoring/audit-verify.js';
import { readConfig, type GlobalOptions } from './config.js';
import { CommandError, NO, OK } from './exits.js';
import { keysDirOf } from './identity.js';
import { exists, ownKey, peerKey } from './key-directory.js';
import type { Add, Surroundings } from './runner.js';
import { oneLine } from './text.js';

interface VerifyOptions extends GlobalOptions {
  key?: string;
}

export const addAudit: Add = (program, runner) => {
  const audit = program
    .command('audit')
    .description('audit logs: whether they are as they were written');
  audit
    .command('verify <file>')
    .description('verifies an audit log and its rotated files by its chain and its signatures')
    .option(
      '--key <file>',
      "the service's public key in PEM; without it, that of the key directory",
    )
    .action(runner<[string]>(verify));
};

async function verify(surroundings: Surroundings<VerifyOptions>, file: string): Promise<number> {
  const { output } = surroundings;
  const files = [...rotated(file), file];
  if (!existsSync(file)) {
    throw new CommandError(
      `${file} is not there`,
      'Name the audit log, such as mesh-audit.log in paths.logsDir.',
    );
  }
  const report = await verifyAudit(files, Date.now());
  const { faults, notices, thumbprint, service } = report;
  const distrust = thumbprint === undefined ? undefined : await doubt(surroundings, report);
  const ok = faults.length === 0 && distrust === undefined;
  output.document({ v: 1, ok, files, ...report, trusted: distrust === undefined && ok });
  for (const { file: of, line, text } of faults) {
    output.line(`${output.paint('red', 'fault')}: ${oneLine(of)}:${line}: ${oneLine(text)}`);
  }
  if (distrust !== undefined) output.line(`${output.paint('red', 'fault')}: ${distrust}`);
  for (const notice of notices) output.line(`notice: ${oneLine(notice)}`);
  if (ok) {
    const { first, last, checkpoints } = report;
    output.line(
      `${output.paint('green', 'ok')}: entries ${first} to ${last}, ${checkpoints} checkpoints, signed by ` +
        `${oneLine(String(service))} with ${thumbprint}`,
    );
  }
  return ok ? OK : NO;
}

/** The rotated files of a log, the oldest first. */
function rotated(file: string): string[] {
  const files: string[] = [];
  for (let number = 1; existsSync(`${file}.${number}`); number += 1)
    files.unshift(`${file}.${number}`);
  return files;
}

/** The reason why the key of the last checkpoint counts for nothing, if there is one. */
async function doubt(
  { options }: Surroundings<VerifyOptions>,
  { service = '', thumbprint }: AuditReport,
): Promise<string | undefined> {
  if (options.key !== undefined) {
    const given = thumbprintOf(options.key);
    return given === thumbprint
      ? undefined
      : `the log is signed with the key ${thumbprint}, and ${options.key} is ${given}`;
  }
  const directory = keysDirOf(await readConfig(options), options);
  const known = exists(directory)
    ? (ownKey(directory, service) ?? peerKey(directory, service))
    : undefined;
  if (known?.thumbprint === thumbprint) return undefined;
  const found =
    known === undefined
      ? `${directory} has no key of ${oneLine(service)}`
      : `${directory} has ${known.thumbprint} as the key of ${oneLine(service)}`;
  return `the log is signed with the key ${thumbprint}, and ${found}: name its public key with --key`;
}

function thumbprintOf(file: string): string {
  try {
    const { e, n, kty } = createPublicKey(readFileSync(file)).export({ format: 'jwk' });
    return createHash('sha256').update(JSON.stringify({ e, kty, n })).digest('base64url');
  } catch (error) {
    throw new CommandError(
      `${file} is no public key: ${(error as Error).message}`,
      'Give the public key of the service in PEM, as mesh.publicKey() returns it.',
    );
  }
}
