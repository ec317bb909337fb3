// Time that never goes back, whatever is done to the system's clock, as the
// globals have it: a test can lead these classes through time by fake timers.
// A call depends on none of it; `timers.ts` is for that.

import { LONGEST } from './timers.js';

/** Milliseconds since some moment of this process. */
export function monotonicMs(): number {
  return performance.now();
}

/** A timer of any length, as far as Node can: it may fire early, after 24 days. */
export function timer(ms: number, fire: () => void): NodeJS.Timeout {
  return setTimeout(fire, Math.min(Math.max(Math.ceil(ms), 0), LONGEST));
}

/** The same, for what a process need not live on for. A timer of jsdom is a number, and cannot be told. */
export function idleTimer(ms: number, fire: () => void): NodeJS.Timeout {
  const started: NodeJS.Timeout | number = timer(ms, fire);
  if (typeof started === 'object') started.unref?.();
  return started;
}

/** Waits; rejects with the signal's reason when it is aborted meanwhile. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const onAbort = (): void => {
      clearTimeout(waiting);
      reject(signal?.reason as Error);
    };
    const waiting = timer(ms, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
