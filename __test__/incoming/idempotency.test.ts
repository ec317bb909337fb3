// Calls with an idempotency key: done once, however often they are asked for.
import { describe, expect, it } from 'vitest';
import { SafeLogger } from '../../js/base/logger.js';
import type { Answer } from '../../js/incoming/answers.js';
import { DEFAULT_LIMITS, type IdempotencyLimits } from '../../js/incoming/idempotency-limits.js';
import { Idempotency, type Outcome } from '../../js/incoming/idempotency.js';
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

/** An outcome of a given size. */
const outcome = (size: number): Outcome => ({
  answer: { failed: false, payload: new Uint8Array(size), meta: '' },
  keep: true,
});

/** A table, its clock, its log, and calls that count their runs. */
function table(given: Partial<IdempotencyLimits> = {}) {
  const limits = { ...DEFAULT_LIMITS, ttlMs: 1000, maxKeys: 400, ...given };
  let now = 0;
  const logged: any[] = [];
  const logger = new SafeLogger({
    warn: (message, fields) => void logged.push({ message, ...fields }),
  });
  const kept = new Idempotency(limits, logger, () => now);
  let count = 0;
  const attempt = (caller: string, key: string, size = 1): Promise<Answer> =>
    kept.run(caller, 'm', key, 'd', async () => {
      count += 1;
      return outcome(size);
    });
  return {
    kept,
    logged,
    attempt,
    pass: (ms: number) => void (now += ms),
    now: () => now,
    count: () => count,
    /** Whether a call had to run. */
    async runs(caller: string, key: string, size = 1): Promise<boolean> {
      const before = count;
      await attempt(caller, key, size);
      return count > before;
    },
    /** Whether a call was refused without a run, and with which error. */
    async refused(caller: string, key: string): Promise<any> {
      const before = count;
      const error = await errorOf(attempt(caller, key));
      expect(count, 'a refused call does not run').toBe(before);
      expect(error).toMatchObject({
        code: 'RESOURCE_EXHAUSTED',
        reason: 'CALL_LIMIT',
        retryable: true,
      });
      return error;
    },
    /** Calls that run until they are given an outcome. */
    start(caller: string, keys: number, prefix = 'running') {
      const gate = deferred<Outcome>();
      const calls = Array.from({ length: keys }, (_, n) =>
        kept.run(caller, 'm', `${prefix} ${n}`, 'd', () => gate.promise),
      );
      return {
        async end(made: Outcome): Promise<Answer[]> {
          gate.resolve(made);
          return Promise.all(calls);
        },
      };
    },
  };
}

describe('kept outcomes', () => {
  it('expire, each in its time, and leave nothing', async () => {
    const { kept, runs, pass } = table();
    expect(await runs('a', '1')).toBe(true);
    pass(999);
    expect(await runs('a', '1')).toBe(false);
    expect(await runs('a', '2')).toBe(true);
    pass(1);
    expect(await runs('a', '1')).toBe(true);
    expect(await runs('a', '2')).toBe(false);
    pass(5000);
    await runs('b', '1');
    expect([kept.size, kept.callers]).toEqual([1, 1]);
  });

  it('that expire together are removed a thousand at a time: the event loop has its turns', async () => {
    const { attempt, kept, pass, runs } = table({ maxKeys: 20_000 });
    for (let n = 0; n < 5_000; n += 1) await attempt('a', String(n));
    pass(1000);
    for (let left = 4_000; left >= 0; left -= 1_000) {
      await runs('b', '1');
      expect(kept.size).toBe(left + 1);
    }
  });

  it('of many short keys evict nothing, with the limits that are the default', async () => {
    const { attempt, count, runs } = table({ ...DEFAULT_LIMITS });
    for (let n = 0; n < 30; n += 1) await attempt('victim', `payment ${n}`);
    let refused = 0;
    for (let n = 0; n < 26_000; n += 1) {
      await attempt('attacker', String(n)).catch(() => (refused += 1));
    }
    expect(refused, 'a quarter of 100,000 is the share').toBe(1_000);
    const before = count();
    for (let n = 0; n < 30; n += 1) await attempt('victim', `payment ${n}`);
    for (let n = 0; n < 26_000 - refused; n += 1) await attempt('attacker', String(n));
    expect(count(), 'no call ran twice').toBe(before);
    expect(await runs('victim', 'a new one')).toBe(true);
  });

  it('are bounded in number for each caller: new keys are refused until the oldest expires', async () => {
    const { kept, pass, refused, runs } = table({ maxKeys: 40 });
    for (let n = 0; n < 10; n += 1) {
      await runs('loud', String(n));
      pass(10);
    }
    const error = await refused('loud', '10');
    expect(error.message).toContain('this caller may use 10 keys');
    expect(error.retryAfterMs).toBe(900);
    for (let n = 0; n < 10; n += 1) expect(await runs('loud', String(n))).toBe(false);
    expect(await runs('quiet', '1')).toBe(true);
    pass(error.retryAfterMs);
    expect(await runs('loud', '10')).toBe(true);
    expect(await runs('loud', '1')).toBe(false);
    expect((await refused('loud', '0')).retryAfterMs).toBe(10);
    expect(kept.size).toBe(11);
  });

  it('are bounded in bytes for each caller: few keys with large outcomes leave the rest their room', async () => {
    const { kept, refused, runs } = table({ maxBytes: 400_000 });
    for (let n = 0; n < 3; n += 1) expect(await runs('loud', String(n), 32_000)).toBe(true);
    const error = await refused('loud', '3');
    expect(error.message).toContain('this caller may use 100000 bytes');
    expect(error.retryAfterMs).toBe(1000);
    expect(kept.bytes).toBeLessThanOrEqual(100_000);
    for (let n = 0; n < 3; n += 1) expect(await runs('loud', String(n), 32_000)).toBe(false);
    expect(await runs('quiet', '1', 90_000)).toBe(true);
    expect(await runs('quiet', '1', 90_000)).toBe(false);
  });

  it('that are too large leave a trace: the repeated call gets an error, and does not run', async () => {
    const { attempt, count, kept, logged, pass, runs } = table({ maxBytes: 400_000 });
    const first = attempt('a', 'huge', 200_000);
    const waiting = attempt('a', 'huge', 200_000);
    for (const answer of await Promise.all([first, waiting])) {
      expect(answer, 'the first call and those that waited get the outcome').toMatchObject({
        failed: false,
      });
    }
    for (let n = 0; n < 3; n += 1) {
      const again = await attempt('a', 'huge', 200_000);
      expect(again.failed).toBe(true);
      expect(JSON.parse((again as { text: string }).text)).toMatchObject({
        code: 'ALREADY_EXISTS',
        retryable: false,
        message: expect.stringContaining('has run, and its outcome could not be kept'),
      });
    }
    expect(count()).toBe(1);
    expect(kept.bytes).toBeLessThan(1_000);
    expect(logged).toMatchObject([
      { event: 'idempotency.not_kept', caller: 'a', method: 'm', bytes: 200_000, count: 1 },
    ]);
    pass(1000);
    expect(await runs('a', 'huge')).toBe(true);
  });

  it('have 4 KiB reserved before the run: those that need no more are kept however full the table is', async () => {
    const { kept, refused, runs, start } = table({ maxBytes: 400_000, maxRunning: 1_000 });
    const running = start('a', 21);
    const error = await refused('a', 'one more');
    expect(error.message).toContain('this caller may use 100000 bytes');
    expect(error.retryAfterMs, 'no outcome has to expire').toBe(50);
    await running.end(outcome(4096));
    expect(kept.bytes).toBeLessThanOrEqual(100_000);
    for (let n = 0; n < 21; n += 1) expect(await runs('a', `running ${n}`)).toBe(false);
    const small = start('b', 21);
    await small.end(outcome(1));
    expect(await runs('b', 'one more'), 'the rest is given back').toBe(true);
  });

  it('never are of calls that still run: those are bounded for each caller, too', async () => {
    const { kept, refused, runs, start, attempt } = table({ maxRunning: 3 });
    const running = start('a', 3);
    const error = await refused('a', '4');
    expect(error.message).toContain('may have 3 calls with idempotency keys running');
    expect(error.retryAfterMs).toBe(50);
    const waits = attempt('a', 'running 0');
    expect(await runs('b', '1')).toBe(true);
    await running.end(outcome(1));
    await waits;
    expect(await runs('a', '4')).toBe(true);
    expect(kept.size).toBe(5);
  });

  it('of one caller do not use up the calls that others may have running', async () => {
    const { refused, runs, start } = table({ ...DEFAULT_LIMITS });
    const { maxRunning } = DEFAULT_LIMITS;
    for (const hostile of ['a', 'b', 'c']) {
      start(hostile, maxRunning);
      await refused(hostile, 'one more');
    }
    expect(await runs('honest', '1')).toBe(true);
  });

  it('of many callers can fill the table: then new keys are refused, and nothing is forgotten', async () => {
    const { kept, logged, pass, refused, runs } = table({ maxKeys: 40 });
    for (const caller of ['a', 'b', 'c', 'd']) {
      for (let n = 0; n < 10; n += 1) await runs(caller, String(n));
    }
    pass(400);
    for (let n = 0; n < 100; n += 1) {
      const error = await refused(`new ${n}`, '1');
      expect(error.message).toMatch(/^all callers of this service together may use 40 keys/);
      expect(error.retryAfterMs).toBe(600);
    }
    for (const caller of ['a', 'b', 'c', 'd']) {
      for (let n = 0; n < 10; n += 1) expect(await runs(caller, String(n))).toBe(false);
    }
    expect([kept.size, kept.callers]).toEqual([40, 4]);
    expect(logged, 'one entry a minute').toMatchObject([
      { event: 'idempotency.refused', scope: 'service', limit: 'maxKeys', value: 40, count: 1 },
    ]);
    pass(60_000);
    for (let n = 0; n < 40; n += 1) await runs(`caller ${n}`, '1');
    await refused('new', '1');
    expect(logged).toHaveLength(2);
    expect(logged[1], 'with those that it stands for').toMatchObject({ count: 100 });
  });

  it('of many callers can fill the table in bytes, too', async () => {
    const { refused, runs } = table({ maxBytes: 400_000 });
    for (const caller of ['a', 'b', 'c', 'd']) expect(await runs(caller, '1', 98_500)).toBe(true);
    const error = await refused('e', '1');
    expect(error.message).toMatch(/^all callers of this service together may use 400000 bytes/);
    for (const caller of ['a', 'b', 'c', 'd']) expect(await runs(caller, '1', 98_500)).toBe(false);
  });

  it('are nothing of work that fails, or that may be repeated', async () => {
    const { kept, start, runs, pass } = table({ maxRunning: 3 });
    await runs('a', 'kept');
    for (let n = 0; n < 10; n += 1) {
      const failing = kept.run('a', 'm', '1', 'd', () => Promise.reject(new Error('x')));
      expect((await errorOf(failing)).message).toBe('x');
    }
    expect(kept.size).toBe(1);
    pass(1000);
    await kept.run('a', 'm', '2', 'd', async () => ({ ...outcome(1), keep: false }));
    await start('b', 3).end({ ...outcome(1), keep: false });
    expect([kept.size, kept.bytes, kept.callers]).toEqual([0, 0, 0]);
  });

  it('are none where the handler transfers its bytes away: a trace is left', async () => {
    const { kept, attempt } = table();
    const payload = new Uint8Array(1000);
    await kept.run('a', 'm', '1', 'd', async () => {
      structuredClone(payload.buffer, { transfer: [payload.buffer] });
      return { answer: { failed: false, payload, meta: '' }, keep: true };
    });
    expect(await attempt('a', '1')).toMatchObject({ failed: true });
  });

  it('cost a full table nothing: a refusal looks at no other caller', async () => {
    const { attempt } = table({ maxKeys: 20_000, maxBytes: 1 << 30 });
    for (let n = 0; n < 20_000; n += 1) await attempt(`caller ${n}`, '1');
    const begun = performance.now();
    let refused = 0;
    for (let n = 0; n < 20_000; n += 1) await attempt('new', '1').catch(() => (refused += 1));
    expect(refused).toBe(20_000);
    // Half a second where this was written; a look at all callers each time takes minutes.
    expect(performance.now() - begun).toBeLessThan(10_000);
  });

  it.each([1, 2, 3, 4, 5])(
    'hold the promise and the limits through any history (seed %i)',
    async (seed) => {
      const limits = {
        ttlMs: 1000,
        maxKeys: 60,
        maxBytes: 200_000,
        callerShare: 0.3,
        maxRunning: 5,
      };
      const { kept, pass, now } = table(limits);
      let state = seed;
      const random = (below: number): number => {
        state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
        return (state >>> 8) % below;
      };
      const ended = new Map<string, number>();
      const running = new Map<string, (made: Outcome) => void>();
      const calls: Promise<unknown>[] = [];
      let accepted = 0;
      let refused = 0;
      for (let step = 0; step < 4_000; step += 1) {
        if (random(3) === 0) pass(random(60));
        const id = `${random(6)}/${random(60)}`;
        const [caller, key] = id.split('/') as [string, string];
        const [first] = running.keys();
        if (first !== undefined && random(2) === 0) {
          const keep = random(5) > 0;
          const settle = running.get(first)!;
          running.delete(first);
          if (keep) ended.set(first, now());
          settle({ ...outcome(random(4) === 0 ? random(40_000) : random(2_000)), keep });
          await new Promise(setImmediate);
        }
        if (running.has(id)) continue;
        const call = kept.run(caller, 'm', key, 'd', () => {
          const at = ended.get(id);
          if (at !== undefined) expect(now() - at).toBeGreaterThanOrEqual(limits.ttlMs);
          expect(running.has(id)).toBe(false);
          accepted += 1;
          return new Promise<Outcome>((settle) => void running.set(id, settle));
        });
        calls.push(call.catch(() => (refused += 1)));
        expect(kept.size).toBeLessThanOrEqual(limits.maxKeys);
        expect(kept.bytes).toBeLessThanOrEqual(limits.maxBytes);
      }
      for (const settle of running.values()) settle(outcome(1));
      await Promise.all(calls);
      expect(accepted).toBeGreaterThan(100);
      expect(refused).toBeGreaterThan(100);
      pass(limits.ttlMs);
      await kept.run('last', 'm', '1', 'd', async () => ({ ...outcome(1), keep: false }));
      expect([kept.size, kept.bytes, kept.callers]).toEqual([0, 0, 0]);
    },
  );
});
