// A rate limit for each client.

import type { NativeQuota } from '../addon.js';
import { checkKeys } from '../base/arguments.js';
import { monotonicMs } from '../base/clock.js';
import { wrapNative } from '../base/errors.js';
import { native } from '../base/native.js';
import { checkCount, checkText, toMillis } from '../base/values.js';

/** Settings of a {@link RateLimiter}. */
export interface RateLimiterConfig {
  /** The number of requests in a window. */
  maxRequests: number;
  /** The window: milliseconds or a string such as `'1m'`. */
  windowMs: number | string;
  /**
   * The minimum time for which a client over its quota is blocked. Default: 0, only until its quota allows
   * the next request.
   */
  blockDuration?: number | string | undefined;
  /**
   * The limit of remembered clients. Beyond it, a new client evicts the one that is nearest to a full quota.
   * Default: 10,000.
   */
  maxKeys?: number | undefined;
}

/** The result of {@link RateLimiter.check}. */
export interface RateLimitResult {
  /** Whether the request is within the quota. */
  allowed: boolean;
  /** The number of further requests that would be allowed now. */
  remaining: number;
  /** The time at which the quota is full again. */
  resetTime: Date;
  /** Whole seconds to wait, as in the header `Retry-After`, if the request is not allowed. */
  retryAfter?: number;
  /** The same in milliseconds. */
  retryAfterMs?: number;
}

/**
 * Limits the requests of each client. A quota refills steadily, not at the edge of a window, so no client
 * gets two windows' worth at once (GCRA, ITU-T I.371).
 *
 * Use only verified ids: with claimed ids, anyone can use up a foreign quota.
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
   * Takes a request from a client's quota, if the quota allows it.
   *
   * @param clientId a string of 1 to 1,024 bytes
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
      // Rounded up and at least 1: a client that waits that long must be admitted.
      result.retryAfterMs = Math.max(1, Math.ceil(decision.retryAfterMs));
      result.retryAfter = Math.ceil(result.retryAfterMs / 1000);
    }
    return result;
  }

  /** {@link check}, as a promise: the API of 0.2.0. */
  async checkLimit(clientId: string): Promise<RateLimitResult> {
    return this.check(clientId);
  }

  /** Restores a client's full quota. */
  reset(clientId: string): void {
    checkText('clientId', clientId);
    this.#native.reset(clientId);
  }

  /** The number of remembered clients. */
  get size(): number {
    return this.#native.size();
  }

  /** Forgets all clients. The limiter has no timer to stop. */
  destroy(): void {
    this.#native = this.#make();
  }
}
