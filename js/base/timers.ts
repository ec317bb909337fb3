// Time and scheduling for calls: Node's own functions, captured when this module is loaded. Fake timers of a
// test therefore do not stop calls, and `unref` works in a test environment whose timers are numbers (jsdom).
//
// Classes whose time a test may want to control use `clock.ts`.

import { performance } from 'node:perf_hooks';
import * as timers from 'node:timers';

const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate } = timers;
const now = performance.now.bind(performance);
const { nextTick } = process;
// Jest's option `fakeTimers.enableGlobally` fakes the globals before any module is loaded. The functions above are not
// globals; of `process` Jest has a copy. A promise is faked by nobody.
const isFaked = 'clock' in nextTick;

/** Node fires a longer timer immediately. */
export const LONGEST = 2 ** 31 - 1;

/** A timer of Node. */
export type Timer = NodeJS.Timeout;

/** Milliseconds since a fixed moment of this process, monotonic. */
export function nowMs(): number {
  return now();
}

/** Calls `fire` once, after `ms`; 24 days at most. */
export function after(ms: number, fire: () => void): Timer {
  return setTimeout(fire, Math.min(Math.max(Math.ceil(ms), 0), LONGEST));
}

/** Calls `fire` periodically. */
export function every(ms: number, fire: () => void): Timer {
  return setInterval(fire, Math.min(ms, LONGEST));
}

/** Cancels a timer of {@link after} or {@link every}. */
export function cancelTimer(timer: Timer | undefined): void {
  clearTimeout(timer);
  clearInterval(timer);
}

/** Calls `run` in the next turn of the event loop. */
export function nextTurn(run: () => void): void {
  setImmediate(run);
}

/** Calls `run` directly after the current code, before any other event. */
export function afterThis(run: () => void): void {
  if (isFaked) void Promise.resolve().then(run);
  else nextTick(run);
}
