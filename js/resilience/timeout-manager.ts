// Timeouts of operations.

import { checkKeys } from '../base/arguments.js';
import { timer } from '../base/clock.js';
import { MeshError } from '../base/errors.js';
import { checkFunction, checkText, toMillis } from '../base/values.js';

/** Settings of a {@link TimeoutManager}. */
export interface TimeoutConfig {
  /** The timeout of an operation: milliseconds or a string such as `'5s'`. */
  timeout: number | string;
  /** The message of the error. Default: `Operation timed out after 200ms`, with the time in milliseconds. */
  errorMessage?: string | undefined;
}

/**
 * Limits the duration of operations. The timer ends with the operation, and a signal informs the operation of
 * the timeout.
 *
 * @example
 * ```js
 * const limit = new TimeoutManager({ timeout: 2_000 });
 * const page = await limit.execute((signal) => fetch(url, { signal }));
 * ```
 */
export class TimeoutManager {
  readonly #timeoutMs: number;
  readonly #message: string;

  /** @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: a setting is missing, misspelt or out of range */
  constructor(config: TimeoutConfig) {
    checkKeys('config', config, ['timeout', 'errorMessage']);
    this.#timeoutMs = toMillis('config.timeout', config.timeout);
    this.#message = config.errorMessage ?? `Operation timed out after ${this.#timeoutMs}ms`;
    checkText('config.errorMessage', this.#message);
  }

  /**
   * Calls `fn`, and settles as it does, or rejects when its time is over.
   *
   * @param fn receives a signal that is aborted when its time is over, or with `options.signal`
   * @throws MeshError `DEADLINE_EXCEEDED`, reason `DEADLINE`: the time was over
   */
  execute<T>(
    fn: (signal: AbortSignal) => Promise<T> | T,
    options: { signal?: AbortSignal | undefined } = {},
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      checkFunction('fn', fn);
      checkKeys('options', options, ['signal']);
      const { signal } = options;
      signal?.throwIfAborted();
      const own = new AbortController();
      const give = (error: Error): void => {
        done();
        reject(error);
        own.abort(error);
      };
      const onAbort = (): void => give(signal?.reason as Error);
      const done = (): void => {
        clearTimeout(running);
        signal?.removeEventListener('abort', onAbort);
      };
      const running = timer(this.#timeoutMs, () =>
        give(new MeshError('DEADLINE_EXCEEDED', this.#message, { reason: 'DEADLINE' })),
      );
      signal?.addEventListener('abort', onAbort, { once: true });
      // Inside a promise, so that a synchronous error of `fn` also rejects.
      new Promise<T>((answer) => answer(fn(own.signal))).finally(done).then(resolve, reject);
    });
  }
}
