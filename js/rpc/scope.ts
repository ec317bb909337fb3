// The request on whose behalf the current code runs. `AsyncLocalStorage` tracks it, so that nested calls
// inherit from the request without an explicit argument.

import { AsyncLocalStorage } from 'node:async_hooks';
import type { Origin } from './outer-scope.js';

// Created on demand: up to Node 22 it makes each promise of the process more expensive, and a service that
// makes no calls should not pay for it.
let storage: AsyncLocalStorage<Origin> | undefined;

/** Enables the tracking, as soon as something in this process can make calls. */
export function enableScope(): void {
  storage ??= new AsyncLocalStorage();
}

/** Runs a handler, or a step of one, so that {@link currentScope} returns `origin` in all its code. */
export function runInScope<T>(origin: Origin, run: () => T): T {
  return storage === undefined ? run() : storage.run(origin, run);
}

/** The request on whose behalf the current code runs, or the scope in which it runs. */
export function currentScope(): Origin | undefined {
  return storage?.getStore();
}
