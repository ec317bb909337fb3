// The life cycle of a mesh, its configuration and its statistics.
import { describe, expect, it } from 'vitest';
import { MeshError, SecureMesh, SecureMeshClient, type Context } from '../../js/index.js';
import { config, entry, keysDir, make, pair, serve } from '../support/meshes.js';
import { deferred, errorOf, sleep, until } from '../support/promises.js';

describe('the life of a mesh', () => {
  it('begins once, however often it is asked to', async () => {
    const mesh = make('server', { port: 0 });
    expect(mesh.address()).toBeNull();
    expect(() => mesh.publicKey()).toThrow(MeshError);
    const [first, second] = [mesh.initialize(), mesh.initialize()];
    expect(first).toBe(second);
    await first;
    await mesh.initialize();
    expect(mesh.address()?.port).toBeGreaterThan(0);
    expect(mesh.publicKey()).toMatch(/^-----BEGIN PUBLIC KEY-----/);
    expect(await mesh.healthCheck()).toMatchObject({ status: 'healthy', services: 0 });
  });

  it('says that the port is taken, and can be tried again', async () => {
    const first = await serve('server', () => {});
    const { port } = entry('server', first);
    const second = make('second', { port });
    expect(await errorOf(second.initialize())).toMatchObject({ reason: 'LISTEN' });
    await first.cleanup();
    await second.initialize();
    expect(second.address()?.port).toBe(port);
  });

  it('ends once, in mid-call, with one outcome for each call', async () => {
    const started = deferred<Context>();
    const { mesh, client, server } = await pair((made) =>
      made.handle('never', (_, ctx) => {
        started.resolve(ctx);
        return new Promise(() => {});
      }),
    );
    const outcomes: any[] = [];
    const calls = Array.from({ length: 50 }, () =>
      client.call('never').catch((error) => outcomes.push(error)),
    );
    const context = await started.promise;
    await Promise.all([mesh.cleanup(), mesh.cleanup()]);
    await mesh.cleanup();
    await Promise.all(calls);
    expect(outcomes).toHaveLength(50);
    expect(new Set(outcomes.map(({ code, reason }) => `${code} ${reason}`))).toEqual(
      new Set(['CANCELLED CLOSED']),
    );
    await until(() => context.signal.aborted);
    expect(await errorOf(client.call('never'))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'CLOSED',
    });
    expect(await errorOf(mesh.initialize())).toMatchObject({ reason: 'CLOSED' });
    expect((await mesh.healthCheck()).status).toBe('unhealthy');
    await server.cleanup();
  });

  it('ends on the serving side in mid-call', async () => {
    const started = deferred<Context>();
    const { client, server } = await pair((mesh) =>
      mesh.handle('never', (_, ctx) => {
        started.resolve(ctx);
        return new Promise(() => {});
      }),
    );
    const waiting = errorOf(client.call('never', 1, { timeoutMs: 5000 }));
    const context = await started.promise;
    await server.cleanup();
    expect(context.signal.aborted).toBe(true);
    expect((await waiting).code).toMatch(/UNAVAILABLE|CANCELLED/);
  });

  it('can be drained: what runs is finished, what is new is refused', async () => {
    const gate = deferred();
    const started = deferred();
    const { client, server } = await pair((mesh) =>
      mesh.handle('slow', async () => {
        started.resolve();
        await gate.promise;
        return 'done';
      }),
    );
    const running = client.call('slow');
    await started.promise;
    const drained = server.drain({ timeoutMs: 5000 });
    await sleep(20);
    gate.resolve();
    expect(await running).toBe('done');
    await drained;
    expect((await errorOf(client.call('slow', 1, { timeoutMs: 2000 }))).code).toBe('UNAVAILABLE');
  });

  it('can be left to await using', async () => {
    const mesh = make('server', { port: 0 });
    await mesh.initialize();
    await mesh[Symbol.asyncDispose]();
    expect(await errorOf(mesh.initialize())).toMatchObject({ reason: 'CLOSED' });
  });

  it('can end before it began, and while it begins', async () => {
    await make('server').cleanup();
    const mesh = make('server', { port: 0 });
    const starting = mesh.initialize().catch(() => {});
    await mesh.cleanup();
    await starting;
  });

  it('ends without a fault, however late handlers answer requests that are gone', async () => {
    const faults: unknown[] = [];
    const none = (): void => undefined;
    const error = (...all: unknown[]): void => void faults.push(all);
    for (let round = 0; round < 5; round += 1) {
      const { server, mesh, client } = await pair(
        (made) =>
          made.handle('watch', async function* (turns: number, { signal }) {
            yield turns;
            await new Promise((resolve) => signal.addEventListener('abort', resolve));
            for (let left = turns; left > 0; left -= 1) await new Promise(setImmediate);
            throw signal.reason;
          }),
        { logger: { debug: none, info: none, warn: none, error } },
      );
      // Their handlers end one turn of the event loop after the other, before and after the end of the core.
      for (let turns = 0; turns < 100; turns += 1) {
        const items = client.serverStream('watch', turns)[Symbol.asyncIterator]();
        await items.next();
        void items.next().catch(none);
      }
      const drained = server.drain({ timeoutMs: 5000 });
      await mesh.cleanup();
      await drained;
      await sleep(20);
    }
    expect(faults).toEqual([]);
  });
});

describe('the configuration', () => {
  it.each<[any, RegExp]>([
    [undefined, /must be an object/],
    [null, /must be an object/],
    [{ serviceId: 'a/b' }, /serviceId/],
    [{ serviceId: 'a', prot: 1 }, /prot.*port/],
    [{ serviceId: 'a', port: 'x' }, /^port must be/],
    [{ serviceId: 'a', port: NaN }, /^port must be a finite number, got NaN/],
    [{ serviceId: 'a', port: 1n }, /^port must not be a bigint/],
    [{ serviceId: 'a', security: { rsaKeySize: 1024 } }, /security\.rsaKeySize/],
    [{ serviceId: 'a', security: { aesKeySize: 512 } }, /security\.aesKeySize/],
    [{ serviceId: 'a', security: { jwtSecret: 'short' } }, /randomBytes/],
    [
      {
        serviceId: 'a',
        discovery: {
          services: [
            { id: 'b', host: 'h', port: 1 },
            { id: 'c', host: 'h', port: 'x' },
          ],
        },
      },
      /discovery\.services\[1\]\.port must be 1…65535?.*"x"/,
    ],
    [{ serviceId: 'a', discovery: { services: 7 } }, /discovery\.services/],
    [{ serviceId: 'a', logger: 7 }, /logger must be/],
  ])('%o is refused by path', (wrong, message) => {
    let error: any;
    try {
      new SecureMesh(wrong);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(MeshError);
    expect(error.code).toBe('INVALID_ARGUMENT');
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain('short');
  });

  it('takes the keys of 0.2.0, and warns of protoFile once', async () => {
    const warnings: unknown[] = [];
    const mesh = make('server', {
      port: 0,
      paths: { protoFile: './proto/x.proto', logsDir: './logs' },
      resilience: { retry: { maxAttempts: 3, initialDelay: 10 } },
      monitoring: { enabled: true, adapters: [{ logEvent: async () => {} }] },
      rotation: { interval: 1000, autoRotate: false },
      logger: { warn: (...entry) => void warnings.push(entry) },
    });
    await mesh.initialize();
    // Nothing else happens in this mesh.
    const told = () => warnings.filter((entry) => JSON.stringify(entry).includes('protoFile'));
    await expect.poll(() => told().length).toBe(1);
  });

  it('is taken with each key size', { timeout: 60_000 }, async () => {
    for (const aesKeySize of [128, 192, 256] as const) {
      const { client, mesh } = await pair(
        (server) => server.handle('echo', (x) => x),
        { security: { aesKeySize, rsaKeySize: 2048 } },
        { security: { aesKeySize, rsaKeySize: 2048 } },
      );
      expect(await client.call('echo', aesKeySize)).toBe(aesKeySize);
      expect(mesh.getStats().peers[0]).toMatchObject({
        aesKeySize,
        serviceId: 'server',
        inbound: false,
      });
    }
  });

  it('survives a logger that throws', async () => {
    const logger = {
      error: () => {
        throw new Error('disk full');
      },
      debug: () => {
        throw new Error('disk full');
      },
    };
    const { client } = await pair(
      (mesh) =>
        mesh.handle('fail', () => {
          throw new Error('x');
        }),
      { logger },
    );
    expect(await errorOf(client.call('fail'))).toMatchObject({ reason: 'HANDLER' });
  });
});

describe('statistics', () => {
  it('count sessions and messages, in both shapes', async () => {
    const { mesh, client, server } = await pair((made) => made.handle('echo', (x) => x));
    expect(mesh.getStats()).toMatchObject({ service: 'caller', activeSessions: 0, services: 1 });
    await client.call('echo', 1);
    await errorOf(client.call('none'));
    expect(mesh.getStats()).toMatchObject({
      activeSessions: 1,
      messages: { sent: 2, received: 1, failed: 1 },
      sessions: { activeSessions: 1 },
      connectedServices: ['server'],
    });
    expect(server.getStats()).toMatchObject({
      activeSessions: 1,
      messages: { sent: 2, received: 2, failed: 1 },
      connectedServices: ['caller'],
    });
    expect(server.getStats().peers[0]?.sessionId).toBe(mesh.getStats().peers[0]?.sessionId);
    await mesh.cleanup();
    expect(mesh.getStats().activeSessions).toBe(0);
    await until(() => server.getStats().activeSessions === 0);
  });
});

describe('a client of 0.2.0', () => {
  it('connects, sends text and disconnects', async () => {
    const server = await serve('server', (mesh) =>
      mesh.handle('sendMessage', (text: string) => `Echo: ${text}`),
    );
    const { port } = entry('server', server);
    const client = new SecureMeshClient('old-client', 'server', `127.0.0.1:${port}`, keysDir);
    await client.connect();
    expect(await client.sendMessage('hello')).toBe('Echo: hello');
    client.disconnect();
    await until(() => server.getStats().activeSessions === 0);
    expect(() => new SecureMeshClient('a', 'b', 'nonsense')).toThrow(/address must be host:port/);
  });
});

it('a client that nobody holds any more still gets its answer', async () => {
  const { setFlagsFromString } = await import('node:v8');
  const { runInNewContext } = await import('node:vm');
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const gate = deferred();
  const server = await serve('server', (mesh) =>
    mesh.handle('slow', async () => {
      await gate.promise;
      return 'answer';
    }),
  );
  const start = async (): Promise<{ answer: Promise<unknown> }> => {
    const mesh = new SecureMesh(
      config('caller', { discovery: { services: [entry('server', server)] } }),
    );
    await mesh.initialize();
    return { answer: mesh.connect('server').call('slow') };
  };
  const { answer } = await start();
  await sleep(50);
  collect();
  gate.resolve();
  expect(await answer).toBe('answer');
});
