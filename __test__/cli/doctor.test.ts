// doctor: each fault is planted with the real thing, and is found with what to do.
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { root } from '../../scripts/lib.mjs';
import { type MeshConfig } from '../../js/index.js';
import { Authority } from '../support/authority.js';
import { command, configFile, scratch, type Settings } from '../support/command.js';
import { config, entry, serve } from '../support/meshes.js';
import { run } from '../support/processes.js';

const SECRET = 'k3yX9vQ2mZ7pL0aW8sD4fG6hJ1cB5nRt-other';
const OTHER_SECRET = 'Zt8Qw1Er5Ty9Ui3Op7As2Df6Gh0Jk4Lx-mesh';

interface Finding {
  check: string;
  subject: string;
  status: string;
  text: string;
  repair?: string;
  reason?: string;
  details?: any;
}

interface Diagnosis {
  code: number | null;
  report: { v: number; ok: boolean; counts: Record<string, number>; findings: Finding[] };
  /** The findings that are not fine. */
  bad: Finding[];
}

/** Runs doctor with a configuration. */
async function doctor(given: Partial<MeshConfig>, settings: Settings = {}): Promise<Diagnosis> {
  const { paths, security } = config('any');
  const merged = { ...given, paths: { ...paths, ...given.paths } };
  merged.security = { ...security, ...given.security };
  return diagnose(['--config', configFile(merged)], settings);
}

async function diagnose(args: string[], settings: Settings = {}): Promise<Diagnosis> {
  const { code, stdout, stderr } = await command([...args, '--json', 'doctor'], settings);
  expect(stderr).toBe('');
  const report = JSON.parse(stdout) as Diagnosis['report'];
  const bad = report.findings.filter(({ status }) => status === 'fail' || status === 'warn');
  for (const finding of bad) expect(finding.repair, finding.text).toMatch(/\w{3}.*\w/);
  return { code, report, bad };
}

/** A server of this test at a port of its own. */
async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

const orders = (extra: Partial<MeshConfig> = {}) =>
  serve('orders', (mesh) => mesh.handle('echo', (input) => input), extra);

it('finds nothing wrong with a service that is well', async () => {
  const services = [entry('orders', await orders())];
  const { code, report, bad } = await doctor({ discovery: { services } });
  expect(bad).toEqual([]);
  expect(code).toBe(0);
  expect(report).toMatchObject({ v: 1, ok: true, counts: { fail: 0, warn: 0 } });
  const peer = report.findings.find(({ check }) => check === 'peer');
  expect(peer?.details).toMatchObject({
    trust: 'embedded',
    suite: 'X25519MLKEM768',
    version: expect.stringMatching(/^\d/),
    roundTripMs: expect.any(Number),
  });
  expect(report.findings.map(({ check }) => check)).toEqual([
    'node',
    'descriptors',
    'platform',
    'key-directory',
    'configuration',
    'secret',
    'identity',
    'peer',
    'clock',
  ]);
});

it('checks the machine without a configuration, and leaves nothing there', async () => {
  const HOME = scratch();
  const { code, report, bad } = await diagnose([], { env: { HOME } });
  expect(bad).toEqual([]);
  expect(code).toBe(0);
  expect(report.findings.map(({ check }) => check)).toEqual([
    'node',
    'descriptors',
    'platform',
    'key-directory',
    'configuration',
  ]);
  expect(execFileSync('find', [HOME], { encoding: 'utf8' })).toBe(`${HOME}\n`);
});

it('speaks to people without --json', async () => {
  const file = configFile({
    discovery: { services: [{ id: 'orders', host: 'no.invalid', port: 1 }] },
  });
  const { code, stdout, stderr } = await command(['--config', file, 'doctor']);
  expect(stdout).toMatch(/^FAIL {2}discovery {6}the name no\.invalid has no address/m);
  expect(stdout).toMatch(/^ +repair: Correct the host in discovery\.services/m);
  expect(stdout).toContain('1 to repair, 0 to look at');
  expect(stderr).toBe('');
  expect(code).toBe(1);
});

it('finds a wrong secret', async () => {
  const server = await orders({ security: { jwtSecret: SECRET } });
  const { code, bad } = await doctor({
    security: { jwtSecret: OTHER_SECRET },
    discovery: { services: [entry('orders', server)] },
  });
  expect(bad).toMatchObject([{ check: 'peer', status: 'fail', reason: 'HANDSHAKE_REFUSED' }]);
  expect(bad[0]?.text).toContain('it has another mesh secret (security.jwtSecret)');
  expect(JSON.stringify(bad)).not.toContain(OTHER_SECRET.slice(0, 8));
  expect(code).toBe(1);
});

it('finds a clock that is off by 90 s', { skip: process.platform !== 'linux' }, async () => {
  const library = join(scratch(), 'late-clock.so');
  const source = join(root, '__test__', 'fixtures', 'late-clock.c');
  execFileSync('cc', ['-shared', '-fPIC', '-o', library, source, '-ldl'], { stdio: 'pipe' });
  for (const [offset, side] of [
    [90, 'ahead of'],
    [-90, 'behind'],
  ] as const) {
    const service = run('server', {}, [], { LD_PRELOAD: library, CLOCK_OFFSET_S: String(offset) });
    const address = (await service.next()) as { host: string; port: number };
    const { code, bad } = await doctor({ discovery: { services: [{ id: 'server', ...address }] } });
    expect(bad).toMatchObject([
      { check: 'peer', status: 'fail' },
      { check: 'clock', status: 'fail', reason: 'CLOCK_SKEW' },
    ]);
    const { text, repair, details } = bad[1]!;
    expect(text).toMatch(
      new RegExp(`^the clock of server at .* is (89|90|91) s ${side} the clock here`),
    );
    expect(repair).toContain('NTP');
    expect(bad[0]?.repair).toContain('NTP');
    expect(Math.abs(details.offsetMs - offset * 1000)).toBeLessThan(1_500);
    expect(code).toBe(1);
    service.kill();
  }
});

it('finds a port that another program has', async () => {
  const port = await listening(createHttpServer((_request, response) => response.end('hello')));
  const { code, bad } = await doctor({ serviceId: 'orders', port });
  expect(bad).toMatchObject([{ check: 'port', status: 'fail', reason: 'LISTEN' }]);
  expect(bad[0]?.text).toBe(`port ${port} is taken by another program`);
  expect(bad[0]?.repair).toContain('Choose a free port');
  expect(code).toBe(1);
});

it('does not take the running service itself for another program', async () => {
  const { port } = (await orders()).address()!;
  const { bad, report } = await doctor({ serviceId: 'orders', port });
  expect(bad).toEqual([]);
  const found = report.findings.find(({ check }) => check === 'port');
  expect(found?.text).toBe(`orders itself runs and listens on ${port}`);
});

it('finds a peer that is down', async () => {
  const server = await orders();
  const services = [entry('orders', server)];
  await server.cleanup();
  const { code, bad } = await doctor({ discovery: { services } });
  expect(bad).toMatchObject([{ check: 'peer', status: 'fail', reason: 'CONNECT_FAILED' }]);
  expect(bad[0]?.repair).toContain('Start the service');
  expect(code).toBe(1);
});

it('finds a peer that listens and does not answer', async () => {
  const port = await listening(createServer(() => undefined));
  const services = [{ id: 'orders', host: '127.0.0.1', port }];
  const limits = { handshakeTimeoutMs: 1_500 };
  const { code, bad } = await doctor({ discovery: { services }, limits });
  expect(bad).toMatchObject([{ check: 'peer', status: 'fail', reason: 'CONNECT_TIMEOUT' }]);
  expect(code).toBe(1);
});

it('finds an HTTP server at the address of a peer', async () => {
  const port = await listening(createHttpServer((_request, response) => response.end('hello')));
  const services = [{ id: 'orders', host: '127.0.0.1', port }];
  const { code, bad } = await doctor({ discovery: { services } });
  expect(bad).toMatchObject([{ check: 'peer', status: 'fail', reason: 'WRONG_PORT' }]);
  expect(bad[0]?.text).toContain('an HTTP/1.1 server');
  expect(code).toBe(1);
});

it('finds a name without an answer of the DNS', async () => {
  const services = [{ id: 'orders', host: 'orders.invalid', port: 50051 }];
  const { code, bad, report } = await doctor({ discovery: { services } });
  expect(bad).toMatchObject([{ check: 'discovery', subject: 'orders.invalid', status: 'fail' }]);
  expect(bad[0]?.text).toMatch(/the name orders\.invalid has no address \((ENOTFOUND|EAI_AGAIN)\)/);
  expect(report.findings.find(({ check }) => check === 'peer')?.status).toBe('skip');
  expect(code).toBe(1);
});

it('finds an expired certificate, and one that ends soon', async () => {
  const authority = new Authority();
  const check = async (days: string) => {
    const certificate = authority.issue('orders', { days });
    return doctor({ serviceId: 'orders', security: { certificate } });
  };
  const expired = await check('-1');
  expect(expired.bad).toContainEqual(
    expect.objectContaining({ check: 'certificate', status: 'fail', reason: 'CERT_EXPIRED' }),
  );
  expect(expired.bad.find(({ check: name }) => name === 'certificate')?.text).toMatch(
    /^security\.certificate\.cert: CN=orders has expired, on \d{4}-/,
  );
  expect(expired.code).toBe(1);
  const fresh = await check('2');
  expect(fresh.bad).toEqual([]);
  expect(fresh.code).toBe(0);
});

it('warns of a certificate with less than a third of its time left', async () => {
  const authority = new Authority();
  const certificate = authority.issue('orders');
  const day = 86_400_000;
  const at = (ms: number): string => new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '');
  const section = ['database=index.txt', 'serial=serial', 'policy=p', 'default_md=sha256'];
  writeFileSync(
    authority.path('dates.cnf'),
    `[ca]\ndefault_ca=d\n[d]\n${section.join('\n')}\n[p]\ncommonName=supplied\n`,
  );
  writeFileSync(authority.path('serial'), '1000\n');
  // Of openssl's commands only `ca` sets both dates.
  authority.run(
    ...`ca -batch -config dates.cnf -keyfile ca.key -cert ca.crt -in orders.csr -out orders.crt
      -notext -extfile orders.cnf -outdir .`.split(/\s+/),
    ...['-startdate', at(Date.now() - 9 * day), '-enddate', at(Date.now() + day)],
  );
  const { code, bad } = await doctor({ serviceId: 'orders', security: { certificate } });
  expect(bad).toMatchObject([{ check: 'certificate', status: 'warn' }]);
  expect(bad[0]?.text).toContain('less than a third of its time is left');
  expect(code).toBe(0);
});

// Windows has no file modes: the directory of its user is private by its access list.
it.skipIf(process.platform === 'win32')('finds a key directory that is too open', async () => {
  const keysDir = join(scratch(), 'keys');
  mkdirSync(keysDir, { mode: 0o700 });
  chmodSync(keysDir, 0o755);
  const { code, bad } = await doctor({ paths: { keysDir } });
  expect(bad).toContainEqual(
    expect.objectContaining({ check: 'key-directory', status: 'fail', reason: 'KEYDIR_MODE' }),
  );
  expect(bad[0]?.text).toContain(keysDir);
  expect(JSON.stringify(bad)).toContain('chmod');
  expect(code).toBe(1);
  // A file of it, too, before a handshake meets it.
  chmodSync(keysDir, 0o700);
  writeFileSync(join(keysDir, 'mesh-secret'), '');
  chmodSync(join(keysDir, 'mesh-secret'), 0o644);
  const file = (await doctor({ paths: { keysDir } })).bad;
  expect(file[0]).toMatchObject({ check: 'key-directory', reason: 'KEYDIR_MODE' });
  expect(file[0]?.repair).toContain(`chmod 600 '${join(keysDir, 'mesh-secret')}'`);
});

it('finds that the platform has no binary', async () => {
  const copy = scratch();
  cpSync(join(root, 'dist'), join(copy, 'dist'), { recursive: true });
  cpSync(join(root, 'package.json'), join(copy, 'package.json'));
  const { code, report, bad } = await diagnose([], { file: join(copy, 'dist', 'cli.js') });
  expect(bad).toMatchObject([{ check: 'platform', status: 'fail', reason: 'ADDON' }]);
  expect(bad[0]?.text).toContain(`${copy}/secure-stack-mesh.`);
  expect(bad[0]?.repair).toMatch(/^Install it with: npm install @lemur-bookstores/);
  expect(report.findings.some(({ check }) => check === 'node')).toBe(true);
  expect(code).toBe(1);
});

it('finds a weak secret, from the configuration or the environment', async () => {
  const weak = 'abcabcabcabcabcabcabcabcabcabcabcabc';
  for (const { code, bad } of [
    await doctor({ serviceId: 'orders', security: { jwtSecret: weak } }),
    await diagnose([], { env: { SECURE_MESH_JWT_SECRET: weak } }),
  ]) {
    expect(bad).toMatchObject([{ check: 'secret', status: 'fail', reason: 'WEAK_SECRET' }]);
    expect(JSON.stringify(bad)).not.toContain('abcabc');
    expect(code).toBe(1);
  }
});

it('finds that the key of a peer has changed, and the repair repairs it', async () => {
  const keysDir = join(scratch(), 'keys');
  const security = { jwtSecret: SECRET };
  const host = '127.0.0.1';
  const first = await orders({ security, host, paths: { keysDir: join(scratch(), 'old') } });
  const services = [entry('orders', first)];
  const known = { security, paths: { keysDir }, discovery: { services } };
  expect((await doctor(known)).bad).toEqual([]);
  const { port } = first.address()!;
  await first.cleanup();
  await orders({ security, port, host, paths: { keysDir: join(scratch(), 'new') } });
  const { code, bad } = await doctor(known);
  expect(bad).toMatchObject([{ check: 'peer', status: 'fail', reason: 'PEER_KEY_CHANGED' }]);
  expect(bad[0]?.repair).toContain('secure-stack-mesh keys forget orders');
  expect(code).toBe(1);
  const forgotten = await command(['--keys-dir', keysDir, 'keys', 'forget', 'orders']);
  expect(forgotten.code).toBe(0);
  expect((await doctor(known)).bad).toEqual([]);
});

// Windows has no limit of open files that a shell could set.
it.skipIf(process.platform === 'win32')('finds that no file descriptors are left', async () => {
  const limited = (limit: number) => (line: string[]) => [
    'sh',
    '-c',
    `ulimit -n ${limit}; exec "$@"`,
    'sh',
    ...line,
  ];
  const { code, bad } = await diagnose([], { around: limited(48) });
  expect(bad[0]).toMatchObject({ check: 'descriptors', status: 'fail', details: { limit: 48 } });
  expect(bad[0]?.text).toMatch(/has 48 file descriptors here, of which \d+ are left/);
  expect(bad[0]?.repair).toContain('ulimit -n 65536');
  expect(code).toBe(1);
  // From where Node itself cannot start up to where the binary loads.
  let without = 0;
  for (let limit = 18; limit < 40; limit += 1) {
    const { stdout, stderr } = await command(['--json', 'doctor'], { around: limited(limit) });
    expect(stderr).not.toContain('panicked');
    if (!stdout.startsWith('{')) continue;
    const { findings } = JSON.parse(stdout) as Diagnosis['report'];
    expect(findings[1]).toMatchObject({ check: 'descriptors', status: 'fail' });
    if (findings[1]?.text.includes('has no file descriptor left')) without += 1;
  }
  expect(without).toBeGreaterThan(0);
  const few = await diagnose([], { around: limited(512) });
  expect(few.bad).toMatchObject([{ check: 'descriptors', status: 'warn' }]);
  expect(few.code).toBe(0);
});

it('exits with 2 if there is no configuration to check', async () => {
  const missing = await command(['--config', 'nothing.json', '--json', 'doctor']);
  expect(missing.code).toBe(2);
  expect(JSON.parse(missing.stdout).error.message).toContain(
    '--config nothing.json cannot be read',
  );
});

it('finds an option that does not exist', async () => {
  const { code, bad } = await doctor({ serviceId: 'orders', limit: {} } as never);
  expect(bad).toMatchObject([{ check: 'configuration', status: 'fail', reason: 'CONFIG' }]);
  expect(bad[0]?.text).toContain('did you mean limits?');
  expect(code).toBe(1);
});
