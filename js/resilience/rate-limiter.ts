// How many requests each caller may make.

import type { NativeQuota } from '../addon.js';
import { checkKeys } from '../base/arguments.js';
import { monotonicMs } from '../base/clock.js';
import { wrapNative } from '../base/errors.js';
import { native } from '../base/native.js';
import { checkCount, checkText, toMillis } from '../base/values.js';

/** Settings of a {@link RateLimiter}. */
export interface RateLimiterConfig {
  /** Requests in a window. */
  maxRequests: number;
  /** The window: milliseconds or `'1m'`. */
  windowMs: number | string;
  /** How long a client that asks for too much is refused at least. Default: 0, only while its quota is used up. */
  blockDuration?: number | string | undefined;
  /**
   * The most clients remembered at once. For a new one, the one nearest to a full quota is
   * forgotten. Default: 10,000.
   */
  maxKeys?: number | undefined;
}

/** What {@link RateLimiter.check} says. */
export interface RateLimitResult {
  /** Whether the request is within the quota. */
  allowed: boolean;
  /** How many more would be allowed now. */
  remaining: number;
  /** When the whole quota is there again. */
  resetTime: Date;
  /** Whole seconds to wait, as in the header `Retry-After`, where the request is not allowed. */
  retryAfter?: number;
  /** The same in milliseconds. */
  retryAfterMs?: number;
}

/**
 * Bounds the requests of each client. A quota refills steadily, not at the edge
 * of a window, so nobody gets two windows' worth at once (GCRA, ITU-T I.371).
 *
 * Give it ids that have been verified: by a claimed one, anybody can use up
 * somebody else's quota.
 *
 * @example
 * ```js
 * const limiter = new RateLimiter({ maxRequests: 100, windowMs: 60_000 });
 * const { allowed, retryAfterMs } = limiter.check(ctx.caller.serviceId);
 * ```
 */
export class RateLimiter {
  readonly #make: () => NativeQuota;
  #native: NativeQuota;

  /** @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: a setting is missing, misspelt or out of range */
  constructor(config: RateLimiterConfig) {
    checkKeys('config', config, ['maxRequests', 'windowMs', 'blockDuration', 'maxKeys']);
    const { maxRequests, maxKeys = 10_000 } = config;
    checkCount('config.maxRequests', maxRequests);
    checkCount('config.maxKeys', maxKeys);
    const windowMs = toMillis('config.windowMs', config.windowMs);
    const blockMs = toMillis('config.blockDuration', config.blockDuration ?? 0);
    this.#make = () =>
      wrapNative(() => new (native().NativeQuota)(maxRequests, windowMs, blockMs, maxKeys));
    this.#native = this.#make();
  }

  /**
   * Takes a request off a client's quota, if that allows it.
   *
   * @param clientId 1 to 1,024 bytes of text
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
   */
  check(clientId: string): RateLimitResult {
    checkText('clientId', clientId);
    const decision = wrapNative(() => this.#native.check(clientId, monotonicMs()));
    const result: RateLimitResult = {
      allowed: decision.allowed,
      remaining: decision.remaining,
      resetTime: new Date(Date.now() + Math.ceil(decision.resetMs)),
    };
    if (typeof decision.retryAfterMs === 'number') {
      // Below the clock's resolution is not at all: whoever waits that long must be let in.
      result.retryAfterMs = Math.max(1, Math.ceil(decision.retryAfterMs));
      result.retryAfter = Math.ceil(result.retryAfterMs / 1000);
    }
    return result;
  }

  /** {@link check}, as a promise: the shape of 0.2.0. */
  async checkLimit(clientId: string): Promise<RateLimitResult> {
    return this.check(clientId);
  }

  /** Gives a client its whole quota back. */
  reset(clientId: string): void {
    checkText('clientId', clientId);
    this.#native.reset(clientId);
  }

  /** How many clients are remembered. */
  get size(): number {
    return this.#native.size();
  }

  /** Forgets all clients. There is no timer to stop. */
  destroy(): void {
    this.#native = this.#make();
  }
}
