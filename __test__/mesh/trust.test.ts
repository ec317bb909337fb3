// The trust between meshes. Every refusal must not run the handler, and must give the caller the repair.
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { MeshConfig, SecureMesh } from '../../js/index.js';
import { call, entry, keysDir, make, serve } from '../support/meshes.js';
import { errorOf } from '../support/promises.js';

/** A separate key directory, as of a different user or machine. */
const elsewhere = (): string => mkdtempSync(join(keysDir, 'elsewhere-'));
const SECRET = 'a secret of the tests, long enough: 0123456789';

let requests = 0;
const count = (mesh: SecureMesh): void => void mesh.handle('count', () => (requests += 1));

async function refused(
  server: SecureMesh,
  caller: Partial<MeshConfig>,
  expected: object,
): Promise<void> {
  const before = requests;
  const { client } = await call(server, caller);
  const error = await errorOf(client.call('count'));
  expect(error).toMatchObject({ code: 'UNAUTHENTICATED', ...expected });
  expect(requests).toBe(before);
}

describe('without any security configuration', () => {
  it('services with the same key directory believe each other', async () => {
    const server = await serve('server', count);
    const { client, mesh } = await call(server);
    await client.call('count');
    expect(mesh.getStats().peers[0]?.trust).toBe('embedded');
    expect(server.address()?.host).toBe('127.0.0.1');
  });

  it('a service of another user is refused, and told what to look at', async () => {
    const server = await serve('server', count);
    await refused(
      server,
      { paths: { keysDir: elsewhere() } },
      {
        message: expect.stringMatching(/secret|user|directory/),
      },
    );
  });

  it('a service that shows another key than before is refused', async () => {
    const server = await serve('server', count);
    const services = [entry('server', server)];
    const first = make('changing', { discovery: { services } });
    await first.initialize();
    await first.connect('server').call('count');
    await first.cleanup();
    // The same secret with a different key.
    const forged = elsewhere();
    copyFileSync(join(keysDir, 'mesh-secret'), join(forged, 'mesh-secret'));
    const impostor = make('changing', { paths: { keysDir: forged }, discovery: { services } });
    await impostor.initialize();
    const before = requests;
    expect(await errorOf(impostor.connect('server').call('count'))).toMatchObject({
      code: 'UNAUTHENTICATED',
    });
    expect(requests).toBe(before);
  });
});

describe('with a shared secret', () => {
  const options = (jwtSecret: string): Partial<MeshConfig> => ({
    paths: { keysDir: elsewhere() },
    security: { jwtSecret, rsaKeySize: 2048 },
    host: '127.0.0.1',
  });

  it('services of different directories believe each other', async () => {
    const server = await serve('server', count, options(SECRET));
    const { client, mesh } = await call(server, options(SECRET));
    await client.call('count');
    expect(mesh.getStats().peers[0]?.trust).toBe('shared-secret');
  });

  it('one that has another secret is refused, as is one that has none', async () => {
    const server = await serve('server', count, options(SECRET));
    await refused(server, options(`${SECRET}x`), { message: expect.stringContaining('secret') });
    await refused(server, { paths: { keysDir: elsewhere() } }, {});
  });

  it('new services are kept out by a full key directory, which `healthCheck` names', async () => {
    const paths = { keysDir: elsewhere() };
    const server = await serve('server', count, { ...options(SECRET), paths });
    const at = (n: number): string => join(paths.keysDir, `peer-${n}.jkt`);
    for (let n = 0; n < 4096; n++) writeFileSync(at(n), '');
    const { client } = await call(server, options(SECRET));
    const error = await errorOf(client.call('count', {}, { timeoutMs: 500 }));
    expect(error).toMatchObject({ name: 'MeshError' });
    expect(JSON.stringify(error)).not.toContain(paths.keysDir);
    const { status, details } = await server.healthCheck();
    expect(status).toBe('degraded');
    expect(details['keyDirectoryFault']).toContain(`${paths.keysDir} holds 4096 keys`);
    expect(details['keyDirectoryFault']).toContain('remove those no longer needed');
    for (let n = 0; n < 4096; n++) rmSync(at(n));
    await client.call('count');
    expect(await server.healthCheck()).toMatchObject({ status: 'healthy' });
  });

  it('is taken from the environment where the option is absent', async () => {
    const server = await serve('server', count, options(SECRET));
    process.env['SECURE_MESH_JWT_SECRET'] = SECRET;
    try {
      const { client } = await call(server, { paths: { keysDir: elsewhere() } });
      await client.call('count');
    } finally {
      delete process.env['SECURE_MESH_JWT_SECRET'];
    }
  });
});

describe('with pinned keys', () => {
  /** Two services on different machines, each with the other's key. */
  async function pinned(): Promise<{ server: SecureMesh; callerKeys: string; publicKey: string }> {
    const callerKeys = elsewhere();
    const probe = make('caller', { paths: { keysDir: callerKeys } });
    await probe.initialize();
    const callerKey = probe.publicKey();
    await probe.cleanup();
    const server = await serve('server', count, {
      host: '127.0.0.1',
      paths: { keysDir: elsewhere() },
      discovery: {
        // The caller does not listen, so its entry has only a key.
        services: [{ id: 'caller', publicKey: callerKey }],
      },
    });
    return { server, callerKeys, publicKey: server.publicKey() };
  }

  it('a service accepts its peer’s key, and no other', { timeout: 60_000 }, async () => {
    const { server, callerKeys, publicKey } = await pinned();
    const services = [{ ...entry('server', server), publicKey }];
    const { client, mesh } = await call(server, {
      paths: { keysDir: callerKeys },
      discovery: { services },
    });
    await client.call('count');
    expect(mesh.getStats().peers[0]?.trust).toBe('pinned');
    expect(await errorOf(server.connect('caller').call('x'))).toMatchObject({
      code: 'NOT_FOUND',
      reason: 'UNKNOWN_SERVICE',
      message: expect.stringContaining('known by its key alone'),
    });

    // The caller's id with a different key, then the server's id with a different key.
    await refused(server, { paths: { keysDir: elsewhere() }, discovery: { services } }, {});
    const wrong = [{ ...entry('server', server), publicKey: mesh.publicKey() }];
    await refused(
      server,
      { paths: { keysDir: callerKeys }, discovery: { services: wrong } },
      { reason: 'KEY_MISMATCH' },
    );
  });
});

it('keys of 2048 and of 4096 bits get along', { timeout: 60_000 }, async () => {
  const large = elsewhere();
  const server = await serve('server', count);
  copyFileSync(join(keysDir, 'mesh-secret'), join(large, 'mesh-secret'));
  const mesh = make('large', {
    security: { rsaKeySize: 4096 },
    paths: { keysDir: large },
    discovery: { services: [entry('server', server)] },
  });
  await mesh.initialize();
  expect(await mesh.connect('server').call('count')).toBe(requests);
});

describe('AES keys', () => {
  it.each([
    [128, 128, 128],
    [192, 192, 192],
    [256, 256, 256],
    [128, 256, 256],
    [192, 128, 192],
  ] as const)('of %d bits here and %d there make a session of %d', async (here, there, both) => {
    const server = await serve('server', count, { security: { aesKeySize: there } });
    const { client, mesh } = await call(server, { security: { aesKeySize: here } });
    await client.call('count');
    for (const { peers } of [mesh.getStats(), server.getStats()]) {
      expect(peers.map(({ aesKeySize }) => aesKeySize)).toEqual([both]);
    }
  });
});
