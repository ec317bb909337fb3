// Calls from mesh to mesh, through the addon and a real connection.
import { describe, expect, it } from 'vitest';
import { MeshError, type Context } from '../../js/index.js';
import { call, entry, make, pair, serve } from '../support/meshes.js';
import { errorOf } from '../support/promises.js';

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

  it('are cancelled by an abort from within their own input', async () => {
    let began = 0;
    const { client } = await pair((mesh) => mesh.handle('take', () => void (began += 1)));
    const controller = new AbortController();
    const input = {
      toJSON() {
        controller.abort();
        return 1;
      },
    };
    expect(await errorOf(client.call('take', input, { signal: controller.signal }))).toMatchObject({
      code: 'CANCELLED',
      reason: 'CANCELLED',
    });
    expect(began).toBe(0);
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
