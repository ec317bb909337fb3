// keys and secret.
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { KeyManager, SecureMesh } from '../../js/index.js';
import { command, configFile, scratch } from '../support/command.js';
import { entry, serve } from '../support/meshes.js';

/** A key directory in which `mesh-cli` has met `orders`. */
async function met(): Promise<{ keysDir: string; args: string[]; thumbprint: string }> {
  const keysDir = join(scratch(), 'keys');
  const orders = await serve('orders', (mesh) => mesh.handle('echo', (input) => input), {
    paths: { keysDir },
  });
  const config = configFile({
    paths: { keysDir },
    security: { rsaKeySize: 2048 },
    discovery: { services: [entry('orders', orders)] },
  });
  const args = ['--config', config];
  expect((await command([...args, 'call', 'orders', 'echo', '1'])).code).toBe(0);
  return { keysDir, args, thumbprint: orders.getStats().keyThumbprint! };
}

it('lists own keys and remembered ones, with the thumbprints of the library', async () => {
  const { keysDir, args, thumbprint } = await met();
  const { code, stdout } = await command([...args, '--json', 'keys', 'list']);
  const { own, peers, others, directory } = JSON.parse(stdout);
  expect(directory).toBe(keysDir);
  expect(own).toMatchObject([{ service: 'mesh-cli' }]);
  expect(others).toBe(1);
  const orders = peers.find(({ service }: { service: string }) => service === 'orders');
  expect(orders.thumbprint).toBe(thumbprint);
  expect(Date.now() - orders.since).toBeLessThan(60_000);
  expect(code).toBe(0);
  const text = (await command([...args, 'keys', 'list'])).stdout;
  expect(text).toContain(`  peer  ${thumbprint}  orders, for `);
  expect(text).not.toContain('PRIVATE KEY');
});

it('shows the key of one service', async () => {
  const { args, thumbprint } = await met();
  const { stdout } = await command([...args, '--json', 'keys', 'show', 'orders']);
  expect(JSON.parse(stdout)).toMatchObject({ own: { thumbprint }, peer: { thumbprint } });
  const { code, stderr } = await command([...args, 'keys', 'show', 'stock']);
  expect(stderr).toContain('has no key of stock');
  expect(code).toBe(1);
});

it('forgets the key of a peer and nothing else', async () => {
  const { keysDir, args } = await met();
  const before = readdirSync(keysDir);
  const { code, stdout } = await command([...args, 'keys', 'forget', 'orders']);
  expect(stdout).toContain('of orders: the next key that it proves is accepted');
  expect(code).toBe(0);
  const gone = before.filter((name) => !readdirSync(keysDir).includes(name)).toSorted();
  const hash = createHash('sha256').update('orders').digest('hex');
  expect(gone).toHaveLength(2);
  expect(gone[0]).toMatch(/^owner-[0-9a-f]{64}\.id$/);
  expect(gone[1]).toBe(`peer-${hash}.jkt`);
  expect((await command([...args, 'keys', 'forget', 'orders'])).code).toBe(1);
  // Only remembered keys are forgotten, never an own one.
  expect((await command([...args, 'keys', 'show', 'mesh-cli'])).code).toBe(0);
});

it('uses a path of a service id as no path', async () => {
  const { keysDir, args } = await met();
  const victim = join(scratch(), 'victim');
  writeFileSync(victim, 'here');
  const { code } = await command([...args, 'keys', 'forget', `../../${victim}`]);
  expect(code).toBe(1);
  expect(existsSync(victim)).toBe(true);
  expect(readdirSync(keysDir).length).toBeGreaterThan(4);
});

it('prints the path: of --keys-dir, the configuration, the environment, or the library', async () => {
  const HOME = scratch();
  const path = async (args: string[], env: Record<string, string> = {}) =>
    (await command([...args, 'keys', 'path'], { env: { HOME, ...env } })).stdout.trimEnd();
  const secret = 'k3yX9vQ2mZ7pL0aW8sD4fG6hJ1cB5nRt-mesh';
  const config = configFile({ paths: { keysDir: '/var/lib/mesh' } });
  expect(await path(['--config', config, '--keys-dir', '/tmp/other'])).toBe('/tmp/other');
  expect(await path(['--config', config])).toBe('/var/lib/mesh');
  expect(await path([], { SECURE_MESH_KEYS_DIR: '/var/keys' })).toBe('/var/keys');
  // Outside of embedded trust the command keeps its key apart.
  expect(await path([], { SECURE_MESH_JWT_SECRET: secret })).toBe(
    join(HOME, '.secure-stack-mesh', 'cli'),
  );
  expect(existsSync(join(HOME, '.secure-stack-mesh'))).toBe(false);
});

it.runIf(process.platform === 'linux')(
  'has the default directory of the library under embedded trust',
  async () => {
    const HOME = scratch();
    const path = (await command(['keys', 'path'], { env: { HOME } })).stdout.trimEnd();
    // The library itself says where it puts a key.
    const script = `
      const { KeyManager } = require(${JSON.stringify(join(process.cwd(), 'dist', 'index.cjs'))});
      new KeyManager(undefined, 2048).getOrCreateKeyPair('mesh-cli');`;
    const file = join(scratch(), 'make.cjs');
    writeFileSync(file, script);
    expect((await command([], { file, env: { HOME } })).code).toBe(0);
    expect(readdirSync(path).some((name) => name.startsWith('key-'))).toBe(true);
  },
);

it('refuses a key directory that is open to others', async () => {
  const keysDir = join(scratch(), 'keys');
  new KeyManager(keysDir, 2048).getOrCreateKeyPair('mesh-cli');
  chmodSync(keysDir, 0o755);
  const { code, stderr } = await command(['--keys-dir', keysDir, 'keys', 'list']);
  expect(stderr).toContain('KEYDIR_MODE');
  expect(code).not.toBe(0);
});

it('lists an empty place without making it', async () => {
  const keysDir = join(scratch(), 'keys');
  const { code, stdout } = await command(['--keys-dir', keysDir, 'keys', 'list']);
  expect(stdout).toBe(`${keysDir} (not there yet)\n`);
  expect(existsSync(keysDir)).toBe(false);
  expect(code).toBe(0);
});

it('skips a file that is none of a peer', async () => {
  const keysDir = join(scratch(), 'keys');
  mkdirSync(keysDir, { mode: 0o700 });
  writeFileSync(join(keysDir, `peer-${'0'.repeat(64)}.jkt`), 'no thumbprint \u001b[2J');
  const { code, stdout } = await command(['--keys-dir', keysDir, 'keys', 'list']);
  expect(stdout).toBe(`${keysDir}\n`);
  expect(code).toBe(0);
});

it('makes a secret of 256 bits, another one each time, which a mesh accepts', async () => {
  const secrets = new Set<string>();
  for (let at = 0; at < 3; at += 1) {
    const { code, stdout, stderr } = await command(['secret', 'new']);
    expect(stdout).toMatch(/^[A-Za-z0-9_-]{43}\n$/);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    secrets.add(stdout.trimEnd());
  }
  expect(secrets.size).toBe(3);
  for (const jwtSecret of secrets) new SecureMesh({ serviceId: 'a', security: { jwtSecret } });
  const { stdout } = await command(['--json', 'secret', 'new']);
  expect(JSON.parse(stdout)).toMatchObject({ v: 1, bits: 256, option: 'security.jwtSecret' });
});
