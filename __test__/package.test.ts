// The installed package: packed, installed into an empty project without a registry, and used from there.
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { root } from '../scripts/lib.mjs';
import { pack } from '../scripts/pack-local.mjs';

const name = '@lemur-bookstores/secure-stack-mesh';
let directory: string;
let project: string;
let installed: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-package-'));
  const tarballs = await pack(join(directory, 'tarballs'));
  project = mkdtempSync(join(directory, 'project-'));
  writeFileSync(join(project, 'package.json'), '{ "private": true }');
  execFileSync(
    'npm',
    [
      'install',
      '--no-audit',
      '--no-fund',
      '--loglevel=error',
      // No registry listens at this port, so a request to one would fail.
      '--registry=http://127.0.0.1:9',
      '--fetch-retries=0',
      ...tarballs,
    ],
    { cwd: project, stdio: 'pipe', shell: process.platform === 'win32' },
  );
  installed = join(project, 'node_modules', name);
}, 120_000);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Runs a program in the project. */
function run(file: string, text: string, cwd = project): string {
  writeFileSync(join(cwd, file), text);
  return execFileSync(process.execPath, [file], { cwd, encoding: 'utf8', stdio: 'pipe' });
}

it('installs itself and its binary, and nothing else', () => {
  expect(readdirSync(join(project, 'node_modules')).filter((one) => !one.startsWith('.'))).toEqual([
    '@lemur-bookstores',
  ]);
  expect(readdirSync(join(project, 'node_modules', '@lemur-bookstores'))).toHaveLength(2);
  expect(readdirSync(installed).toSorted()).toEqual([
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'SECURITY.md',
    'dist',
    'docs',
    'index.d.ts',
    'package.json',
  ]);
  const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as object;
  for (const key of ['dependencies', 'scripts', 'devDependencies', 'overrides']) {
    expect(manifest).not.toHaveProperty(key);
  }
});

it('calls from ESM and from CommonJS, which are one instance', () => {
  const body = `
    const made = (serviceId, extra) =>
      new SecureMesh({ serviceId, security: { rsaKeySize: 2048 }, paths: { keysDir: './keys' }, ...extra });
    const server = made('server', { port: 0 });
    server.handle('echo', (input) => input);
    await server.initialize();
    const services = [{ id: 'server', ...server.address() }];
    const client = made('client', { discovery: { services } });
    await client.initialize();
    console.log(await client.connect('server').call('echo', 'it works'));
    await client.cleanup();
    await server.cleanup();`;
  const esm = `
    import { createRequire } from 'node:module';
    import { MeshError, SecureMesh } from '${name}';
    const required = createRequire(import.meta.url)('${name}');
    if (required.SecureMesh !== SecureMesh || required.MeshError !== MeshError) process.exit(1);
    ${body}`;
  expect(run('esm.mjs', esm)).toBe('it works\n');
  const cjs = `const { SecureMesh } = require('${name}'); (async () => {${body}})();`;
  expect(run('cjs.cjs', cjs)).toBe('it works\n');
});

it('has real ES modules for bundlers, with the same exports', () => {
  const text = `
    import * as face from '${name}';
    import * as real from './node_modules/${name}/dist/esm/index.mjs';
    import * as kit from '${name}/testing';
    import * as realKit from './node_modules/${name}/dist/esm/testing.mjs';
    const names = (module) => Object.keys(module).filter((key) => key !== 'default').sort().join();
    console.log(names(face) === names(real), names(kit) === names(realKit));
    console.log(real.SecureMesh !== face.SecureMesh);`;
  expect(run('real.mjs', text)).toBe('true true\ntrue\n');
  for (const file of readdirSync(join(installed, 'dist/esm'))) {
    // The require of the optional package is in a try: some bundlers resolve it, elsewhere it throws.
    const code = readFileSync(join(installed, 'dist/esm', file), 'utf8').replace(
      /try \{\s+return require\("@opentelemetry\/api"\);/,
      '',
    );
    if (file !== 'webpack.mjs') expect(code).not.toMatch(/__dirname|(?<![.\w])require\(/);
  }
});

it('has the test kit, on the same instance', () => {
  const body = `
    const kit = await createTestMesh({ services: { echo: { echo: (input) => input } } });
    const same = kit.mesh('echo') instanceof SecureMesh;
    console.log(same, await kit.connect('echo').call('echo', 'it works'));`;
  const esm = `
    import { SecureMesh } from '${name}';
    import { createTestMesh } from '${name}/testing';
    ${body}`;
  expect(run('kit.mjs', esm)).toBe('true it works\n');
  const cjs = `
    const { SecureMesh } = require('${name}');
    const { createTestMesh } = require('${name}/testing');
    (async () => {${body}})();`;
  expect(run('kit.cjs', cjs)).toBe('true it works\n');
});

it('recognises the errors of another copy of the package', () => {
  cpSync(installed, join(project, 'copy'), { recursive: true });
  const text = `
    const { MeshError } = require('${name}');
    const other = require('./copy/dist/index.cjs').MeshError;
    if (other === MeshError) process.exit(1);
    console.log(new other('ABORTED', 'x') instanceof MeshError, new Error('x') instanceof MeshError);`;
  expect(run('copies.cjs', text)).toBe('true false\n');
});

const attempt = `
  const { MeshError, SecureMesh } = require('${name}');
  try {
    new SecureMesh({ serviceId: 'a' });
  } catch (error) {
    console.log(JSON.stringify({ is: error instanceof MeshError, ...error.toJSON() }));
  }`;

it('says what to do when the binary is missing, of another version, or damaged', () => {
  const bare = mkdtempSync(join(directory, 'bare-'));
  cpSync(installed, join(bare, 'node_modules', name), { recursive: true });
  const missing = JSON.parse(run('a.cjs', attempt, bare)) as Record<string, string>;
  expect(missing).toMatchObject({ is: true, code: 'FAILED_PRECONDITION', reason: 'ADDON' });
  expect(missing['message']).toContain('no such file');
  expect(missing['message']).toContain('not installed');
  expect(missing['message']).toContain(`npm install ${name}-${process.platform}-${process.arch}`);

  const [platform] = readdirSync(join(project, 'node_modules', '@lemur-bookstores')).filter((one) =>
    one.startsWith('secure-stack-mesh-'),
  );
  const own = join(bare, 'node_modules', '@lemur-bookstores', platform as string);
  cpSync(join(project, 'node_modules', '@lemur-bookstores', platform as string), own, {
    recursive: true,
  });
  const manifest = join(own, 'package.json');
  const right = readFileSync(manifest, 'utf8');
  writeFileSync(manifest, right.replace(/"version": "[^"]+"/, '"version": "0.0.1"'));
  const other = JSON.parse(run('a.cjs', attempt, bare)) as Record<string, string>;
  expect(other['message']).toContain('is version 0.0.1');

  writeFileSync(manifest, right);
  const [binary] = readdirSync(own).filter((one) => one.endsWith('.node'));
  copyFileSync(join(root, 'package.json'), join(own, binary as string));
  const damaged = JSON.parse(run('a.cjs', attempt, bare)) as Record<string, string>;
  expect(damaged['message']).toMatch(/invalid ELF header|file too short|not a valid|slice/);

  // The same node_modules, seen from another system.
  const foreign = 'secure-stack-mesh-win32-arm64-msvc';
  renameSync(own, join(bare, 'node_modules', '@lemur-bookstores', foreign));
  const moved = JSON.parse(run('a.cjs', attempt, bare)) as Record<string, string>;
  expect(moved['message']).toContain('is the binary for win32-arm64-msvc, not for');
});

it('says which permission of Node is missing', () => {
  const flag = process.allowedNodeEnvironmentFlags.has('--permission')
    ? '--permission'
    : '--experimental-permission';
  writeFileSync(join(project, 'a.cjs'), attempt);
  const said = (...flags: string[]) =>
    execFileSync(process.execPath, [flag, ...flags, 'a.cjs'], {
      cwd: project,
      encoding: 'utf8',
      stdio: 'pipe',
    });
  expect(said('--allow-fs-read=*')).toContain('--allow-addons');
  const code = ['a.cjs', 'node_modules/@lemur-bookstores/secure-stack-mesh/*'];
  const only = code.map((file) => `--allow-fs-read=${join(project, file)}`);
  expect(said('--allow-addons', ...only)).toContain('--allow-fs-read');
});
