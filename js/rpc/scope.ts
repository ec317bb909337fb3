// Which request the code that runs now is answering, told by the run time, so
// that calls made on the way inherit from it without anybody passing anything.

import { AsyncLocalStorage } from 'node:async_hooks';
import type { Origin } from './outer-scope.js';

// Made when it is first of use: up to Node 22, each promise of the process
// costs more from then on, and a service that calls nobody should not pay it.
let storage: AsyncLocalStorage<Origin> | undefined;

/** From now on {@link runInScope} is more than a call: something in this process can make calls. */
export function enableScope(): void {
  storage ??= new AsyncLocalStorage();
}

/** Runs a handler, or a step of one, so that {@link currentScope} says `origin` in all that it does. */
export function runInScope<T>(origin: Origin, run: () => T): T {
  return storage === undefined ? run() : storage.run(origin, run);
}

/** The request on whose behalf the code that runs now runs, or the scope that it runs in. */
export function currentScope(): Origin | undefined {
  return storage?.getStore();
}
