// What a mesh does when its calls fail: breakers and retries.

import type { NativeRetryPolicy } from '../addon.js';
import { MeshError } from '../base/errors.js';
import { native } from '../base/native.js';
import { nowMs, pause } from '../base/timers.js';
import type { CallKind, CallOptions } from '../rpc/call-types.js';
import { CircuitBreaker, type CircuitBreakerConfig } from './circuit-breaker.js';
import { nativeRetryPolicy, type RetryPolicyConfig } from './retry-policy.js';

/** The services that breakers are kept for; the oldest is forgotten for a new one. */
const MAX_BREAKERS = 1_000;

/** The part of a mesh's configuration that is about its policies. */
export interface PolicyConfig {
  readonly circuitBreaker?: Omit<CircuitBreakerConfig, 'isFailure' | 'onStateChange'> | undefined;
  readonly retry?: Omit<RetryPolicyConfig, 'retryableErrors' | 'isRetryable'> | undefined;
}

/** Records what policies decide and what comes of calls. */
export interface PolicyObserver {
  /** A call has begun. */
  callStarted(): void;
  /** It is over; with an error if it failed. */
  callEnded(service: string, method: string, ms: number, error?: unknown): void;
  /** The breaker of a service has changed. */
  circuit(service: string, state: 'closed' | 'open' | 'half_open'): void;
}

/** A call on its way out. */
export interface PolicyCall {
  readonly service: string;
  readonly method: string;
  readonly kind: CallKind;
  readonly input: unknown;
  readonly options: CallOptions | undefined;
}

/** Makes one try of a call, after `earlier` others. */
export type Try = (
  input: unknown,
  options: CallOptions | undefined,
  earlier: number,
) => Promise<unknown>;

/** The policies of one mesh. */
export class Policy {
  readonly #breaker: CircuitBreakerConfig | undefined;
  readonly #breakers = new Map<string, CircuitBreaker>();
  readonly #retry: NativeRetryPolicy | undefined;
  readonly #callTimeoutMs: number;
  readonly #observer: PolicyObserver | undefined;

  private constructor(
    resilience: PolicyConfig,
    callTimeoutMs: number,
    observer: PolicyObserver | undefined,
  ) {
    const { circuitBreaker, retry } = resilience;
    this.#callTimeoutMs = callTimeoutMs;
    this.#observer = observer;
    if (circuitBreaker !== undefined) {
      this.#breaker = { ...circuitBreaker, isFailure };
      at('resilience.circuitBreaker', () => new CircuitBreaker(this.#breaker as never));
    }
    if (retry !== undefined) {
      const budget = { ratio: 0.2, reserve: 10 };
      this.#retry = at('resilience.retry', () => nativeRetryPolicy({ budget, ...retry }));
    }
  }

  /**
   * As configured; `undefined` where there is nothing to be done.
   *
   * @throws MeshError `INVALID_ARGUMENT`, reason `CONFIG`, naming the option
   */
  static from(
    config: PolicyConfig | undefined,
    callTimeoutMs: number,
    observer: PolicyObserver | undefined,
  ): Policy | undefined {
    if (config === undefined && observer === undefined) return undefined;
    return new Policy(config ?? {}, callTimeoutMs, observer);
  }

  /** Makes a call, as often as is right. */
  async send(call: PolicyCall, attempt: Try): Promise<unknown> {
    const start = nowMs();
    const unary = call.kind === 'unary';
    if (unary) this.#observer?.callStarted();
    const ended = (error?: unknown): void => {
      if (!unary) return;
      this.#observer?.callEnded(call.service, call.method, nowMs() - start, error);
    };
    try {
      const result = await (unary && this.#retry !== undefined
        ? this.#again(call, attempt, this.#retry, start)
        : this.#once(call.service, () => attempt(call.input, call.options, 0)));
      ended();
      return result;
    } catch (error) {
      ended(error);
      throw error;
    }
  }

  /** One try, if the service's breaker lets it through. */
  #once(service: string, attempt: () => Promise<unknown>): Promise<unknown> {
    return this.#breaker === undefined
      ? attempt()
      : this.#breakerOf(service, this.#breaker).execute(attempt);
  }

  /** Tries for as long as that does no harm and the call has time. */
  async #again(
    { service, method, input, options }: PolicyCall,
    attempt: Try,
    retry: NativeRetryPolicy,
    start: number,
  ): Promise<unknown> {
    const end = start + (options?.timeoutMs ?? this.#callTimeoutMs);
    const again = snapshot(input);
    retry.begin();
    let earlier = 0;
    for (let tries = 1; ; tries += 1) {
      const left = tries === 1 ? options : { ...options, timeoutMs: end - nowMs() };
      try {
        return await this.#once(service, () =>
          attempt(tries === 1 ? input : again(), left, earlier),
        );
      } catch (thrown) {
        const error = MeshError.from(thrown);
        // The core counts those before as well, and each time it has tried again itself.
        earlier = error.attempts ?? earlier;
        const delay = this.#delay(retry, tries, error, options);
        if (delay === undefined || nowMs() + delay >= end) throw thrown;
        await pause(delay, options?.signal).catch((cause: unknown) => {
          const text = `the call of ${service} ${method} was cancelled`;
          const reason = 'CANCELLED';
          const attempts = earlier;
          throw new MeshError('CANCELLED', text, { reason, service, method, attempts, cause });
        });
      }
    }
  }

  #delay(
    retry: NativeRetryPolicy,
    tries: number,
    error: MeshError,
    options: CallOptions | undefined,
  ): number | undefined {
    // Whoever is told that a service is left alone is told at once.
    if (error.reason === 'CIRCUIT_OPEN' && !error.remote) return undefined;
    const idempotent = options?.idempotent === true || options?.idempotencyKey !== undefined;
    // What this side says can be tried again has not been sent, or not been run. What the
    // other side says may come from a handler that has done half of its work.
    const neverRan = error.retryable && !error.remote;
    const after = error.retryAfterMs ?? null;
    const delay = retry.next(tries, error.code, neverRan, idempotent, after, Math.random());
    return typeof delay === 'number' ? delay : undefined;
  }

  #breakerOf(service: string, config: CircuitBreakerConfig): CircuitBreaker {
    let breaker = this.#breakers.get(service);
    if (breaker === undefined) {
      const [oldest] = this.#breakers.keys();
      if (oldest !== undefined && this.#breakers.size >= MAX_BREAKERS) {
        this.#breakers.delete(oldest);
      }
      const onStateChange = (state: 'closed' | 'open' | 'half_open'): void =>
        this.#observer?.circuit(service, state);
      breaker = new CircuitBreaker({ ...config, onStateChange });
      this.#breakers.set(service, breaker);
    }
    return breaker;
  }
}

/**
 * Whether an error is the service's failure. What this side has noticed
 * itself says something about the service only if it could not be reached, or
 * did not answer in time: not if a session broke, which whoever can tamper with
 * it can bring about.
 */
function isFailure(error: unknown): boolean | undefined {
  const { code, reason, remote } = MeshError.from(error);
  const outcome = native().outcomeOfError(code);
  if (outcome === 'ignored' || (reason === 'SESSION_LOST' && !remote)) return undefined;
  if (!remote && outcome === 'success') return undefined;
  return outcome === 'failure';
}

/** The input as it is now, whatever is done to it before the next try. */
function snapshot(input: unknown): () => unknown {
  if (input instanceof Uint8Array) {
    const bytes = input.slice();
    return () => bytes;
  }
  let json: string | undefined;
  try {
    json = JSON.stringify(input);
  } catch {
    // The first try says what is wrong with it, and is the last.
  }
  return () => (json === undefined ? undefined : (JSON.parse(json) as unknown));
}

/** Names the option by its path in the configuration. */
function at<T>(path: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    const { message } = MeshError.from(error);
    const text = message.startsWith('config') ? path + message.slice(6) : `${path}.${message}`;
    throw new MeshError('INVALID_ARGUMENT', text, { reason: 'CONFIG' });
  }
}
