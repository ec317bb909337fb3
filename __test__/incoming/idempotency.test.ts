// Calls with an idempotency key run once, however often they are repeated.
import { describe, expect, it } from 'vitest';
import { MeshError, SecureMesh, type Context } from '../../js/index.js';
import { pair, services } from '../support/kit.js';
import { call, config, entry, serve } from '../support/meshes.js';
import { deferred, errorOf, sleep, until } from '../support/promises.js';

const KEY = { idempotencyKey: '5f0c7e1e' };

describe('a call with an idempotency key', () => {
  it('is done once, one after the other and at once', async () => {
    let runs = 0;
    const gate = deferred();
    const { client } = await pair((mesh) =>
      mesh.handle('pay', async (_, ctx) => {
        runs += 1;
        ctx.responseMetadata['receipt'] = 'r';
        await gate.promise;
        return { runs };
      }),
    );
    const seen: unknown[] = [];
    const options = { ...KEY, onResponseMetadata: (sent: object) => void seen.push(sent) };
    const both = [client.call('pay', 1, options), client.call('pay', 1, options)];
    await until(() => runs === 1);
    await sleep(20);
    gate.resolve();
    expect(await Promise.all(both)).toEqual([{ runs: 1 }, { runs: 1 }]);
    expect(await client.call('pay', 1, options)).toEqual({ runs: 1 });
    expect(seen).toEqual([{ receipt: 'r' }, { receipt: 'r' }, { receipt: 'r' }]);
    expect(await client.call('pay', 1, { idempotencyKey: 'other' })).toEqual({ runs: 2 });
    expect(await client.call('pay', 1)).toEqual({ runs: 3 });
    expect(runs).toBe(3);
  });

  it('is another one for another caller, method or service', async () => {
    let runs = 0;
    const kit = await services({ server: { a: () => (runs += 1), b: () => (runs += 1) } });
    const client = kit.connect('server');
    expect(await client.call('a', 1, KEY)).toBe(1);
    expect(await client.call('b', 1, KEY)).toBe(2);
    expect(await kit.connect('server', { as: 'second' }).call('a', 1, KEY)).toBe(3);
    expect(await client.call('a', 1, KEY)).toBe(1);
  });

  it('with another input is a mistake', async () => {
    let runs = 0;
    const { client } = await pair((mesh) => mesh.handle('pay', () => (runs += 1)));
    await client.call('pay', { amount: 1 }, KEY);
    for (const other of [{ amount: 2 }, undefined, new Uint8Array(1), '{"amount":1}']) {
      expect(await errorOf(client.call('pay', other, KEY))).toMatchObject({
        code: 'INVALID_ARGUMENT',
        reason: 'IDEMPOTENCY_MISMATCH',
        remote: true,
      });
    }
    expect(runs).toBe(1);
  });

  it('keeps bytes as they were, and a large answer', async () => {
    const bytes = new Uint8Array(1 << 20).fill(1);
    const { client } = await pair((mesh) => mesh.handle('get', () => bytes));
    await client.call('get', 1, KEY);
    bytes.fill(2);
    const again = await client.call<number, Uint8Array>('get', 1, KEY);
    expect(again.length).toBe(1 << 20);
    expect([again[0], again.at(-1)]).toEqual([1, 1]);
  });

  it('keeps an error, unless trying again makes sense', async () => {
    let runs = 0;
    const { client } = await pair((mesh) =>
      mesh.handle('pay', (code: any) => {
        runs += 1;
        if (code === 'none') throw new Error('secret detail');
        throw new MeshError(code, `run ${runs}`);
      }),
    );
    const message = async (code: string): Promise<string> =>
      (await errorOf(client.call('pay', code, { idempotencyKey: code }))).message;
    expect([await message('ABORTED'), await message('ABORTED')]).toEqual(['run 1', 'run 1']);
    expect([await message('UNAVAILABLE'), await message('UNAVAILABLE')]).toEqual([
      'run 2',
      'run 3',
    ]);
    const { errorId } = await errorOf(client.call('pay', 'none', KEY));
    expect((await errorOf(client.call('pay', 'none', KEY))).errorId).toBe(errorId);
    expect(runs).toBe(4);
  });

  it('whose caller was lost is answered when it asks again', async () => {
    let runs = 0;
    const gate = deferred();
    const started = deferred<Context>();
    const server = await serve('server', (mesh) =>
      mesh.handle('pay', async (_, ctx) => {
        runs += 1;
        started.resolve(ctx);
        await gate.promise;
        return runs;
      }),
    );
    const discovery = { services: [entry('server', server)] };
    const first = new SecureMesh(config('caller', { discovery }));
    await first.initialize();
    const lost = errorOf(first.connect('server').call('pay', 1, KEY));
    const { signal } = await started.promise;
    await first.cleanup();
    await lost;
    await until(() => signal.aborted);
    const { client } = await call(server);
    const again = client.call('pay', 1, KEY);
    await sleep(20);
    gate.resolve();
    expect(await again).toBe(1);
    expect(runs).toBe(1);
  });

  it('that was broken off is done by the next who asks', async () => {
    let runs = 0;
    const started = deferred();
    const { client } = await pair((mesh) =>
      mesh.handle('pay', (_, ctx) => {
        runs += 1;
        if (runs > 1) return runs;
        started.resolve();
        return new Promise((_done, reject) => {
          ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason as Error));
        });
      }),
    );
    const controller = new AbortController();
    const first = errorOf(client.call('pay', 1, { ...KEY, signal: controller.signal }));
    await started.promise;
    const second = client.call('pay', 1, KEY);
    controller.abort();
    await first;
    expect(await second).toBe(2);
  });

  it('is not kept for a method that may run twice', async () => {
    let runs = 0;
    const { client } = await pair((mesh) =>
      mesh.handle('get', { idempotent: true }, () => (runs += 1)),
    );
    await client.call('get', 1, KEY);
    expect(await client.call('get', 1, KEY)).toBe(2);
  });

  it.each<any>(['', 'a b', 'é', 'x'.repeat(129), 7])(
    'must have a key that can be one: %j',
    async (key) => {
      const { client } = await pair((mesh) => mesh.handle('pay', () => 1));
      const error = await errorOf(client.call('pay', 1, { idempotencyKey: key }));
      expect(error).toMatchObject({ reason: 'ARGUMENT', remote: false });
      expect(error.message).toMatch(/^options\.idempotencyKey must be 1…128 visible ASCII/);
    },
  );

  it('is unary', async () => {
    const { client } = await pair((mesh) => mesh.handle('many', async function* () {}));
    expect(await errorOf(client.serverStream('many', 1, KEY).next())).toMatchObject({
      message: 'options.idempotencyKey is for unary calls only',
    });
  });
});

describe('the option resilience.idempotency', () => {
  it('bounds what one caller has kept: a call beyond it is refused before its handler runs', async () => {
    let runs = 0;
    const logged: Record<string, unknown>[] = [];
    const kit = await services({ server: { pay: () => (runs += 1) } }, () => ({
      resilience: { idempotency: { maxKeys: 100, callerShare: 0.02, ttl: '2m' } },
      logger: { warn: (_, fields) => void logged.push(fields ?? {}) },
    }));
    const client = kit.connect('server');
    const key = (n: number) => ({ idempotencyKey: String(n) });
    expect(await client.call('pay', 1, key(1))).toBe(1);
    expect(await client.call('pay', 1, key(2))).toBe(2);
    const error = await errorOf(client.call('pay', 1, key(3)));
    expect(error).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'CALL_LIMIT',
      retryable: true,
      remote: true,
    });
    expect(error.message).toMatch(/^this caller may use 2 keys .*raise .*maxKeys of the service$/);
    expect(error.retryAfterMs).toBeGreaterThan(60_000);
    expect(error.retryAfterMs).toBeLessThanOrEqual(120_000);
    expect(runs).toBe(2);
    expect(await client.call('pay', 1, key(1)), 'a known key').toBe(1);
    expect(await client.call('pay', 1), 'a call without a key').toBe(3);
    const second = kit.connect('server', { as: 'second' });
    expect(await second.call('pay', 1, key(3)), 'another caller').toBe(4);
    expect(logged.filter(({ event }) => event === 'idempotency.refused')).toMatchObject([
      { caller: 'test', scope: 'caller', limit: 'maxKeys', value: 2, count: 1 },
    ]);
  });

  it.each<[object, RegExp]>([
    [{ ttl: 999 }, /^resilience\.idempotency\.ttl must be 1 second to 1 day, got 999$/],
    [{ ttl: '25h' }, /\.ttl must be 1 second to 1 day/],
    [{ maxKeys: 99 }, /\.maxKeys must be a whole number from 100, got 99$/],
    [{ maxKeys: 10_000_001 }, /\.maxKeys must be at most 10000000/],
    [{ maxBytes: 1024 }, /\.maxBytes must be a whole number from 1048576/],
    [{ callerShare: 0 }, /\.callerShare must be a number from 0\.01 to 1, got 0$/],
    [{ callerShare: NaN }, /\.callerShare must be/],
    [{ maxKey: 1000 }, /\.maxKey does not exist; did you mean maxKeys\?$/],
  ])('is checked: %j', (idempotency, message) => {
    const make = () => new SecureMesh(config('a', { resilience: { idempotency } }));
    expect(make).toThrow(message);
    expect(make).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', reason: 'CONFIG' }));
  });
});
