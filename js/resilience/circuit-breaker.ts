// A circuit breaker around calls of a failing service.

import type { NativeCircuitBreaker } from '../addon.js';
import { checkKeys } from '../base/arguments.js';
import { monotonicMs } from '../base/clock.js';
import { MeshError, wrapNative } from '../base/errors.js';
import { native } from '../base/native.js';
import { checkCount, checkFunction, toMillis } from '../base/values.js';

/** The state of a {@link CircuitBreaker}. */
export enum CircuitState {
  /** All calls are made. */
  CLOSED = 'closed',
  /** No call is made. */
  OPEN = 'open',
  /** A few calls are made, to probe the service. */
  HALF_OPEN = 'half_open',
}

/** Settings of a {@link CircuitBreaker}. */
export interface CircuitBreakerConfig {
  /** The number of failures within `monitoringPeriod` that opens the breaker. */
  failureThreshold: number;
  /**
   * The number of successes that closes the breaker. While it is half open, it admits no more calls than
   * these at once.
   */
  successThreshold: number;
  /** The time for which the breaker stays open: milliseconds or a string such as `'30s'`. */
  timeout: number | string;
  /**
   * The sliding window in which failures are counted: milliseconds or a string such as `'1m'`. Default:
   * 60,000.
   */
  monitoringPeriod?: number | string | undefined;
  /**
   * The share of the window's calls that must also have failed, 0 to 1, so that a few failures of a busy
   * service do not open the breaker. Default: 0.5.
   */
  failureRate?: number | undefined;
  /**
   * Whether an error is a failure of the protected service; `undefined` ignores the call, and `false` counts
   * the error as an answer. Default: a failure is any error that is not a {@link MeshError}, and one with the
   * code `UNAVAILABLE`, `DEADLINE_EXCEEDED`, `INTERNAL` or `UNKNOWN`. An error that the caller caused and a
   * forged message do not count.
   */
  isFailure?: ((error: unknown) => boolean | undefined) | undefined;
  /** Called after each change of state. Its errors are ignored. */
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
 * Makes calls as long as enough of them succeed. After `failureThreshold` failures within `monitoringPeriod`
 * the breaker opens: for `timeout` it makes no call and fails immediately. Then it is half open and admits at
 * most `successThreshold` calls at once. If they succeed it closes; if one fails it opens again.
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
   * Calls `fn` if the breaker admits a call, and settles as it does.
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

  /** The state. An open breaker whose `timeout` has passed stays open until the next call. */
  getState(): CircuitState {
    return this.#native.state() as CircuitState;
  }

  /** Closes the breaker and forgets all failures. */
  reset(): void {
    this.#announce(this.#native.reset());
  }

  #judge(error: unknown): Outcome {
    if (this.#isFailure !== undefined) {
      try {
        const failure = this.#isFailure(error);
        return failure === undefined ? 'ignored' : failure ? 'failure' : 'success';
      } catch {
        // The error of the call is thrown, not that of `isFailure`.
        return 'failure';
      }
    }
    if (!(error instanceof MeshError)) return 'failure';
    // Codes of tampering are ignored: an attacker that injects messages must not be able to cut a service off.
    return native().outcomeOfError(error.code) as Outcome;
  }

  #announce(state: string | null | undefined): void {
    if (typeof state !== 'string') return;
    try {
      this.#onStateChange?.(state as CircuitState);
    } catch {
      // An error of a listener must not change the outcome of the call.
    }
  }
}
