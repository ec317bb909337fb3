import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  CircuitBreaker,
  CircuitState,
  MeshError,
  RateLimiter,
  RetryPolicy,
  TimeoutManager,
  type MeshErrorCode,
} from '../../js/index.js';
import { errorOf } from '../support/promises.js';

beforeEach(() => {
  vi.useFakeTimers({ now: 1_800_000_000_000 });
});
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const fail = (error: unknown = new Error('boom')) => Promise.reject(error);
const never = () => new Promise<never>(() => undefined);

describe('CircuitBreaker', () => {
  const settings = { failureThreshold: 3, successThreshold: 2, timeout: 5_000 };

  async function opened(extra = {}): Promise<CircuitBreaker> {
    const breaker = new CircuitBreaker({ ...settings, ...extra });
    for (let n = 0; n < 3; n += 1) await errorOf(breaker.execute(fail));
    expect(breaker.getState()).toBe(CircuitState.OPEN);
    return breaker;
  }

  it('opens, refuses at once, probes and closes', async () => {
    const states: CircuitState[] = [];
    const breaker = await opened({ onStateChange: (state: CircuitState) => states.push(state) });
    vi.advanceTimersByTime(1_000);
    const called = vi.fn();
    expect(await errorOf(breaker.execute(called))).toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'CIRCUIT_OPEN',
      retryAfterMs: 4_000,
    });
    expect(called).not.toHaveBeenCalled();
    vi.advanceTimersByTime(4_000);
    expect(await breaker.execute(async () => 1)).toBe(1);
    expect(breaker.getState()).toBe(CircuitState.HALF_OPEN);
    expect(await breaker.execute(() => 2)).toBe(2);
    expect(states).toEqual(['open', 'half_open', 'closed']);
  });

  it('counts failures in a window that slides (P35)', async () => {
    const breaker = new CircuitBreaker({ ...settings, monitoringPeriod: 10_000 });
    for (let n = 0; n < 20; n += 1) {
      await errorOf(breaker.execute(fail));
      vi.advanceTimersByTime(5_000);
    }
    expect(breaker.getState()).toBe(CircuitState.CLOSED);
  });

  it('lets no more probes through than have to succeed (P35)', async () => {
    const breaker = await opened();
    vi.advanceTimersByTime(5_000);
    const calls = vi.fn(never);
    void breaker.execute(calls);
    void breaker.execute(calls);
    for (let n = 0; n < 50; n += 1) {
      expect(await errorOf(breaker.execute(calls))).toMatchObject({ reason: 'CIRCUIT_OPEN' });
    }
    expect(calls).toHaveBeenCalledTimes(2);
    vi.advanceTimersByTime(5_000);
    void breaker.execute(calls);
    expect(calls, 'probes that hang do not hold it for ever').toHaveBeenCalledTimes(3);
  });

  it('is opened by failures of the service and by nothing else (P36)', async () => {
    const opens = async (code: MeshErrorCode, reason: string): Promise<boolean> => {
      const breaker = new CircuitBreaker(settings);
      const error = new MeshError(code, 'x', { reason });
      for (let n = 0; n < 10; n += 1) await errorOf(breaker.execute(() => fail(error)));
      return breaker.getState() === CircuitState.OPEN;
    };
    expect(await opens('UNAVAILABLE', 'CONNECT_FAILED')).toBe(true);
    expect(await opens('DEADLINE_EXCEEDED', 'DEADLINE')).toBe(true);
    expect(await opens('INTERNAL', 'HANDLER')).toBe(true);
    expect(await opens('UNAUTHENTICATED', 'RECORD_AUTH')).toBe(false);
    expect(await opens('DATA_LOSS', 'SEQUENCE_GAP')).toBe(false);
    expect(await opens('RESOURCE_EXHAUSTED', 'RATE_LIMITED')).toBe(false);
    expect(await opens('NOT_FOUND', 'NOT_FOUND')).toBe(false);
    expect(await opens('CANCELLED', 'CANCELLED')).toBe(false);
  });

  it('asks who knows better what a failure is', async () => {
    const breaker = new CircuitBreaker({
      ...settings,
      isFailure: (error) => error === 7 || undefined,
    });
    for (let n = 0; n < 5; n += 1) await errorOf(breaker.execute(() => fail(8)));
    expect(breaker.getState()).toBe(CircuitState.CLOSED);
    for (let n = 0; n < 5; n += 1) await errorOf(breaker.execute(() => fail(7)));
    expect(breaker.getState()).toBe(CircuitState.OPEN);
    breaker.reset();
    expect(await breaker.execute(() => 'back')).toBe('back');
  });

  it('names the setting that is wrong', () => {
    const bad = (extra: object) => () => new CircuitBreaker({ ...settings, ...extra });
    expect(bad({ failureThreshold: 0 })).toThrow(/config.failureThreshold must be a whole number/);
    expect(bad({ successThreshold: 1.5 })).toThrow(/config.successThreshold/);
    expect(bad({ timeout: 0 })).toThrow(/timeout must be at least 1 ms/);
    expect(bad({ timeout: undefined })).toThrow(/config.timeout/);
    expect(bad({ failureRate: 2 })).toThrow(/failureRate must be a number from 0 to 1/);
    expect(bad({ failurTreshold: 2 })).toThrow(/did you mean failureThreshold/);
  });
});

describe('RetryPolicy', () => {
  it('tries again with growing delays of random length (P33)', async () => {
    const random = vi.spyOn(Math, 'random').mockReturnValue(0.5);
    const policy = new RetryPolicy({ maxAttempts: 4, initialDelay: 100, maxDelay: 300 });
    const tries: number[] = [];
    const start = Date.now();
    const done = policy.execute((attempt) => {
      tries.push(Date.now() - start);
      return attempt < 4 ? fail() : 'done';
    });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await done).toBe('done');
    expect(tries).toEqual([0, 50, 150, 300]);
    random.mockRestore();
  });

  it('repeats nothing that has, or may have, been done (P33)', async () => {
    const policy = new RetryPolicy({ maxAttempts: 5, initialDelay: 1 });
    const attempts = async (error: unknown): Promise<number> => {
      let count = 0;
      const done = errorOf(policy.execute(() => ((count += 1), fail(error))));
      await vi.runAllTimersAsync();
      expect(await done).toBe(error);
      return count;
    };
    expect(await attempts(new MeshError('INTERNAL', 'x'))).toBe(1);
    expect(await attempts(new MeshError('DEADLINE_EXCEEDED', 'x'))).toBe(1);
    expect(await attempts(new MeshError('UNAVAILABLE', 'x', { retryable: false }))).toBe(1);
    expect(await attempts(new TypeError('a mistake'))).toBe(1);
    expect(await attempts(new DOMException('stop', 'AbortError'))).toBe(1);
    expect(await attempts(new MeshError('UNAVAILABLE', 'x'))).toBe(5);
    expect(await attempts(new Error('network'))).toBe(5);
  });

  it('waits as long as it is asked to', async () => {
    const policy = new RetryPolicy({ maxAttempts: 2, initialDelay: 1 });
    const error = new MeshError('UNAVAILABLE', 'x', { retryAfterMs: 700 });
    const fn = vi.fn(() => fail(error));
    const done = errorOf(policy.execute(fn));
    await vi.advanceTimersByTimeAsync(699);
    expect(fn).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(fn).toHaveBeenCalledTimes(2);
    await done;
  });

  it('knows errors by code, reason, name and message', async () => {
    const policy = new RetryPolicy({ maxAttempts: 2, initialDelay: 0, retryableErrors: ['ECONN'] });
    for (const [error, count] of [
      [new Error('connect ECONNREFUSED'), 2],
      [Object.assign(new Error('x'), { code: 'ECONN' }), 2],
      [new MeshError('INTERNAL', 'x', { reason: 'ECONN' }), 2],
      [new Error('other'), 1],
      ['ECONN as text', 2],
    ] as const) {
      const fn = vi.fn(() => fail(error));
      const done = errorOf(policy.execute(fn));
      await vi.runAllTimersAsync();
      await done;
      expect(fn, String(error)).toHaveBeenCalledTimes(count);
    }
  });

  it('has a budget for the retries of all', async () => {
    const budget = { ratio: 0.1, reserve: 2 };
    const policy = new RetryPolicy({ maxAttempts: 10, initialDelay: 0, budget });
    let tries = 0;
    const all = Array.from({ length: 20 }, () =>
      errorOf(policy.execute(() => ((tries += 1), fail()))),
    );
    await vi.runAllTimersAsync();
    await Promise.all(all);
    expect(tries - 20).toBeLessThanOrEqual(4);
    expect(tries).toBeGreaterThan(20);
  });

  it('stops when told to', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const policy = new RetryPolicy({ maxAttempts: 3, initialDelay: 1_000, jitter: false });
    const fn = vi.fn(fail);
    const done = errorOf(policy.execute(() => fn(), { signal }));
    await vi.advanceTimersByTimeAsync(10);
    controller.abort(new Error('enough'));
    expect(await done).toMatchObject({ message: 'enough' });
    expect(fn).toHaveBeenCalledTimes(1);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('names the setting that is wrong', () => {
    const bad = (config: object) => () => new RetryPolicy(config as never);
    expect(bad({})).toThrow(/config.maxAttempts must be a whole number/);
    expect(bad({ maxAttempts: 101 })).toThrow(/maxAttempts must be a whole number from 1 to 100/);
    expect(bad({ maxAttempts: 2, backoffMultiplier: 0.5 })).toThrow(/backoffMultiplier/);
    expect(bad({ maxAttempts: 2, initialDelay: 5, maxDelay: 4 })).toThrow(
      /maxDelay must not be shorter/,
    );
    expect(bad({ maxAttempts: 2, retryableErrors: [7] })).toThrow(/config.retryableErrors\[0\]/);
    expect(bad({ maxAttempts: 2, budget: { ratio: -1 } })).toThrow(/budget.ratio/);
  });
});

describe('TimeoutManager', () => {
  it('ends what takes too long, and says so to it (P34)', async () => {
    const limit = new TimeoutManager({ timeout: 50, errorMessage: 'too slow' });
    let told: AbortSignal | undefined;
    const done = errorOf(limit.execute((signal) => ((told = signal), never())));
    await vi.advanceTimersByTimeAsync(50);
    const error = await done;
    expect(error).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      reason: 'DEADLINE',
      message: 'too slow',
    });
    expect(told?.reason).toBe(error);
  });

  it('leaves no timer and no listener behind (P34)', async () => {
    const limit = new TimeoutManager({ timeout: '1h' });
    const { signal } = new AbortController();
    expect(await limit.execute(async () => 5, { signal })).toBe(5);
    expect(await errorOf(limit.execute(() => fail(), { signal }))).toMatchObject({
      message: 'boom',
    });
    const thrown = limit.execute(() => {
      throw new Error('at once');
    });
    expect(await errorOf(thrown)).toMatchObject({ message: 'at once' });
    expect(vi.getTimerCount()).toBe(0);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('stops when told to', async () => {
    const limit = new TimeoutManager({ timeout: 1_000 });
    const controller = new AbortController();
    const done = errorOf(limit.execute(never, { signal: controller.signal }));
    controller.abort(new Error('enough'));
    expect(await done).toMatchObject({ message: 'enough' });
    const aborted = limit.execute(never, { signal: controller.signal });
    expect(await errorOf(aborted)).toMatchObject({ message: 'enough' });
  });
});

describe('RateLimiter', () => {
  it('allows a window’s worth, then one at a time', () => {
    const limiter = new RateLimiter({ maxRequests: 4, windowMs: 1_000 });
    expect([1, 2, 3, 4].map(() => limiter.check('a').remaining)).toEqual([3, 2, 1, 0]);
    expect(limiter.check('a')).toEqual({
      allowed: false,
      remaining: 0,
      resetTime: new Date(1_800_000_001_000),
      retryAfter: 1,
      retryAfterMs: 250,
    });
    expect(limiter.check('b').allowed).toBe(true);
    vi.advanceTimersByTime(250);
    expect(limiter.check('a').allowed).toBe(true);
    expect(limiter.check('a').allowed).toBe(false);
  });

  it('does not give two windows’ worth at the edge of one', () => {
    const limiter = new RateLimiter({ maxRequests: 100, windowMs: 1_000 });
    vi.advanceTimersByTime(999);
    let allowed = 0;
    for (let n = 0; n < 200; n += 1) allowed += Number(limiter.check('a').allowed);
    vi.advanceTimersByTime(2);
    for (let n = 0; n < 200; n += 1) allowed += Number(limiter.check('a').allowed);
    expect(allowed).toBe(100);
  });

  it('refuses a client that asked for too much for as long as set', () => {
    const limiter = new RateLimiter({ maxRequests: 1, windowMs: 1_000, blockDuration: 5_000 });
    limiter.check('a');
    expect(limiter.check('a')).toMatchObject({ allowed: false, retryAfter: 5 });
    vi.advanceTimersByTime(4_999);
    expect(limiter.check('a')).toMatchObject({ allowed: false, retryAfterMs: 1 });
    vi.advanceTimersByTime(1);
    expect(limiter.check('a').allowed).toBe(true);
    limiter.reset('a');
    expect(limiter.check('a').allowed).toBe(true);
  });

  it('remembers a bounded number of clients, and needs no timer for it', () => {
    const limiter = new RateLimiter({ maxRequests: 1, windowMs: 1_000, maxKeys: 10 });
    for (let n = 0; n < 1_000; n += 1) limiter.check(`client ${n}`);
    expect(limiter.size).toBe(10);
    limiter.destroy();
    expect(limiter.size).toBe(0);
    expect(() => limiter.check('x'.repeat(1_025))).toThrow(
      /clientId must be a string of 1 to 1024/,
    );
    expect(() => limiter.check(undefined as never)).toThrow(/clientId/);
  });

  it('is not moved by the system’s clock', () => {
    const limiter = new RateLimiter({ maxRequests: 1, windowMs: 60_000 });
    limiter.check('a');
    vi.setSystemTime(1_900_000_000_000);
    expect(limiter.check('a').allowed).toBe(false);
  });
});
