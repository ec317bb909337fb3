// Calls from mesh to mesh, through the addon and a real connection.
import { getEventListeners } from 'node:events';
import { expect, describe, it } from 'vitest';
import { MeshError, SecureMesh, SecureMeshClient, type Context } from '../js/index.js';
import {
  call,
  config,
  deferred,
  entry,
  errorOf,
  keysDir,
  make,
  pair,
  serve,
  sleep,
  until,
} from './support.js';

describe('calls', () => {
  it('carry JSON both ways, with the verified caller', async () => {
    const { client } = await pair((mesh) =>
      mesh.handle('methodName', async (input, ctx) => ({ hello: ctx.caller.serviceId, input })),
    );
    expect(await client.call('methodName', { data: 'payload' })).toEqual({
      hello: 'caller',
      input: { data: 'payload' },
    });
  });

  it.each([
    ['nothing', undefined],
    ['null', null],
    ['false', false],
    ['zero', 0],
    ['an empty text', ''],
    ['text of every width', 'aé€😀\u2028"\\'],
    ['a lone surrogate', '\ud800'],
    ['an array', [1, [2, [3]]]],
    ['a large object', Object.fromEntries(Array.from({ length: 5000 }, (_, n) => [`k${n}`, n]))],
    ['no bytes', new Uint8Array()],
    ['bytes', Uint8Array.from({ length: 256 }, (_, n) => n)],
    ['a megabyte of bytes', new Uint8Array(1 << 20).fill(7)],
  ])('carry %s there and back', async (_name, value) => {
    const { client } = await pair((mesh) => mesh.handle('echo', (input) => input));
    const result = await client.call('echo', value);
    expect(result).toEqual(value);
    if (value instanceof Uint8Array) expect(Buffer.isBuffer(result)).toBe(false);
  });

  it('go both ways between two services', async () => {
    const a = await serve('a', (mesh) => mesh.handle('who', () => 'a'));
    const b = await serve(
      'b',
      (mesh) => mesh.handle('who', () => 'b').handle('relay', (_, ctx) => ctx.call('a', 'who')),
      { discovery: { services: [entry('a', a)] } },
    );
    const { mesh } = await call(a, { discovery: { services: [entry('a', a), entry('b', b)] } });
    expect(await mesh.connect('a').call('who')).toBe('a');
    expect(await mesh.connect('b').call('who')).toBe('b');
    expect(await mesh.connect('b').call('relay')).toBe('a');
  });

  it('race for one session, and each gets its own answer', async () => {
    const { mesh, client } = await pair((server) =>
      server.handle('double', (n: number) => (n % 3 === 0 ? n * 2 : Promise.resolve(n * 2))),
    );
    const numbers = Array.from({ length: 1000 }, (_, n) => n);
    const results = await Promise.all(numbers.map((n) => client.call<number, number>('double', n)));
    expect(results).toEqual(numbers.map((n) => n * 2));
    expect(mesh.getStats().activeSessions).toBe(1);
    expect(mesh.getStats().connectedServices).toEqual(['server']);
  });

  it('send the input as it was when the call was made', async () => {
    const { client } = await pair((mesh) => mesh.handle('echo', (input) => input));
    const bytes = Uint8Array.of(1, 2, 3);
    const object = { n: 1 };
    const [first, second] = [client.call('echo', bytes), client.call('echo', object)];
    bytes.fill(9);
    object.n = 9;
    expect(await first).toEqual(Uint8Array.of(1, 2, 3));
    expect(await second).toEqual({ n: 1 });
  });

  it('cannot pollute prototypes', async () => {
    let seen: any;
    const { client } = await pair((mesh) => mesh.handle('take', (input) => void (seen = input)));
    await client.call('take', JSON.parse('{"__proto__":{"admin":true}}'));
    expect(Object.hasOwn(seen, '__proto__')).toBe(true);
    expect(seen.admin).toBeUndefined();
    expect(({} as any).admin).toBeUndefined();
  });

  it('can be made while the mesh is starting, and not before', async () => {
    const server = await serve('server', (mesh) => mesh.handle('echo', (input) => input));
    const mesh = make('caller', { discovery: { services: [entry('server', server)] } });
    const client = mesh.connect('server');
    expect(await errorOf(client.call('echo', 1))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'NOT_INITIALIZED',
    });
    const starting = mesh.initialize();
    const bytes = Uint8Array.of(1);
    const early = client.call('echo', bytes);
    bytes.fill(2);
    expect(await early).toEqual(Uint8Array.of(1));
    await starting;
  });

  it('get the same client for the same service', () => {
    const mesh = make('caller');
    expect(mesh.connect('server')).toBe(mesh.connect('server'));
    expect(mesh.connect('server').serviceId).toBe('server');
    expect(() => mesh.connect('')).toThrow(MeshError);
  });
});

describe('errors', () => {
  it('of a handler that throws a MeshError arrive exactly', async () => {
    const { client } = await pair((mesh) =>
      mesh
        .handle('sync', () => {
          throw new MeshError('NOT_FOUND', 'no such order', { data: { id: 1 }, retryAfterMs: 50 });
        })
        .handle('async', async () => {
          throw new MeshError('ABORTED', 'try €', { reason: 'STOCK', data: null });
        }),
    );
    const error = await errorOf(client.call('sync'));
    expect(error).toBeInstanceOf(MeshError);
    expect(error).toMatchObject({
      code: 'NOT_FOUND',
      reason: 'NOT_FOUND',
      message: 'no such order',
      data: { id: 1 },
      retryAfterMs: 50,
      remote: true,
      service: 'server',
      method: 'sync',
      attempts: 1,
    });
    expect(await errorOf(client.call('async'))).toMatchObject({
      code: 'ABORTED',
      reason: 'STOCK',
      message: 'try €',
    });
  });

  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;
  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('secret detail');
      },
    ],
    ['throws nothing', () => Promise.reject(undefined)],
    ['rejects', () => Promise.reject(new Error('secret detail'))],
    ['returns a cycle', () => cycle],
    ['returns a BigInt', () => ({ n: 1n })],
    ['returns a function', async () => () => 1],
    ['returns a stream', () => (async function* () {})()],
    [
      'returns a thenable that throws',
      () => ({
        then() {
          throw new Error('secret detail');
        },
      }),
    ],
    [
      'throws a MeshError with data that has no JSON',
      () => {
        throw new MeshError('NOT_FOUND', 'secret detail', { data: cycle });
      },
    ],
  ])('of a handler that %s are INTERNAL with an errorId', async (_name, handler) => {
    const logged: any[] = [];
    const { client } = await pair((mesh) => mesh.handle('fail', handler), {
      logger: { error: (...entry) => void logged.push(entry) },
    });
    const error = await errorOf(client.call('fail'));
    expect(error).toMatchObject({
      code: 'INTERNAL',
      reason: 'HANDLER',
      message: 'internal error',
      remote: true,
    });
    expect(error.errorId).toMatch(/^[0-9a-f-]{36}$/);
    expect(JSON.stringify(error)).not.toContain('secret');
    expect(logged).toHaveLength(1);
    expect(logged[0][1]).toMatchObject({
      errorId: error.errorId,
      method: 'fail',
      caller: 'caller',
    });
  });

  it('of the callee name what is wrong', async () => {
    const { client } = await pair((mesh) =>
      mesh.handle('private', { allow: ['somebody'] }, () => 1),
    );
    expect(await errorOf(client.call('none'))).toMatchObject({
      code: 'UNIMPLEMENTED',
      reason: 'METHOD_NOT_FOUND',
      remote: true,
    });
    expect(await errorOf(client.call('private'))).toMatchObject({ code: 'PERMISSION_DENIED' });
  });

  it.each<[string, unknown, unknown, any, object]>([
    ['a cycle', 'echo', cycle, {}, { reason: 'PAYLOAD' }],
    ['a BigInt', 'echo', 1n, {}, { reason: 'PAYLOAD' }],
    ['a function', 'echo', () => 1, {}, { reason: 'PAYLOAD' }],
    ['a symbol', 'echo', Symbol('s'), {}, { reason: 'PAYLOAD' }],
    ['no method', '', 1, {}, { message: 'method must be a non-empty string, got ""' }],
    ['a method that is none', 7, 1, {}, { message: 'method must be a non-empty string, got 7' }],
    [
      'a misspelt option',
      'echo',
      1,
      { timeout: 1 },
      { message: 'options.timeout does not exist; did you mean timeoutMs?' },
    ],
    ['a timeout of 0', 'echo', 1, { timeoutMs: 0 }, { reason: 'ARGUMENT' }],
    ['a timeout that is none', 'echo', 1, { timeoutMs: NaN }, { reason: 'ARGUMENT' }],
    ['a signal that is none', 'echo', 1, { signal: {} }, { reason: 'ARGUMENT' }],
    [
      'metadata that is no text',
      'echo',
      1,
      { metadata: { n: 1 } },
      { message: 'options.metadata.n must be a string, got 1' },
    ],
  ])('of wrong arguments: %s', async (_name, method, input, options, expected) => {
    const { client } = await pair((mesh) => mesh.handle('echo', (x) => x));
    const error = await errorOf(client.call(method as string, input, options));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', remote: false, ...expected });
  });

  it('of unknown services and of services that are not there', async () => {
    const server = await serve('server', () => {});
    const address = entry('server', server);
    await server.cleanup();
    const mesh = make('caller', { discovery: { services: [address] } });
    await mesh.initialize();
    expect(await errorOf(mesh.connect('unknown').call('x'))).toMatchObject({
      code: 'NOT_FOUND',
      reason: 'UNKNOWN_SERVICE',
    });
    expect(await errorOf(mesh.connect('server').call('x', 1, { timeoutMs: 3000 }))).toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'CONNECT_FAILED',
      retryable: true,
    });
  });

  it('of messages that are too large leave the session as it was', async () => {
    const { client, mesh } = await pair((server) =>
      server
        .handle('size', (bytes: Uint8Array) => bytes.length)
        .handle('make', (n: number) => new Uint8Array(n)),
    );
    expect(await client.call('size', new Uint8Array(1000))).toBe(1000);
    expect(await errorOf(client.call('size', new Uint8Array(5 << 20)))).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'TOO_LARGE',
    });
    expect((await errorOf(client.call('make', 5 << 20))).code).toMatch(
      /RESOURCE_EXHAUSTED|INTERNAL/,
    );
    expect(await client.call('size', new Uint8Array(4000))).toBe(4000);
    expect(mesh.getStats().activeSessions).toBe(1);
  });
});

describe('cancellation', () => {
  it('before the call sends nothing', async () => {
    let requests = 0;
    const { client } = await pair((mesh) => mesh.handle('count', () => (requests += 1)));
    const reason = new Error('changed my mind');
    const error = await errorOf(client.call('count', 1, { signal: AbortSignal.abort(reason) }));
    expect(error).toMatchObject({ code: 'CANCELLED', reason: 'CANCELLED', remote: false });
    expect(error.cause).toBe(reason);
    expect(await client.call('count')).toBe(1);
  });

  it('during the call reaches the handler, and leaves no listener behind', async () => {
    const started = deferred<Context>();
    const { client } = await pair((mesh) =>
      mesh
        .handle('wait', (_, ctx) => {
          started.resolve(ctx);
          return new Promise(() => {});
        })
        .handle('echo', (x) => x),
    );
    const controller = new AbortController();
    const waiting = client.call('wait', 1, { signal: controller.signal });
    const context = await started.promise;
    expect(context.signal.aborted).toBe(false);
    controller.abort();
    expect(await errorOf(waiting)).toMatchObject({ code: 'CANCELLED' });
    await until(() => context.signal.aborted);
    expect(context.signal.reason).toMatchObject({ code: 'CANCELLED', reason: 'CANCELLED' });

    const { signal } = new AbortController();
    await client.call('echo', 1, { signal });
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
  });

  it('reaches the calls a handler makes', async () => {
    const inner = deferred<Context>();
    const a = await serve('a', (mesh) =>
      mesh.handle('wait', (_, ctx) => {
        inner.resolve(ctx);
        return new Promise(() => {});
      }),
    );
    const b = await serve('b', (mesh) => mesh.handle('relay', (_, ctx) => ctx.call('a', 'wait')), {
      discovery: { services: [entry('a', a)] },
    });
    const { client } = await call(b);
    const controller = new AbortController();
    const relayed = client.call('relay', 1, { signal: controller.signal });
    const context = await inner.promise;
    controller.abort();
    expect(await errorOf(relayed)).toMatchObject({ code: 'CANCELLED' });
    await until(() => context.signal.aborted);
  });

  it('makes a late answer be dropped', async () => {
    const gate = deferred();
    const started = deferred();
    const { client, server } = await pair((mesh) =>
      mesh
        .handle('late', async () => {
          started.resolve();
          await gate.promise;
          return 'late';
        })
        .handle('echo', (x) => x),
    );
    const controller = new AbortController();
    const waiting = errorOf(client.call('late', 1, { signal: controller.signal }));
    await started.promise;
    controller.abort();
    await waiting;
    await client.call('echo', 1);
    const before = server.getStats().messages.sent;
    gate.resolve();
    await sleep(20);
    expect(server.getStats().messages.sent).toBe(before);
    expect(await client.call('echo', 2)).toBe(2);
  });
});

describe('deadlines', () => {
  it('end a call whose handler never answers, on both sides', async () => {
    const started = deferred<Context>();
    const { client } = await pair((mesh) =>
      mesh.handle('never', (_, ctx) => {
        started.resolve(ctx);
        return new Promise(() => {});
      }),
    );
    await errorOf(client.call('none'));
    const begin = performance.now();
    const error = await errorOf(client.call('never', 1, { timeoutMs: 150 }));
    expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED', reason: 'DEADLINE' });
    expect(performance.now() - begin).toBeGreaterThan(140);
    expect(performance.now() - begin).toBeLessThan(1000);
    const context = await started.promise;
    await until(() => context.signal.aborted);
    expect(context.signal.reason).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(context.timeoutMs()).toBe(0);
  });

  it('are told to the handler, 10 s without one', async () => {
    const { client } = await pair((mesh) => mesh.handle('left', (_, ctx) => ctx.timeoutMs()));
    const byDefault = await client.call<unknown, number>('left');
    expect(byDefault).toBeGreaterThan(9000);
    expect(byDefault).toBeLessThanOrEqual(10_000);
    const asked = await client.call<unknown, number>('left', 1, { timeoutMs: 60_000 });
    expect(asked).toBeGreaterThan(59_000);
  });

  it('can be shorter for a handler than for its caller', async () => {
    const { client } = await pair((mesh) =>
      mesh.handle('slow', { timeoutMs: 50 }, () => new Promise(() => {})),
    );
    const error = await errorOf(client.call('slow', 1, { timeoutMs: 5000 }));
    expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED', reason: 'DEADLINE', remote: true });
  });

  it('are inherited by the calls a handler makes: the smaller wins', async () => {
    const a = await serve('a', (mesh) => mesh.handle('left', (_, ctx) => ctx.timeoutMs()));
    const b = await serve(
      'b',
      (mesh) =>
        mesh.handle('relay', async (timeoutMs: number | null, ctx) =>
          ctx.connect('a').call('left', 1, timeoutMs === null ? {} : { timeoutMs }),
        ),
      { discovery: { services: [entry('a', a)] } },
    );
    const { client } = await call(b);
    const relay = (inner: number | null, outer: number): Promise<number> =>
      client.call('relay', inner, { timeoutMs: outer });
    expect(await relay(null, 2000)).toBeLessThanOrEqual(2000);
    expect(await relay(500, 2000)).toBeLessThanOrEqual(500);
    expect(await relay(30_000, 2000)).toBeLessThanOrEqual(2000);
    const untouched = await relay(null, 60_000);
    expect(untouched).toBeGreaterThan(9000);
    expect(untouched).toBeLessThanOrEqual(10_000);
  });
});

describe('the context', () => {
  it('knows method, caller, metadata and request', async () => {
    let context!: Context;
    const { client } = await pair((mesh) =>
      mesh.handle('orders.get', (_, ctx) => {
        context = ctx;
        ctx.responseMetadata['cache'] = 'hit';
      }),
    );
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    await client.call('orders.get', {}, { metadata: { tenant: 't1', traceparent } });
    expect(context.method).toBe('orders.get');
    expect(context.attempt).toBe(1);
    expect(context.metadata).toEqual({ tenant: 't1', traceparent });
    expect(context.traceparent).toBe(traceparent);
    expect(context.caller).toMatchObject({ serviceId: 'caller', trust: 'embedded' });
    expect(context.requestId).toContain(context.caller.sessionId);
    expect(context.caller.claims['iss']).toBe('caller');
    expect(Object.isFrozen(context.caller)).toBe(true);
    expect(Object.isFrozen(context.caller.claims)).toBe(true);
  });
});

describe('handlers', () => {
  it('can be added after initialize, once for a method', async () => {
    const { client, server } = await pair(() => {});
    server.handle('late', () => 'here');
    expect(await client.call('late')).toBe('here');
    expect(() => server.handle('late', () => 2)).toThrow(/late has a handler already/);
  });

  it('are checked', () => {
    const mesh = make('server');
    expect(() => mesh.handle('x', 1 as never)).toThrow(MeshError);
    expect(() => mesh.handle('', () => 1)).toThrow(/method must be/);
    expect(() => mesh.handle('x', { timeout: 1 } as never, () => 1)).toThrow(
      /did you mean timeoutMs/,
    );
    expect(() => mesh.handle('x', { allow: 'a' } as never, () => 1)).toThrow(
      /array of service ids/,
    );
    expect(() => mesh.handle('x', { kind: 'many' } as never, () => 1)).toThrow(
      /options\.kind must be one of unary/,
    );
    expect(() => mesh.handle('x', { kind: 'unary' }, function* () {})).toThrow(
      /generator function, which cannot answer a unary call/,
    );
  });

  it('answer the kind of call they are for', async () => {
    const { client } = await pair((mesh) =>
      mesh
        .handle('many', async function* () {})
        .handle('upload', { kind: 'clientStream' }, () => 1),
    );
    expect(await errorOf(client.call('many'))).toMatchObject({
      code: 'UNIMPLEMENTED',
      reason: 'CALL_KIND',
      message: expect.stringContaining('client.serverStream()'),
    });
    expect(await errorOf(client.call('upload'))).toMatchObject({
      reason: 'CALL_KIND',
      message: 'upload is called with client.clientStream()',
    });
  });
});

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
    expect(warnings.filter((entry) => JSON.stringify(entry).includes('protoFile'))).toHaveLength(1);
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
