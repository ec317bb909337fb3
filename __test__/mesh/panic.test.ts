// A panic in the Rust part. The addon is built again with one call that panics, and used from a copy of the
// package.
import { execFile } from 'node:child_process';
import { copyFileSync, cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { root } from '../../scripts/lib.mjs';

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
  const args = ['build', '--release', '--locked', '--package', 'secure-stack-mesh'];
  await run('cargo', [...args, '--features', 'fault-injection'], { cwd: root });
  const metadata = await run('cargo', ['metadata', '--no-deps', '--format-version=1'], {
    cwd: root,
  });
  const target = (JSON.parse(metadata.stdout) as { target_directory: string }).target_directory;
  const library = readdirSync(join(target, 'release')).find((name) =>
    /^(lib)?secure_stack_mesh\.(so|dylib|dll)$/.test(name),
  );
  const binary = readdirSync(root).find((name) => /^secure-stack-mesh\..*\.node$/.test(name));
  const copy = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-panic-'));
  try {
    cpSync(join(root, 'dist'), join(copy, 'dist'), { recursive: true });
    copyFileSync(join(root, 'package.json'), join(copy, 'package.json'));
    copyFileSync(join(target, 'release', String(library)), join(copy, String(binary)));
    writeFileSync(join(copy, 'program.cjs'), PROGRAM);
    const { stdout } = await run(process.execPath, ['program.cjs'], { cwd: copy });
    expect(JSON.parse(stdout)).toEqual([1, ['INTERNAL', 'INTERNAL'], 3, 'alive']);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
});
