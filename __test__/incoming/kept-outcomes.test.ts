// The table of outcomes that are kept for calls with an idempotency key.
import { describe, expect, it } from 'vitest';
import { SafeLogger } from '../../js/base/logger.js';
import type { Answer } from '../../js/incoming/answers.js';
import { DEFAULT_LIMITS, type IdempotencyLimits } from '../../js/incoming/idempotency-limits.js';
import { Idempotency, type Outcome } from '../../js/incoming/idempotency.js';
import { deferred, errorOf } from '../support/promises.js';

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
    /** Makes a call; returns whether it ran. */
    async runs(caller: string, key: string, size = 1): Promise<boolean> {
      const before = count;
      await attempt(caller, key, size);
      return count > before;
    },
    /** Makes a call that must be refused without a run; returns the error. */
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
    /** Starts calls that run until the test gives them an outcome. */
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
    // The loop takes about half a second; a scan of all callers in each step would take minutes.
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
