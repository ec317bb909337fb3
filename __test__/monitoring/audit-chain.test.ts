// The chain of the audit log: each change of a byte, each line that is missing, moved, repeated or cut off is found.
import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { FileAdapter, SecureMesh } from '../../js/index.js';
import { verifyAudit, type AuditReport } from '../../js/monitoring/audit-verify.js';
import { event } from '../support/audit.js';
import { command, scratch } from '../support/command.js';
import { config, keysDir } from '../support/meshes.js';
import { run } from '../support/processes.js';

const MINUTE = 60_000;

/** The audit log of a service that ran and ended, and its public key. */
async function written(folder: string, entries = 3): Promise<{ file: string; key: string }> {
  const file = join(folder, 'mesh-audit.log');
  const adapter = new FileAdapter(file, undefined, { chain: true });
  const mesh = new SecureMesh(
    config('orders', { port: 0, monitoring: { enabled: true, adapters: [adapter] } }),
  );
  await mesh.initialize();
  for (let number = 0; number < entries; number += 1) {
    await adapter.logEvent(event({ id: `e${number}` }));
  }
  const key = join(folder, 'orders.pem');
  writeFileSync(key, mesh.publicKey());
  await mesh.cleanup();
  return { file, key };
}

let folder: string;
let log: Buffer;
let thumbprint: string | undefined;
beforeAll(async () => {
  folder = execFileSync('mktemp', ['-d'], { encoding: 'utf8' }).trim();
  const { file } = await written(folder);
  log = readFileSync(file);
  ({ thumbprint } = await verifyAudit([file], Date.now()));
});

/** Verifies a changed log. */
async function verdict(bytes: Buffer | string, later = 0): Promise<AuditReport> {
  const file = join(folder, 'changed.log');
  writeFileSync(file, bytes);
  return verifyAudit([file], Date.now() + later);
}

const found = ({ faults }: AuditReport): string => faults.map(({ text }) => text).join('; ');
const linesOf = (bytes: Buffer): string[] => bytes.toString().trimEnd().split('\n');
const joined = (lines: string[]): string => `${lines.join('\n')}\n`;

it('finds nothing in a log that is as it was written', async () => {
  const report = await verdict(log, 24 * 60 * MINUTE);
  expect(report).toMatchObject({
    faults: [],
    notices: [],
    first: 1,
    ended: true,
    service: 'orders',
  });
  expect(report.entries).toBe(linesOf(log).length);
  expect(report.signedTo).toBe(report.last);
  expect(report.thumbprint).toMatch(/^[\w-]{43}$/);
  for (const line of linesOf(log)) expect(Object.keys(JSON.parse(line))[0]).toBe('id');
});

it('finds each byte that is another one', async () => {
  const missed: string[] = [];
  for (let at = 0; at < log.length; at += 1) {
    const changed = Buffer.from(log);
    changed[at]! ^= 1 << (at % 8);
    const report = await verdict(changed);
    // A log with another key is another log; the key is compared with the service's own.
    if (report.faults.length === 0 && report.thumbprint === thumbprint) {
      missed.push(
        `${at}: ${JSON.stringify(changed.subarray(at - 20, at + 20).toString('latin1'))}`,
      );
    }
  }
  expect(missed).toEqual([]);
}, 120_000);

it('finds each line that is missing, repeated or moved', async () => {
  const lines = linesOf(log);
  for (let at = 0; at < lines.length; at += 1) {
    const without = lines.toSpliced(at, 1);
    expect((await verdict(joined(without), 5 * MINUTE)).faults, `without ${at}`).not.toEqual([]);
    const twice = lines.toSpliced(at, 0, lines[at]!);
    expect((await verdict(joined(twice), 5 * MINUTE)).faults, `twice ${at}`).not.toEqual([]);
    if (at === 0) continue;
    const moved = lines.toSpliced(at - 1, 2, lines[at]!, lines[at - 1]!);
    expect((await verdict(joined(moved), 5 * MINUTE)).faults, `moved ${at}`).not.toEqual([]);
  }
  expect(found(await verdict(joined(lines.toSpliced(2, 1))))).toContain('entry 3 is missing');
  expect(found(await verdict(joined(lines.slice(1))))).toContain('what came before is missing');
});

it('finds an end that was cut off, at each byte', async () => {
  const { length } = log;
  for (let end = 0; end < length; end += 1) {
    const report = await verdict(log.subarray(0, end), 5 * MINUTE);
    expect(report.faults, `cut at ${end}`).not.toEqual([]);
  }
  const open = joined(linesOf(log).slice(0, -1));
  expect(found(await verdict(open, 5 * MINUTE))).toContain('without the checkpoint of an end');
  // A process that runs signs within a minute.
  expect(await verdict(open)).toMatchObject({ faults: [], ended: false });
}, 60_000);

it('finds a log that was written anew without the key', async () => {
  const forged = join(scratch(), 'forged.log');
  const adapter = new FileAdapter(forged, undefined, { chain: true });
  await adapter.logEvent(event());
  await adapter.close();
  expect(found(await verifyAudit([forged], Date.now()))).toContain('no checkpoint is signed');
});

it('continues over a restart, a torn line and rotated files', async () => {
  const directory = scratch();
  const { file } = await written(directory);
  appendFileSync(file, '{"id":"torn');
  await written(directory);
  const report = await verifyAudit([file], Date.now());
  expect(report.faults).toEqual([]);
  expect(report.notices).toEqual([expect.stringContaining('the process ended while it wrote it')]);

  const small = join(directory, 'small.log');
  const adapter = new FileAdapter(small, undefined, { chain: true, maxBytes: 4_096, maxFiles: 2 });
  const mesh = new SecureMesh(
    config('orders', { monitoring: { enabled: true, adapters: [adapter] } }),
  );
  await mesh.initialize();
  for (let number = 0; number < 60; number += 1) await adapter.logEvent(event());
  await mesh.cleanup();
  expect(existsSync(`${small}.2`)).toBe(true);
  const files = [`${small}.2`, `${small}.1`, small];
  const all = await verifyAudit(files, Date.now());
  expect(all.faults).toEqual([]);
  expect(all.notices).toEqual([expect.stringContaining('earlier files are not here')]);
  expect(found(await verifyAudit([files[0]!, files[2]!], Date.now()))).toContain('are missing');
}, 30_000);

it('is verified by a command, which trusts the key of the directory or the one that is named', async () => {
  const directory = scratch();
  const { file, key } = await written(directory);
  const verify = (...args: string[]) => command(['audit', 'verify', file, ...args]);
  const trusted = await verify('--keys-dir', keysDir);
  expect(trusted).toMatchObject({ code: 0, stderr: '' });
  expect(trusted.stdout).toMatch(/^ok: entries 1 to \d+, \d+ checkpoints, signed by orders with /);
  expect((await verify('--key', key)).code).toBe(0);
  const stranger = await verify();
  expect(stranger.code).toBe(1);
  expect(stranger.stdout).toContain('has no key of orders: name its public key with --key');
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, text.replace('"e1"', '"e9"'));
  const changed = await verify('--key', key, '--json');
  expect(changed.code).toBe(1);
  expect(JSON.parse(changed.stdout)).toMatchObject({
    v: 1,
    ok: false,
    faults: [{ file, text: expect.stringContaining('is not the one that was written') }],
  });
  expect((await command(['audit', 'verify', join(directory, 'none')])).code).toBe(2);
}, 60_000);

it('says so when the process was killed', async () => {
  const directory = scratch();
  const service = run('audited', { logsDir: directory });
  const { file } = await service.next();
  service.kill();
  await service.ended;
  expect(found(await verifyAudit([file], Date.now() + 5 * MINUTE))).toContain(
    'what followed was cut off, or the process was killed',
  );
});
