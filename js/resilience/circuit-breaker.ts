// Leaves a service that fails alone for a while.

import type { NativeCircuitBreaker } from '../addon.js';
import { checkKeys } from '../base/arguments.js';
import { monotonicMs } from '../base/clock.js';
import { MeshError, wrapNative } from '../base/errors.js';
import { native } from '../base/native.js';
import { checkCount, checkFunction, toMillis } from '../base/values.js';

/** What a {@link CircuitBreaker} does with calls. */
export enum CircuitState {
  /** All are made. */
  CLOSED = 'closed',
  /** None is. */
  OPEN = 'open',
  /** Only a few are, to find out whether it is well again. */
  HALF_OPEN = 'half_open',
}

/** Settings of a {@link CircuitBreaker}. */
export interface CircuitBreakerConfig {
  /** Failures within `monitoringPeriod` that open it. */
  failureThreshold: number;
  /** Successes that close it again. While half open, no more calls than these are let through. */
  successThreshold: number;
  /** How long it stays open: milliseconds or `'30s'`. */
  timeout: number | string;
  /** The sliding window failures are counted in: milliseconds or `'1m'`. Default: 60,000. */
  monitoringPeriod?: number | string | undefined;
  /**
   * The share of the window's calls that must have failed besides, 0 to 1, so that a few failures
   * of a busy service do not cut it off. Default: 0.5.
   */
  failureRate?: number | undefined;
  /**
   * Whether an error is a failure of what is protected. Default: one that is no {@link MeshError},
   * and `UNAVAILABLE`, `DEADLINE_EXCEEDED`, `INTERNAL`, `UNKNOWN`. An error of the caller's making is
   * none, and neither is a message that somebody has tampered with. `undefined` is for what says
   * nothing either way; `false` for an answer that is an error.
   */
  isFailure?: ((error: unknown) => boolean | undefined) | undefined;
  /** Told of each change. What it throws is ignored. */
  onStateChange?: ((state: CircuitState) => void) | undefined;
}

type Outcome = 'success' | 'failure' | 'ignored';

const KEYS = [
  'failureThreshold',
  'successThreshold',
  'timeout',
  'monitoringPeriod',
  'failureRate',
  'isFailure',
  'onStateChange',
] as const;

/**
 * Makes calls as long as enough of them succeed. After `failureThreshold`
 * failures within `monitoringPeriod` it opens: for `timeout` nothing is called,
 * and callers are told at once. Then it is half open: `successThreshold` calls
 * are let through, and no more at once. If they succeed it closes, if one fails
 * it opens anew.
 *
 * @example
 * ```js
 * const breaker = new CircuitBreaker({ failureThreshold: 5, successThreshold: 2, timeout: 30_000 });
 * const stock = await breaker.execute(() => fetchStock());
 * ```
 */
export class CircuitBreaker {
  readonly #native: NativeCircuitBreaker;
  readonly #isFailure: ((error: unknown) => boolean | undefined) | undefined;
  readonly #onStateChange: ((state: CircuitState) => void) | undefined;

  /** @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: a setting is missing, misspelt or out of range */
  constructor(config: CircuitBreakerConfig) {
    checkKeys('config', config, KEYS);
    const { failureThreshold, successThreshold, failureRate = 0.5 } = config;
    checkCount('config.failureThreshold', failureThreshold);
    checkCount('config.successThreshold', successThreshold);
    const openMs = toMillis('config.timeout', config.timeout);
    const windowMs = toMillis('config.monitoringPeriod', config.monitoringPeriod ?? 60_000);
    if (config.isFailure !== undefined) checkFunction('config.isFailure', config.isFailure);
    if (config.onStateChange !== undefined) {
      checkFunction('config.onStateChange', config.onStateChange);
    }
    this.#isFailure = config.isFailure;
    this.#onStateChange = config.onStateChange;
    this.#native = wrapNative(
      () =>
        new (native().NativeCircuitBreaker)(
          failureThreshold,
          Number(failureRate),
          windowMs,
          openMs,
          successThreshold,
        ),
    );
  }

  /**
   * Calls `fn`, if calls are made at present, and resolves or rejects as it does.
   *
   * @throws MeshError `UNAVAILABLE`, reason `CIRCUIT_OPEN`, with `retryAfterMs`: `fn` was not called
   */
  async execute<T>(fn: () => Promise<T> | T): Promise<T> {
    checkFunction('fn', fn);
    const admission = wrapNative(() => this.#native.acquire(monotonicMs()));
    this.#announce(admission.entered);
    let outcome: Outcome = 'success';
    try {
      return await fn();
    } catch (error) {
      outcome = this.#judge(error);
      throw error;
    } finally {
      this.#announce(this.#native.settle(admission.permit, outcome, monotonicMs()));
    }
  }

  /** The state. An open breaker whose `timeout` has passed is open until it is asked. */
  getState(): CircuitState {
    return this.#native.state() as CircuitState;
  }

  /** Closes it and forgets all failures. */
  reset(): void {
    this.#announce(this.#native.reset());
  }

  #judge(error: unknown): Outcome {
    if (this.#isFailure !== undefined) {
      try {
        const failure = this.#isFailure(error);
        return failure === undefined ? 'ignored' : failure ? 'failure' : 'success';
      } catch {
        // The error of the call is the one to be seen.
        return 'failure';
      }
    }
    if (!(error instanceof MeshError)) return 'failure';
    // Such as tampering: whoever can inject a message must not be able to cut a service off.
    return native().outcomeOfError(error.code) as Outcome;
  }

  #announce(state: string | null | undefined): void {
    if (typeof state !== 'string') return;
    try {
      this.#onStateChange?.(state as CircuitState);
    } catch {
      // A listener must not change what becomes of the call.
    }
  }
}
