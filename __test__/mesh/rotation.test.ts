import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { CryptoManager, SecureMesh, type MeshAuditEvent, type MeshConfig } from '../../js/index.js';
import { rsa } from '../support/keys.js';
import { call, config, make, pair, serve } from '../support/meshes.js';
import { errorOf, until } from '../support/promises.js';

const secrets = [
  'one secret of more than 32 bytes, first',
  'one secret of more than 32 bytes, next',
];
type Secured = Required<Pick<MeshConfig, 'security' | 'paths'>>;
const secured = (jwtSecret = secrets[0]!): Secured => ({
  security: { jwtSecret, rsaKeySize: 2048 },
  paths: { keysDir: directory() },
});

function directory(): string {
  const made = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-rotation-'));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

const echo = (mesh: SecureMesh): unknown => mesh.handle('echo', (input) => input);

describe('rotateSecret', () => {
  it('changes the secret of two services one after the other without a failed call', async () => {
    const { server, mesh, client } = await pair(echo, secured(), secured());
    let running = true;
    const calls = (async () => {
      let n = 0;
      for (; running; n += 1) expect(await client.call('echo', n)).toBe(n);
      return n;
    })();
    await server.rotateSecret(secrets[1]!, { graceMs: '5s' });
    await mesh.rotateSecret(secrets[1]!, { graceMs: 300 });
    await until(() => mesh.getStats().activeSessions === 0 || !running, 3_000).catch(
      () => undefined,
    );
    expect(await client.call('echo', 'after')).toBe('after');
    running = false;
    expect(await calls).toBeGreaterThan(0);
  });

  it('refuses the former secret once its grace is over, and says why where it is refused', async () => {
    const reasons: unknown[] = [];
    const logger = {
      warn: (_: string, fields?: { reason?: unknown }) => reasons.push(fields?.reason),
    };
    const lines: string[] = [];
    const all = (level: string) => (text: string, fields?: object) =>
      lines.push(`${level} ${text} ${JSON.stringify(fields)}`);
    const server = await serve('server', echo, {
      ...secured(),
      logger: {
        debug: all('d'),
        info: all('i'),
        error: all('e'),
        warn: (text, fields) => {
          all('w')(text, fields);
          logger.warn(text, fields);
        },
      },
    });
    const { paths, security } = secured();
    const { client } = await call(server, { paths, security });
    expect(await client.call('echo', 1)).toBe(1);
    await server.rotateSecret(secrets[1]!, { graceMs: 0 });
    const error = await errorOf(client.call('echo', 2));
    expect(error).toMatchObject({ code: 'UNAUTHENTICATED', reason: 'HANDSHAKE_REFUSED' });
    expect(reasons).toContain('SECRET_RETIRED');
    const other = await call(server, { ...secured(secrets[1]), paths });
    expect(await other.client.call('echo', 3)).toBe(3);
    expect(lines.length).toBeGreaterThan(2);
    for (const secret of secrets) expect(lines.join('\n')).not.toContain(secret);
  });

  it('refuses what is no rotation', async () => {
    const mesh = make('a', secured());
    expect(await errorOf(mesh.rotateSecret(secrets[1]!))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'NOT_INITIALIZED',
    });
    await mesh.initialize();
    expect(await errorOf(mesh.rotateSecret('short'))).toMatchObject({ reason: 'WEAK_SECRET' });
    for (const wrong of [
      [secrets[0]!],
      [7 as never],
      [secrets[1]!, { graceMs: -1 }],
      [secrets[1]!, { graceMs: '400d' }],
      [secrets[1]!, { grace: 1 } as never],
    ] as Parameters<SecureMesh['rotateSecret']>[]) {
      expect(await errorOf(mesh.rotateSecret(...wrong))).toMatchObject({
        code: 'INVALID_ARGUMENT',
        reason: 'ARGUMENT',
      });
    }
    const embedded = make('b');
    await embedded.initialize();
    expect(await errorOf(embedded.rotateSecret(secrets[1]!))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'ARGUMENT',
    });
  });
});

describe('rotateKeys', () => {
  it.each([
    ['in the embedded mode', () => ({})],
    ['with a secret, in directories of their own', secured],
  ])('gives a service another key that its peers take over, %s', async (_name, extra) => {
    const { server, client } = await pair(echo, extra(), extra());
    expect(await client.call('echo', 1)).toBe(1);
    const [pem, thumbprint] = [server.publicKey(), server.getStats().keyThumbprint];
    const next = await server.rotateKeys();
    expect(next).not.toBe(thumbprint);
    expect(server.getStats().keyThumbprint).toBe(next);
    expect(server.publicKey()).not.toBe(pem);
    expect(await client.call('echo', 2)).toBe(2);
  });

  it('is stored before it is used, and shared with a CryptoManager of the service', async () => {
    const extra = secured();
    const server = await serve('server', echo, extra);
    const next = await server.rotateKeys();
    const crypto = new CryptoManager({ keysDir: extra.paths!.keysDir!, rsaKeySize: 2048 });
    await crypto.initialize('server');
    expect(crypto.getThumbprint()).toBe(next);
    // In the other direction, the mesh takes over the stored key instead of generating a third one.
    await crypto.rotate();
    expect(await server.rotateKeys()).toBe(crypto.getThumbprint());
  });

  it('is done once in time by the option `rotation`, and told to the audit log', async () => {
    const events: MeshAuditEvent[] = [];
    const adapters = [{ logEvent: async (event: MeshAuditEvent) => void events.push(event) }];
    const server = await serve('server', echo, {
      ...secured(),
      rotation: { interval: 500, autoRotate: true },
      monitoring: { enabled: true, adapters },
    });
    const { client } = await call(server, secured());
    const first = server.getStats().keyThumbprint;
    await until(() => server.getStats().keyThumbprint !== first, 20_000);
    expect(await client.call('echo', 1)).toBe(1);
    const rotated = events.find(({ eventType }) => eventType === 'key_rotation');
    expect(rotated?.details).toMatchObject({ action: 'key.rotated', success: true });
    await server.cleanup();
    expect(await errorOf(server.rotateKeys())).toMatchObject({ reason: 'NOT_INITIALIZED' });
  });

  it('happens by itself only where that is asked for, with settings that make sense', async () => {
    const mesh = make('a', { rotation: { interval: 1, autoRotate: false } });
    await mesh.initialize();
    const first = mesh.getStats().keyThumbprint;
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(mesh.getStats().keyThumbprint).toBe(first);
    for (const rotation of [
      { interval: 0, autoRotate: true },
      { interval: 'soon', autoRotate: true },
      { intervalMs: 5, autoRotate: true },
      { autoRotate: true },
      7,
    ]) {
      let thrown: unknown;
      try {
        new SecureMesh(config('b', { rotation: rotation as never }));
      } catch (error) {
        thrown = error;
      }
      expect(thrown, JSON.stringify(rotation)).toMatchObject({
        code: 'INVALID_ARGUMENT',
        reason: 'CONFIG',
        message: expect.stringMatching(/^rotation/),
      });
    }
  });

  it('is refused beside a key that is given, which only its giver can replace', () => {
    const { privateKey } = rsa(2048);
    const rotation = { interval: '30d', autoRotate: true };
    const make = (extra: Partial<MeshConfig>) => () => new SecureMesh(config('given', extra));
    expect(make({ rotation, security: { privateKey } })).toThrow(
      expect.objectContaining({
        code: 'INVALID_ARGUMENT',
        reason: 'CONFIG',
        message: expect.stringMatching(/^rotation\.autoRotate .* \(security\.privateKey\).*anew/),
      }),
    );
    vi.stubEnv('SECURE_MESH_PRIVATE_KEY', privateKey);
    onTestFinished(() => void vi.unstubAllEnvs());
    expect(make({ rotation })).toThrow(/^rotation\.autoRotate .* \(SECURE_MESH_PRIVATE_KEY\)/);
    expect(make({ rotation: { ...rotation, autoRotate: false } })).not.toThrow();
    vi.stubEnv('SECURE_MESH_PRIVATE_KEY', ' ');
    expect(make({ rotation })).not.toThrow();
  });
});
