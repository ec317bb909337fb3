// The request on whose behalf the current code runs. `AsyncLocalStorage` tracks it, so that nested calls
// inherit from the request without an explicit argument.

import { AsyncLocalStorage } from 'node:async_hooks';
import type { Context } from './context.js';

// Created on demand: up to Node 22 it makes each promise of the process more expensive, and a service that
// makes no calls should not pay for it.
let storage: AsyncLocalStorage<Context> | undefined;

/** Enables the tracking, as soon as something in this process can make calls. */
export function enableScope(): void {
  storage ??= new AsyncLocalStorage();
}

/** Runs a handler, or a step of one, so that {@link currentScope} returns `context` in all its code. */
export function runInScope<T>(context: Context, run: () => T): T {
  return storage === undefined ? run() : storage.run(context, run);
}

/** The request on whose behalf the current code runs. */
export function currentScope(): Context | undefined {
  return storage?.getStore();
}
