// Retries of failed operations.

import type { NativeRetryPolicy } from '../addon.js';
import { checkKeys, invalidArgument } from '../base/arguments.js';
import { sleep } from '../base/clock.js';
import { MeshError, wrapNative } from '../base/errors.js';
import { native } from '../base/native.js';
import { checkCount, checkFunction, checkText, toMillis } from '../base/values.js';

/** Settings of a {@link RetryPolicy}. */
export interface RetryPolicyConfig {
  /** The limit of attempts, including the first, 1 to 100. */
  maxAttempts: number;
  /** The longest delay after the first attempt: milliseconds or a string such as `'1s'`. Default: 100. */
  initialDelay?: number | string | undefined;
  /** The limit of a delay. Default: 30,000, or `initialDelay` if that is longer. */
  maxDelay?: number | string | undefined;
  /** The factor by which the delay grows with each attempt, 1 to 100. Default: 2. */
  backoffMultiplier?: number | undefined;
  /**
   * The retryable errors: their `code`, `reason` or `name`, or a part of their message. Default: a {@link
   * MeshError} whose `retryable` is true, and every other error except programming errors (`TypeError` and
   * the like) and cancellations (`AbortError`).
   */
  retryableErrors?: readonly string[] | undefined;
  /** Decides instead of `retryableErrors`. */
  isRetryable?: ((error: unknown, attempt: number) => boolean) | undefined;
  /** Whether a delay is random up to its limit, or exactly as long as the limit. Default: true. */
  jitter?: boolean | undefined;
  /**
   * A limit on the retries of all `execute` together: at most `ratio` retries per call in the long run, and
   * `reserve` at once. Default: only `maxAttempts` applies.
   */
  budget?:
    | {
        /** Retries per call in the long run, usually 0 to 1. */
        ratio: number;
        /** Retries at once. Default: 10. */
        reserve?: number | undefined;
      }
    | undefined;
}

/** The options of one {@link RetryPolicy.execute}. */
export interface RetryOptions {
  /** Ends the delays and attempts when aborted. */
  signal?: AbortSignal | undefined;
}

const KEYS = [
  'maxAttempts',
  'initialDelay',
  'maxDelay',
  'backoffMultiplier',
  'retryableErrors',
  'isRetryable',
  'jitter',
  'budget',
] as const;

const MISTAKES: ReadonlySet<string> = new Set([
  'AbortError',
  'TypeError',
  'RangeError',
  'ReferenceError',
  'SyntaxError',
]);

function nativeRetryPolicy(config: RetryPolicyConfig): NativeRetryPolicy {
  checkKeys('config', config, KEYS);
  const { maxAttempts, backoffMultiplier = 2, jitter = true, budget } = config;
  checkCount('config.maxAttempts', maxAttempts);
  const initialMs = toMillis('config.initialDelay', config.initialDelay ?? 100);
  const maxMs = toMillis('config.maxDelay', config.maxDelay ?? Math.max(30_000, initialMs));
  if (typeof backoffMultiplier !== 'number') {
    throw invalidArgument('config.backoffMultiplier must be a number from 1 to 100');
  }
  if (typeof jitter !== 'boolean') throw invalidArgument('config.jitter must be true or false');
  let reserve = 10;
  if (budget !== undefined) {
    checkKeys('config.budget', budget, ['ratio', 'reserve']);
    if (typeof budget.ratio !== 'number') {
      throw invalidArgument('config.budget.ratio must be a number from 0 to 100');
    }
    reserve = budget.reserve ?? reserve;
    checkCount('config.budget.reserve', reserve, 0);
  }
  return wrapNative(
    () =>
      new (native().NativeRetryPolicy)(
        maxAttempts,
        initialMs,
        maxMs,
        backoffMultiplier,
        jitter,
        budget?.ratio ?? null,
        reserve,
      ),
  );
}

/**
 * Calls a function until it succeeds or the attempts are used up, with growing random delays between the
 * attempts: callers that failed together do not retry together.
 *
 * The policy cannot know whether a failed attempt has done its work nevertheless. Use it only for operations
 * that are safe to run twice.
 *
 * @example
 * ```js
 * const retry = new RetryPolicy({ maxAttempts: 3, initialDelay: 100 });
 * const page = await retry.execute(() => fetchPage());
 * ```
 */
export class RetryPolicy {
  readonly #native: NativeRetryPolicy;
  readonly #retryable: readonly string[] | undefined;
  readonly #decide: ((error: unknown, attempt: number) => boolean) | undefined;

  /** @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: a setting is missing, misspelt or out of range */
  constructor(config: RetryPolicyConfig) {
    this.#native = nativeRetryPolicy(config);
    const { retryableErrors, isRetryable } = config;
    if (retryableErrors !== undefined) {
      if (!Array.isArray(retryableErrors)) {
        throw invalidArgument('config.retryableErrors must be an array of strings');
      }
      retryableErrors.forEach((text, index) => checkText(`config.retryableErrors[${index}]`, text));
      this.#retryable = [...retryableErrors];
    }
    if (isRetryable !== undefined) checkFunction('config.isRetryable', isRetryable);
    this.#decide = isRetryable;
  }

  /**
   * Calls `fn` until it succeeds, and resolves with its result.
   *
   * @param fn receives the number of the attempt, from 1
   * @throws the error of the last attempt, or the signal's reason
   */
  async execute<T>(
    fn: (attempt: number) => Promise<T> | T,
    options: RetryOptions = {},
  ): Promise<T> {
    checkFunction('fn', fn);
    checkKeys('options', options, ['signal']);
    options.signal?.throwIfAborted();
    this.#native.begin();
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await fn(attempt);
      } catch (error) {
        if (options.signal?.aborted || !this.#isRetryable(error, attempt)) throw error;
        const after = error instanceof MeshError ? (error.retryAfterMs ?? null) : null;
        const delay = wrapNative(() => this.#native.delay(attempt, after, Math.random()));
        if (typeof delay !== 'number') throw error;
        await sleep(delay, options.signal);
      }
    }
  }

  #isRetryable(error: unknown, attempt: number): boolean {
    if (this.#decide !== undefined) return this.#decide(error, attempt);
    if (this.#retryable === undefined) {
      if (error instanceof MeshError) return error.retryable;
      return !MISTAKES.has(field(error, 'name'));
    }
    const names = [field(error, 'code'), field(error, 'reason'), field(error, 'name')];
    const message = error instanceof Error ? error.message : String(error);
    return this.#retryable.some((text) => names.includes(text) || message.includes(text));
  }
}

function field(error: unknown, name: 'code' | 'reason' | 'name'): string {
  if (typeof error !== 'object' || error === null) return '';
  const value = (error as Record<string, unknown>)[name];
  return typeof value === 'string' ? value : '';
}
