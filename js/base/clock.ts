// Monotonic time and timers from the globals, so that a test can control them with fake timers. Calls do not
// depend on this file; they use `timers.ts`.

import { LONGEST } from './timers.js';

/** Milliseconds since a fixed moment of this process. */
export function monotonicMs(): number {
  return performance.now();
}

/** Starts a timer of any length; Node limits it to 24 days, so it may fire early. */
export function timer(ms: number, fire: () => void): NodeJS.Timeout {
  return setTimeout(fire, Math.min(Math.max(Math.ceil(ms), 0), LONGEST));
}

/** Starts a timer that does not keep the process alive. A timer of jsdom is a number and has no `unref`. */
export function idleTimer(ms: number, fire: () => void): NodeJS.Timeout {
  const started: NodeJS.Timeout | number = timer(ms, fire);
  if (typeof started === 'object') started.unref?.();
  return started;
}

/** Waits; rejects with the signal's reason if it is aborted during the wait. */
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
