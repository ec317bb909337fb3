// rotate-keys: the control sockets of running processes, and those who may not use them.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { KeyManager, type MeshConfig, type SecureMesh } from '../../js/index.js';
import { command, scratch } from '../support/command.js';
import { call, serve } from '../support/meshes.js';

/** A key directory of its own, and processes of `orders` that use it. */
async function running(
  count: number,
  extra: Partial<MeshConfig> = {},
): Promise<{ keysDir: string; control: string; meshes: SecureMesh[] }> {
  const keysDir = join(scratch(), 'keys');
  const meshes: SecureMesh[] = [];
  for (let number = 0; number < count; number += 1) {
    const setup = (mesh: SecureMesh): void => void mesh.handle('echo', (input) => input);
    meshes.push(await serve('orders', setup, { admin: { port: 0 }, paths: { keysDir }, ...extra }));
  }
  return { keysDir, control: join(keysDir, 'control'), meshes };
}

const thumbprint = (mesh: SecureMesh): string | null | undefined => mesh.getStats().keyThumbprint;

describe.skipIf(process.platform === 'win32')('rotate-keys', () => {
  it('gives all processes of a service the same new key, and calls go on', async () => {
    const { keysDir, meshes } = await running(2);
    const [first, second] = meshes as [SecureMesh, SecureMesh];
    const before = thumbprint(first)!;
    expect(thumbprint(second)).toBe(before);
    const { client } = await call(first, { paths: { keysDir } });
    expect(await client.call('echo', 1)).toBe(1);
    const args = ['--keys-dir', keysDir, '--json', 'rotate-keys', 'orders'];
    const { code, stdout } = await command(args);
    expect(code, stdout).toBe(0);
    const { service, processes } = JSON.parse(stdout);
    const after = thumbprint(first)!;
    expect(after).not.toBe(before);
    expect(thumbprint(second)).toBe(after);
    expect(service).toBe('orders');
    expect(processes).toHaveLength(2);
    for (const one of processes) {
      expect(one).toEqual({
        instance: expect.stringMatching(/^[0-9a-f]{16}$/),
        thumbprint: after,
      });
    }
    expect(await client.call('echo', 2)).toBe(2);
  });

  it('has a socket for the owner alone, which ends with the process', async () => {
    const { keysDir, control, meshes } = await running(1);
    const names = readdirSync(control);
    expect(names).toHaveLength(1);
    expect(statSync(control).mode & 0o777).toBe(0o700);
    expect(statSync(join(control, names[0]!)).mode & 0o777).toBe(0o600);
    const { host, port } = meshes[0]!.adminAddress()!;
    const asked = await fetch(`http://${host}:${port}/rotate-keys`, { method: 'POST' });
    expect(asked.status).toBe(405);
    await meshes[0]!.cleanup();
    expect(readdirSync(control)).toEqual([]);
    const { code, stderr } = await command(['--keys-dir', keysDir, 'rotate-keys', 'orders']);
    expect(stderr).toContain('no process of orders has a socket in');
    expect(code).toBe(1);
  });

  it('removes the socket of a process that was killed', async () => {
    const { keysDir, control, meshes } = await running(1);
    const [name] = readdirSync(control) as [string];
    await meshes[0]!.cleanup();
    const left = join(control, name);
    const killed = `require('net').createServer().listen(${JSON.stringify(left)},
      () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', killed]);
    expect(existsSync(left)).toBe(true);
    expect((await command(['--keys-dir', keysDir, 'rotate-keys', 'orders'])).code).toBe(1);
    expect(existsSync(left)).toBe(false);
  });

  it('passes on why a key cannot be replaced', async () => {
    const { privateKey } = new KeyManager(join(scratch(), 'own')).generateKeyPair();
    const { keysDir } = await running(1, { security: { privateKey } });
    const { code, stdout } = await command(['--keys-dir', keysDir, 'rotate-keys', 'orders']);
    expect(stdout).toMatch(/orders, instance [0-9a-f]{16}: .*security\.privateKey/);
    expect(code).toBe(1);
  });

  it('has no socket in a directory that is open to others', async () => {
    const keysDir = join(scratch(), 'keys');
    mkdirSync(join(keysDir, 'control'), { recursive: true });
    chmodSync(keysDir, 0o700);
    chmodSync(join(keysDir, 'control'), 0o750);
    const lines: string[] = [];
    const log = (...all: unknown[]): void => void lines.push(JSON.stringify(all));
    const logger = { debug: log, info: log, warn: log, error: log };
    const mesh = await serve('orders', () => {}, {
      admin: { port: 0 },
      paths: { keysDir },
      logger,
    });
    expect(readdirSync(join(keysDir, 'control'))).toEqual([]);
    await expect.poll(() => lines.filter((line) => line.includes('admin.control'))).toHaveLength(1);
    expect(mesh.adminAddress()).not.toBeNull();
  });

  // Only root may run a program as another user.
  it.skipIf(process.getuid?.() !== 0)('answers no other user who reaches the socket', async () => {
    const { keysDir, control, meshes } = await running(1);
    const before = thumbprint(meshes[0]!);
    const socket = join(control, readdirSync(control)[0]!);
    // A mistake of the administrator opens the whole path.
    for (const directory of [dirname(keysDir), keysDir, control]) chmodSync(directory, 0o755);
    chmodSync(socket, 0o666);
    const ask = (user: number): string =>
      spawnSync('curl', ['-s', '-X', 'POST', '--unix-socket', socket, 'http://x/rotate-keys'], {
        encoding: 'utf8',
        uid: user,
      }).stdout;
    expect(ask(65_534)).toBe('');
    expect(thumbprint(meshes[0]!)).toBe(before);
    // Root gets an answer: the key directory is no longer what it has to be.
    expect(ask(0)).toContain('KEYDIR_MODE');
  });
});
