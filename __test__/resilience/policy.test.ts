import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  MeshError,
  SecureMesh,
  SecureMeshClient,
  SecureMeshServer,
  type MeshAuditEvent,
  type MeshConfig,
} from '../../js/index.js';
import { call, config, entry, keysDir, make, pair, serve } from '../support/meshes.js';
import { deferred, errorOf, until } from '../support/promises.js';

type Resilience = NonNullable<MeshConfig['resilience']>;

const breaker: Resilience = {
  circuitBreaker: { failureThreshold: 3, successThreshold: 1, timeout: 60_000 },
};
const retry: Resilience = { retry: { maxAttempts: 3, initialDelay: 1 } };

/** Collects the entries of an audit log. */
function audit(): { events: MeshAuditEvent[]; monitoring: NonNullable<MeshConfig['monitoring']> } {
  const events: MeshAuditEvent[] = [];
  const adapters = [{ logEvent: async (event: MeshAuditEvent) => void events.push(event) }];
  return { events, monitoring: { enabled: true, adapters } };
}

describe('quotas', () => {
  it('bound the requests of each caller by its verified identity (P27)', async () => {
    const { events, monitoring } = audit();
    const server = await serve('server', (mesh) => mesh.handle('m', () => 1), {
      resilience: { rateLimit: { maxRequests: 3, windowMs: 60_000 } },
      monitoring,
    });
    const { client } = await call(server);
    for (let n = 0; n < 3; n += 1) expect(await client.call('m')).toBe(1);
    const error = await errorOf(client.call('m', 0, { metadata: { 'x-service-id': 'other' } }));
    expect(error).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'RATE_LIMITED',
      remote: true,
    });
    expect(error.retryAfterMs).toBeGreaterThan(15_000);
    for (let n = 0; n < 20; n += 1) await errorOf(client.call('m'));
    const other = make('victim', { discovery: { services: [entry('server', server)] } });
    await other.initialize();
    expect(await other.connect('server').call('m'), 'a victim has its own').toBe(1);
    const refused = events.filter(({ eventType }) => eventType === 'rate_limit');
    expect(refused, 'a caller cannot fill the log').toMatchObject([
      { details: { success: false, metadata: { clientId: 'caller' } } },
    ]);
    expect(server.getStats().metrics.rateLimiting).toEqual({ allowed: 4, blocked: 21 });
  });

  it('count requests for methods that do not exist, or are called in the wrong way', async () => {
    const server = await serve(
      'server',
      (mesh) =>
        mesh.handle('m', { kind: 'unary' }, () => 1).handle('own', { allow: ['b'] }, () => 1),
      { resilience: { rateLimit: { maxRequests: 6, windowMs: 60_000 } } },
    );
    const { client } = await call(server);
    const read = async (): Promise<void> => {
      for await (const item of client.serverStream('m')) expect(item).toBeUndefined();
    };
    const reasons: string[] = [];
    for (let n = 0; n < 3; n += 1) reasons.push((await errorOf(client.call('none'))).reason);
    reasons.push((await errorOf(client.call('own'))).reason, (await errorOf(read())).reason);
    expect(await client.call('m')).toBe(1);
    reasons.push((await errorOf(client.call('none'))).reason);
    reasons.push((await errorOf(client.call('m'))).reason);
    expect(reasons).toEqual([
      ...Array(3).fill('METHOD_NOT_FOUND'),
      'PERMISSION_DENIED',
      'CALL_KIND',
      'RATE_LIMITED',
      'RATE_LIMITED',
    ]);
  });

  it('refuse before the method is looked up, and JavaScript hears nothing of it', async () => {
    const server = await serve('server', (mesh) => mesh.handle('m', () => 1), {
      resilience: { rateLimit: { maxRequests: 2, windowMs: 60_000 } },
    });
    const { client } = await call(server);
    expect(await errorOf(client.call('none'))).toMatchObject({ reason: 'METHOD_NOT_FOUND' });
    expect(await client.call('m')).toBe(1);
    for (const method of ['m', 'none']) {
      expect(await errorOf(client.call(method))).toMatchObject({ reason: 'RATE_LIMITED' });
    }
    expect(server.getStats().messages.received).toBe(2);
  });

  it('are not touched by strangers who only claim to be somebody (P28)', async () => {
    const server = await serve('server', (mesh) => mesh.handle('m', () => 1), {
      resilience: { rateLimit: { maxRequests: 2, windowMs: 60_000 } },
      security: { jwtSecret: 'one secret that is long enough 0123456789' },
    });
    const stranger = make('caller', {
      discovery: { services: [entry('server', server)] },
      security: { jwtSecret: 'another secret, long enough too 987654321' },
    });
    await stranger.initialize();
    for (let n = 0; n < 5; n += 1) {
      expect((await errorOf(stranger.connect('server').call('m'))).code).toBe('UNAUTHENTICATED');
    }
    const security = { jwtSecret: 'one secret that is long enough 0123456789' };
    const { client } = await call(server, { security });
    expect(await client.call('m')).toBe(1);
    expect(await client.call('m')).toBe(1);
  });
});

describe('breakers', () => {
  it('leave a service alone that fails, and no other', async () => {
    const { events, monitoring } = audit();
    const server = await serve('server', (mesh) => {
      mesh.handle('bad', () => {
        throw new Error('bug');
      });
    });
    const well = await serve('well', (mesh) => mesh.handle('good', () => 1));
    const services = [entry('server', server), entry('well', well)];
    const { mesh, client } = await call(server, {
      discovery: { services },
      resilience: breaker,
      monitoring,
    });
    for (let n = 0; n < 3; n += 1) await errorOf(client.call('bad'));
    const before = server.getStats().messages.received;
    const error = await errorOf(client.call('bad'));
    expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'CIRCUIT_OPEN' });
    expect(error.retryAfterMs).toBeGreaterThan(50_000);
    expect(server.getStats().messages.received).toBe(before);
    expect(await mesh.connect('well').call('good')).toBe(1);
    expect(mesh.getStats().metrics.circuitBreaker.open).toBe(1);
    expect(events.find(({ eventType }) => eventType === 'circuit_breaker')).toMatchObject({
      targetServiceId: 'server',
      details: { action: 'open' },
    });
  });

  it('open when a service cannot be reached', async () => {
    const mesh = make('caller', {
      discovery: { services: [{ id: 'gone', host: '127.0.0.1', port: 1 }] },
      resilience: breaker,
    });
    await mesh.initialize();
    for (let n = 0; n < 3; n += 1) await errorOf(mesh.connect('gone').call('m'));
    expect(await errorOf(mesh.connect('gone').call('m'))).toMatchObject({ reason: 'CIRCUIT_OPEN' });
  });

  it('close when the service is well again', async () => {
    let well = false;
    const { client } = await pair(
      (mesh) =>
        mesh.handle('m', () => {
          if (well) return 1;
          throw new Error('bug');
        }),
      {},
      { resilience: { circuitBreaker: { ...breaker.circuitBreaker!, timeout: 30 } } },
    );
    for (let n = 0; n < 3; n += 1) await errorOf(client.call('m'));
    expect(await errorOf(client.call('m'))).toMatchObject({ reason: 'CIRCUIT_OPEN' });
    well = true;
    const start = Date.now();
    while ((await client.call('m').catch(() => 0)) !== 1)
      expect(Date.now() - start).toBeLessThan(5_000);
  });

  it('are not moved by errors of the caller’s making', async () => {
    const { client } = await pair(
      (mesh) => {
        mesh.handle('missing', () => {
          throw new MeshError('NOT_FOUND', 'none');
        });
        mesh.handle('good', () => 1);
      },
      {},
      { resilience: breaker },
    );
    for (let n = 0; n < 10; n += 1) {
      await errorOf(client.call('missing'));
      await errorOf(client.call('nothing of this name'));
      await errorOf(client.call('good', 5n));
    }
    expect(await client.call('good')).toBe(1);
  });

  it('are not opened by a third party that tampers (P36)', async () => {
    const server = await serve('server', (mesh) => mesh.handle('m', (input) => input));
    let tamper = false;
    const target = server.address()!;
    const sockets = new Set<Socket>();
    const proxy = createServer((socket) => {
      const onward = connect(target);
      for (const one of [socket, onward]) {
        sockets.add(one);
        one.on('error', () => undefined);
        one.on('close', () => (socket.destroy(), onward.destroy()));
      }
      socket.on('data', (bytes) => {
        // This byte is the length of an HTTP/2 frame, so that the connection breaks immediately.
        if (tamper && bytes.length > 60) bytes.writeUInt8(bytes[0]! ^ 0x80, 0);
        onward.write(bytes);
      });
      onward.on('data', (bytes) => socket.write(bytes));
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      proxy.close();
    });
    const { port } = proxy.address() as AddressInfo;
    const mesh = make('caller', {
      discovery: { services: [{ id: 'server', host: '127.0.0.1', port }] },
      resilience: { circuitBreaker: { ...breaker.circuitBreaker!, failureThreshold: 2 } },
    });
    await mesh.initialize();
    const client = mesh.connect('server');
    expect(await client.call('m', 1)).toBe(1);
    tamper = true;
    const errors: MeshError[] = [];
    for (let n = 0; n < 6; n += 1) {
      errors.push(await errorOf(client.call('m', 'x'.repeat(100), { timeoutMs: 2_000 })));
    }
    expect(errors.map(({ reason }) => reason)).not.toContain('CIRCUIT_OPEN');
    tamper = false;
    // After this many failures, the next connection attempt waits for up to five seconds.
    const answered = async (): Promise<void> => expect(await client.call('m', 2)).toBe(2);
    await vi.waitFor(answered, { timeout: 10_000, interval: 200 });
  });
});

describe('retries', () => {
  it('repeat nothing that may have run, unless it does no harm (P33)', async () => {
    let runs = 0;
    const { client } = await pair(
      (mesh) =>
        mesh.handle('m', () => {
          runs += 1;
          throw new MeshError('UNAVAILABLE', 'half done');
        }),
      {},
      { resilience: retry },
    );
    expect(await errorOf(client.call('m'))).toMatchObject({ message: 'half done' });
    expect(runs).toBe(1);
    expect(await errorOf(client.call('m', 0, { idempotent: true }))).toMatchObject({
      code: 'UNAVAILABLE',
    });
    expect(runs).toBe(4);
  });

  it('are counted: the handler is told which it is, and the caller how many there were', async () => {
    const told: number[] = [];
    const { client } = await pair(
      (mesh) =>
        mesh.handle('m', (_, ctx) => {
          told.push(ctx.attempt);
          throw new MeshError('UNAVAILABLE', 'not yet');
        }),
      {},
      { resilience: retry },
    );
    const error = await errorOf(client.call('m', 0, { idempotent: true }));
    expect(error.attempts).toBe(3);
    expect(await errorOf(client.call('m'))).toMatchObject({ attempts: 1 });
    expect(told).toEqual([1, 2, 3, 1]);
  });

  it('send what was given, whatever was done to it since', async () => {
    const got: unknown[] = [];
    const { client } = await pair(
      (mesh) =>
        mesh.handle('m', (input) => {
          got.push(input);
          if (got.length < 3) throw new MeshError('UNAVAILABLE', 'not yet');
          return 'done';
        }),
      {},
      { resilience: retry },
    );
    const input = { list: [1] };
    const done = client.call('m', input, { idempotent: true });
    input.list.push(2);
    expect(await done).toBe('done');
    expect(got).toEqual([{ list: [1] }, { list: [1] }, { list: [1] }]);
  });

  it('have no more time than the call, and stop with it', async () => {
    let runs = 0;
    const { client } = await pair(
      (mesh) =>
        mesh.handle('m', () => {
          runs += 1;
          throw new MeshError('UNAVAILABLE', 'later', { retryAfterMs: 5_000 });
        }),
      {},
      { resilience: retry },
    );
    const start = Date.now();
    await errorOf(client.call('m', 0, { idempotent: true, timeoutMs: 1_000 }));
    expect(Date.now() - start).toBeLessThan(900);
    expect(runs).toBe(1);
    const controller = new AbortController();
    const call = errorOf(client.call('m', 0, { idempotent: true, signal: controller.signal }));
    await until(() => runs === 2);
    setTimeout(() => controller.abort(), 20);
    expect(await call).toMatchObject({ code: 'CANCELLED', reason: 'CANCELLED' });
    expect(runs).toBe(2);
  });
});

describe('monitoring', () => {
  it('records sessions and calls, and refused handshakes (P42)', async () => {
    const { events, monitoring } = audit();
    const secret = 'one secret that is long enough 0123456789';
    const server = await serve('server', (mesh) => mesh.handle('m', () => 1), {
      security: { jwtSecret: secret },
      monitoring,
    });
    const own = audit();
    const { mesh, client } = await call(server, {
      security: { jwtSecret: secret },
      monitoring: own.monitoring,
    });
    await client.call('m');
    await errorOf(client.call('none'));
    const stranger = make('stranger', {
      discovery: { services: [entry('server', server)] },
      security: { jwtSecret: 'another secret, long enough too 987654321' },
    });
    await stranger.initialize();
    await errorOf(stranger.connect('server').call('m'));
    const connections = () => events.filter(({ eventType }) => eventType === 'connection');
    await until(() => connections().length === 2);
    expect(connections()).toMatchObject([
      { serviceId: 'server', targetServiceId: 'caller', details: { success: true } },
      { serviceId: 'server', details: { success: false, action: 'handshake.refused' } },
    ]);
    expect(JSON.stringify(events)).not.toContain(secret);
    const { metrics } = mesh.getStats();
    expect(metrics.connections.active).toBe(1);
    expect(metrics.performance.maxLatency).toBeGreaterThan(0);
    expect(own.events.map(({ eventType }) => eventType)).toContain('connection');
  });

  it('loses no entry when the mesh is cleaned up', async () => {
    const gate = deferred();
    const delivered: string[] = [];
    let closed = false;
    const adapter = {
      logEvent: async (event: MeshAuditEvent) => {
        await gate.promise;
        delivered.push(event.eventType);
      },
      close: async () => void (closed = true),
    };
    const server = await serve('server', (mesh) => mesh.handle('m', () => 1));
    const { mesh, client } = await call(server, {
      monitoring: { enabled: true, adapters: [adapter] },
    });
    await client.call('m');
    const done = mesh.cleanup();
    gate.resolve();
    await done;
    expect(delivered).toContain('connection');
    expect(closed).toBe(true);
  });
});

describe('options', () => {
  it('are checked, and named by their paths', () => {
    const bad = (extra: object) => () => new SecureMesh(config('a', extra));
    const wrong = (message: RegExp) =>
      expect.objectContaining({ message: expect.stringMatching(message) });
    for (const resilience of ['x', [], null, 5]) {
      expect(bad({ resilience })).toThrow(wrong(/^resilience must be an object/));
    }
    for (const options of [{ monitoring: [] }, { resilience: { idempotency: [] } }]) {
      expect(bad(options as never)).toThrow(wrong(/must be an object, got an array$/));
    }
    expect(bad({ resilience: { rateLimits: {} } })).toThrow(
      /resilience.rateLimits.*mean resilience.rateLimit/,
    );
    expect(bad({ resilience: { rateLimit: { maxRequests: 0, windowMs: 1 } } })).toThrow(
      expect.objectContaining({ reason: 'CONFIG' }),
    );
    expect(bad({ resilience: { rateLimit: { maxRequests: 0, windowMs: 1 } } })).toThrow(
      wrong(/^resilience.rateLimit.maxRequests must be/),
    );
    expect(bad({ resilience: { retry: { maxAttempts: 500 } } })).toThrow(
      wrong(/^resilience.retry.maxAttempts/),
    );
    expect(
      bad({
        resilience: { circuitBreaker: { failureThreshold: 1, successThreshold: 1, timeout: 0 } },
      }),
    ).toThrow(wrong(/^resilience.circuitBreaker.timeout/));
    expect(bad({ monitoring: { enabled: true, adapters: [{}] } })).toThrow(
      /monitoring.adapters\[0\]/,
    );
  });
});

describe('SecureMeshServer', () => {
  it('echoes to a SecureMeshClient, as 0.2.0 did', async () => {
    const server = new SecureMeshServer('echo', keysDir);
    expect(server.address()).toBeNull();
    await server.start(0);
    onTestFinished(() => server.close());
    const { host, port } = server.address()!;
    const client = new SecureMeshClient('old-caller', 'echo', `${host}:${port}`, keysDir);
    onTestFinished(() => client.disconnect());
    await client.connect();
    expect(await client.sendMessage('hello')).toBe('Echo: hello');
    expect(await errorOf(server.start(0))).toMatchObject({ code: 'ALREADY_EXISTS' });
    server.stop();
    expect(server.address()).toBeNull();
  });

  it('limits the rate, and takes handlers', async () => {
    const server = new SecureMeshServer('echo', keysDir, { maxRequests: 2, windowMs: 60_000 });
    server.handle('sendMessage', (text) => `Got: ${text}`);
    await server.start(0);
    onTestFinished(() => server.close());
    const { host, port } = server.address()!;
    const client = new SecureMeshClient('old-caller', 'echo', `${host}:${port}`, keysDir);
    onTestFinished(() => client.disconnect());
    expect(await client.sendMessage('a')).toBe('Got: a');
    expect(await client.sendMessage('b')).toBe('Got: b');
    expect(await errorOf(client.sendMessage('c'))).toMatchObject({ reason: 'RATE_LIMITED' });
  });
});
