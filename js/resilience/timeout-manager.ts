// Ends what takes too long.

import { checkKeys } from '../base/arguments.js';
import { timer } from '../base/clock.js';
import { MeshError } from '../base/errors.js';
import { checkFunction, checkText, toMillis } from '../base/values.js';

/** Settings of a {@link TimeoutManager}. */
export interface TimeoutConfig {
  /** How long an operation may take: milliseconds or `'5s'`. */
  timeout: number | string;
  /** What the error says. Default: `Operation timed out after 200ms`, with the time in milliseconds. */
  errorMessage?: string | undefined;
}

/**
 * Bounds how long an operation may take. Its timer is gone as soon as the
 * operation is over, and the operation is told when its time is.
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
   * Calls `fn`, and resolves or rejects as it does, or when its time is up.
   *
   * @param fn is given a signal that is aborted when its time is up, or `options.signal` is
   * @throws MeshError `DEADLINE_EXCEEDED`, reason `DEADLINE`: its time was up
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
      // `fn` may throw before it has a promise; that is an answer too.
      new Promise<T>((answer) => answer(fn(own.signal))).finally(done).then(resolve, reject);
    });
  }
}
