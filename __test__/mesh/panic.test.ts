// A panic in the Rust part. The addon is built again with one call that panics, and used from a copy of the
// package.
import { execFile } from 'node:child_process';
import { copyFileSync, cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { FEATURES_OF_TESTS, root, targetDirectory } from '../../scripts/lib.mjs';

const run = promisify(execFile);

const PROGRAM = `
const { SecureMesh } = require('./dist/index.cjs');
(async () => {
  const options = { security: { rsaKeySize: 2048 }, paths: { keysDir: './keys' } };
  const server = new SecureMesh({ serviceId: 'server', port: 0, ...options });
  server.handle('echo', (input) => input);
  await server.initialize();
  const services = [{ id: 'server', ...server.address() }];
  const mesh = new SecureMesh({ serviceId: 'client', discovery: { services }, ...options });
  await mesh.initialize();
  const client = mesh.connect('server');
  const answers = await Promise.allSettled([
    client.call('echo', 1),
    client.call('fault.panic', 2),
    client.call('echo', 3),
  ]);
  const told = answers.map(({ value, reason }) => value ?? [reason.code, reason.reason]);
  console.log(JSON.stringify([...told, await client.call('echo', 'alive')]));
  await mesh.cleanup();
  await server.cleanup();
})();
`;

it('makes one call fail as INTERNAL, and nothing else', { timeout: 600_000 }, async () => {
  // In the profile of the addon under test, whose dependencies are there.
  const dev = process.env['MESH_BUILD_PROFILE'] === 'dev';
  const release = ['--package', 'secure-stack-mesh', '--locked', '--release'];
  const args = ['build', '--lib', ...(dev ? FEATURES_OF_TESTS : release)];
  await run('cargo', [...args, '--features', 'secure-stack-mesh/fault-injection'], { cwd: root });
  const built = join(await targetDirectory(), dev ? 'debug' : 'release');
  const library = readdirSync(built).find((name) =>
    /^(lib)?secure_stack_mesh\.(so|dylib|dll)$/.test(name),
  );
  const binary = readdirSync(root).find((name) => /^secure-stack-mesh\..*\.node$/.test(name));
  const copy = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-panic-'));
  try {
    cpSync(join(root, 'dist'), join(copy, 'dist'), { recursive: true });
    copyFileSync(join(root, 'package.json'), join(copy, 'package.json'));
    copyFileSync(join(built, String(library)), join(copy, String(binary)));
    writeFileSync(join(copy, 'program.cjs'), PROGRAM);
    const { stdout } = await run(process.execPath, ['program.cjs'], { cwd: copy });
    expect(JSON.parse(stdout)).toEqual([1, ['INTERNAL', 'INTERNAL'], 3, 'alive']);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
});
