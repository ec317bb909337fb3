// Middleware: functions around functions.

import { invalidArgument } from '../base/arguments.js';

type Next = () => Promise<unknown>;

/** What is inside of a middleware. */
interface Inner {
  result: Promise<unknown> | undefined;
  failed: boolean;
}

/**
 * Runs `terminal` inside of all middleware, the first outermost, and resolves
 * with what the outermost makes of it. The first one starts before this
 * returns.
 *
 * A middleware that returns `undefined` leaves what `next()` resolved with, as
 * in Koa; one that returns anything else answers with that. One that caught
 * what `next()` rejected with, and returns `undefined`, answers `undefined`.
 */
export function compose<C>(
  middleware: readonly ((context: C, next: Next) => unknown)[],
  context: C,
  terminal: () => unknown,
): Promise<unknown> {
  const run = async (index: number): Promise<unknown> => {
    const current = middleware[index];
    if (current === undefined) return terminal();
    const inner: Inner = { result: undefined, failed: false };
    const answer = await current(context, () => {
      if (inner.result !== undefined) {
        return Promise.reject(new Error('a middleware called next() more than once'));
      }
      inner.result = watch(inner, run(index + 1));
      return inner.result;
    });
    return answer !== undefined || inner.failed ? answer : inner.result;
  };
  return run(0);
}

/** Notes that what is inside failed. Nothing else waits for `result`, or V8 would lose the caller of a failed call. */
async function watch(inner: Inner, result: Promise<unknown>): Promise<unknown> {
  try {
    return await result;
  } catch (error) {
    inner.failed = true;
    // Whoever awaits `next()` is told; nobody else need be.
    inner.result?.catch(() => {});
    throw error;
  }
}

/**
 * @param name the option's path, for the error
 * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
 */
export function checkMiddleware(name: string, middleware: unknown): void {
  if (typeof middleware !== 'function') {
    throw invalidArgument(`${name} must be a function, got ${typeof middleware}`);
  }
}
