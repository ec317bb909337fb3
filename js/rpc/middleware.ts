// The composition of middleware.

import { invalidArgument } from '../base/arguments.js';

type Next = () => Promise<unknown>;

/** The result of the inner function of a middleware. */
interface Inner {
  result: Promise<unknown> | undefined;
  failed: boolean;
}

/**
 * Runs `terminal` inside all middleware, the first outermost, and resolves with the result of the outermost
 * one. The first middleware starts synchronously.
 *
 * If a middleware returns `undefined`, the result of `next()` is kept, as in Koa; any other value replaces
 * it. A middleware that catches the error of `next()` and returns `undefined` answers with `undefined`.
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

/**
 * Records a failure of the inner function. No other code may wait for `result`, or V8 would lose the caller
 * in the stack of a failed call.
 */
async function watch(inner: Inner, result: Promise<unknown>): Promise<unknown> {
  try {
    return await result;
  } catch (error) {
    inner.failed = true;
    // The code that awaits `next()` receives the error; this handler only prevents an unhandled rejection.
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
