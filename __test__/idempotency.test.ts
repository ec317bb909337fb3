// Calls with an idempotency key: done once, however often they are asked for.
import { describe, expect, it } from 'vitest';
import { Idempotency, type Outcome } from '../js/idempotency.js';
import { MeshError, SecureMesh, type Context } from '../js/index.js';
import { pair, services } from './kit.js';
import { call, config, deferred, entry, errorOf, serve, sleep, until } from './support.js';

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
      const error = await errorOf(client.call('pay', 1, { idempotencyKey: key } as never));
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

/** An outcome of a given size. */
const outcome = (size: number): Outcome => ({
  answer: { failed: false, payload: new Uint8Array(size), meta: '' },
  keep: true,
});

describe('what is kept', () => {
  function table(limits: { ttlMs?: number; maxEntries?: number; maxBytes?: number }) {
    let now = 0;
    const kept = new Idempotency(
      { ttlMs: 1000, maxEntries: 100, maxBytes: 1 << 20, ...limits },
      () => now,
    );
    let runs = 0;
    return {
      kept,
      pass: (ms: number) => void (now += ms),
      /** Whether a call had to run. */
      async runs(caller: string, key: string, size = 1): Promise<boolean> {
        const before = runs;
        await kept.run(caller, 'm', key, 'd', async () => {
          runs += 1;
          return outcome(size);
        });
        return runs > before;
      },
    };
  }

  it('is forgotten when it is too old', async () => {
    const { kept, runs, pass } = table({});
    expect(await runs('a', '1')).toBe(true);
    pass(999);
    expect(await runs('a', '1')).toBe(false);
    expect(await runs('a', '2')).toBe(true);
    pass(1);
    expect(await runs('a', '1')).toBe(true);
    expect(await runs('a', '2')).toBe(false);
    pass(5000);
    await runs('b', '1');
    expect(kept.size).toBe(1);
  });

  it('is bounded in number: who has most loses first', async () => {
    const { kept, runs } = table({ maxEntries: 10 });
    await runs('quiet', '1');
    for (let n = 0; n < 1000; n += 1) await runs('loud', String(n));
    expect(kept.size).toBe(10);
    expect(await runs('quiet', '1')).toBe(false);
    expect(await runs('loud', '999')).toBe(false);
    expect(await runs('loud', '0')).toBe(true);
  });

  it('is bounded in bytes', async () => {
    const { kept, runs } = table({ maxBytes: 10_000 });
    await runs('quiet', '1');
    for (let n = 0; n < 100; n += 1) await runs('loud', String(n), 3000);
    expect(kept.size).toBeLessThanOrEqual(4);
    expect(await runs('quiet', '1')).toBe(false);
    expect(await runs('loud', 'huge', 20_000)).toBe(true);
    expect(await runs('loud', 'huge', 20_000)).toBe(true);
  });

  it('never is something that still runs: there is no room then', async () => {
    const { kept } = table({ maxEntries: 2 });
    const gate = deferred<Outcome>();
    const running = ['1', '2'].map((key) => kept.run('a', 'm', key, 'd', () => gate.promise));
    expect(await errorOf(kept.run('b', 'm', '3', 'd', async () => outcome(1)))).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      retryAfterMs: 50,
    });
    gate.resolve(outcome(1));
    await Promise.all(running);
    await kept.run('b', 'm', '3', 'd', async () => outcome(1));
    expect(kept.size).toBe(2);
  });

  it('is nothing of work that fails', async () => {
    const { kept } = table({});
    await errorOf(kept.run('a', 'm', '1', 'd', () => Promise.reject(new Error('x'))));
    expect(kept.size).toBe(0);
  });
});
