// Keeps the process alive while a call is pending or a request can arrive.

import { cancelTimer, every, type Timer } from '../base/timers.js';

/**
 * The addon's threads and callbacks never keep a process alive, so that a process that only calls exits by
 * itself. This timer keeps it alive on demand.
 */
export class KeepAlive {
  #timer: Timer | undefined;
  #wanted = false;

  /** Sets whether the process should stay alive. */
  set(wanted: boolean): void {
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    if (!wanted) this.#timer?.unref();
    else if (this.#timer !== undefined) this.#timer.ref();
    else this.#timer = every(0x7fff_ffff, nothing);
  }

  /** Stops keeping the process alive for good. */
  end(): void {
    cancelTimer(this.#timer);
    this.#timer = undefined;
    this.#wanted = false;
  }
}

function nothing(): void {
  // The timer does nothing; its existence keeps the process alive.
}
