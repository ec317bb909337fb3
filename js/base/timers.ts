// Time and scheduling for whatever a call depends on: Node's own, taken when
// this module is loaded. A test that replaces the globals with fake timers
// does not stop calls, and a test environment whose timers are numbers
// (jsdom's) is never asked to `unref` one.
//
// Classes that a test may want to lead through time by hand use `clock.ts`.

import { performance } from 'node:perf_hooks';
import * as timers from 'node:timers';

const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate } = timers;
const now = performance.now.bind(performance);
const { nextTick } = process;

/** Node fires a longer timer at once. */
export const LONGEST = 2 ** 31 - 1;

/** A timer of Node. */
export type Timer = NodeJS.Timeout;

/** Milliseconds since some moment of this process; it never goes back. */
export function nowMs(): number {
  return now();
}

/** Calls `fire` once, after `ms`; 24 days at most. */
export function after(ms: number, fire: () => void): Timer {
  return setTimeout(fire, Math.min(Math.max(Math.ceil(ms), 0), LONGEST));
}

/** Calls `fire` again and again. */
export function every(ms: number, fire: () => void): Timer {
  return setInterval(fire, Math.min(ms, LONGEST));
}

/** Ends what {@link after} or {@link every} began. */
export function cancelTimer(timer: Timer | undefined): void {
  clearTimeout(timer);
  clearInterval(timer);
}

/** Calls `run` in the next turn of the event loop. */
export function nextTurn(run: () => void): void {
  setImmediate(run);
}

/** Calls `run` when the code that runs now is done, before anything else happens. */
export function afterThis(run: () => void): void {
  nextTick(run);
}
