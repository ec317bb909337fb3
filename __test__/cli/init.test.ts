// init, as a new user meets it: from the packed package, in an empty folder, with npm itself.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { pack } from '../../scripts/pack-local.mjs';
import { command, scratch, type Outcome } from '../support/command.js';
import { until } from '../support/promises.js';
import { registry } from '../support/registry.js';

const NAME = '@lemur-bookstores/secure-stack-mesh';

const FILES = [
  '.gitignore',
  'README.md',
  'mesh.json',
  'package.json',
  'src/contract.ts',
  'src/gateway-main.ts',
  'src/gateway.ts',
  'src/orders-main.ts',
  'src/orders.test.ts',
  'src/orders.ts',
  'tsconfig.json',
];

/** The files below a folder, without those of npm and of the compiler. */
function written(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => !/^(node_modules|dist)\b|package-lock/.test(name))
    .filter((name) => statSync(join(folder, name)).isFile())
    .toSorted();
}

/** A port that was free a moment ago. */
function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

it('makes a project whose tests pass, and which the other commands work against', async () => {
  const folder = scratch();
  const tarballs = join(folder, 'tarballs');
  await pack(tarballs);
  const env = {
    npm_config_registry: await registry(['typescript', '@types/node', 'undici-types', 'zod']),
    npm_config_cache: join(folder, 'cache'),
    // No proxy of this machine is between npm and the registry.
    no_proxy: '127.0.0.1',
    HOME: join(folder, 'home'),
  };
  mkdirSync(env.HOME);
  const cwd = join(folder, 'new');
  mkdirSync(cwd);
  const made = await command(['init', 'shop', '--from', tarballs], { cwd, env });
  expect(made.stderr).toBe('');
  expect(made.stdout).toContain('installed, and its tests pass');
  expect(made.code).toBe(0);
  const project = join(cwd, 'shop');
  expect(written(project)).toEqual(FILES);
  const manifest = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8'));
  expect(manifest.name).toBe('shop');
  expect(Object.keys(manifest.dependencies)).toContain(NAME);

  // The two services as processes, and the installed command against them.
  const installed = join(project, 'node_modules', '.bin', 'secure-stack-mesh');
  const ports = { orders: await freePort(), gateway: await freePort() };
  const config = join(project, 'mesh.json');
  const services = Object.entries(ports).map(([id, port]) => ({ id, host: '127.0.0.1', port }));
  writeFileSync(config, JSON.stringify({ discovery: { services } }));
  for (const [service, port] of Object.entries(ports)) {
    const child = spawn(process.execPath, [join('dist', `${service}-main.js`)], {
      cwd: project,
      env: { PATH: process.env['PATH'], HOME: env.HOME, PORT: String(port) },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await until(() => said.includes(`${service} listens on port ${port}`), 30_000);
  }
  const run = (...args: string[]): Promise<Outcome> =>
    command(['--config', config, ...args], { file: installed, cwd: project, env });
  expect((await run('doctor')).stdout).toContain('All is well.');
  const described = await run('describe', 'orders');
  expect(described.stdout).toContain('  orders.create  unary');
  expect(described.stdout).toContain('    error   OUT_OF_STOCK (FAILED_PRECONDITION)');
  const called = await run('call', 'gateway', 'gateway.checkout', '{"skus":["book"]}');
  expect(called.stdout).toBe('{"orders":[{"id":"1","sku":"book","quantity":1}]}\n');
  const listed = await run('call', 'orders', 'orders.list', '{}');
  expect(listed.stdout).toBe('{"id":"1","sku":"book","quantity":1}\n');
  const out = await run('call', 'orders', 'orders.create', '{"sku":"book","quantity":9}');
  expect(out.stderr).toContain('FAILED_PRECONDITION OUT_OF_STOCK');
  expect(out.code).toBe(64 + 9);
}, 240_000);

it('only writes the files with --no-install', async () => {
  const cwd = scratch();
  const { code, stdout } = await command(['init', '--no-install'], { cwd });
  expect(stdout).toContain('Next: npm install && npm test');
  expect(code).toBe(0);
  expect(written(cwd)).toEqual(FILES);
  const { version } = JSON.parse(readFileSync(join(process.cwd(), 'package.json'), 'utf8'));
  const { dependencies } = JSON.parse(readFileSync(join(cwd, 'package.json'), 'utf8'));
  expect(dependencies[NAME]).toBe(version);
});

it('overwrites nothing, names what is there, and then writes nothing', async () => {
  const cwd = scratch();
  mkdirSync(join(cwd, 'src'));
  writeFileSync(join(cwd, 'src', 'orders.ts'), 'mine');
  writeFileSync(join(cwd, 'tsconfig.json'), '{}');
  const { code, stderr } = await command(['init', '--no-install'], { cwd });
  expect(stderr).toContain('has tsconfig.json, src/orders.ts already, and nothing is overwritten');
  expect(code).toBe(2);
  expect(written(cwd)).toEqual(['src/orders.ts', 'tsconfig.json']);
  expect(readFileSync(join(cwd, 'src', 'orders.ts'), 'utf8')).toBe('mine');
});

it.each([
  [['--from', 'none.tgz'], '--from none.tgz is not there'],
  [['--from', '.'], `--from has no tarball of ${NAME}`],
])('refuses %j before it writes', async (args, text) => {
  const cwd = scratch();
  const { code, stderr } = await command(['init', 'a', ...args], { cwd });
  expect(stderr).toContain(text);
  expect(code).toBe(2);
  expect(existsSync(join(cwd, 'a'))).toBe(false);
});

it('says which step of npm failed, with its output', async () => {
  const cwd = scratch();
  const env = { npm_config_registry: 'http://127.0.0.1:9/', npm_config_fetch_retries: '0' };
  const { code, stderr } = await command(['init', 'a'], { cwd, env });
  expect(stderr).toContain('ECONNREFUSED');
  expect(stderr).toMatch(/npm install in .* failed: exit code 1/);
  expect(code).toBe(1);
});
