// Keeping the process alive for as long as there is something to wait for.

import { cancelTimer, every, type Timer } from '../base/timers.js';

/**
 * The addon's threads and callbacks never keep a process alive, so that a
 * process that only calls exits by itself. This one timer does, when wanted.
 */
export class KeepAlive {
  #timer: Timer | undefined;
  #wanted = false;

  /** Says whether the process should live on. */
  set(wanted: boolean): void {
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    if (!wanted) this.#timer?.unref();
    else if (this.#timer !== undefined) this.#timer.ref();
    else this.#timer = every(0x7fff_ffff, nothing);
  }

  /** Lets go for good. */
  end(): void {
    cancelTimer(this.#timer);
    this.#timer = undefined;
    this.#wanted = false;
  }
}

function nothing(): void {
  // The timer is there to be waited for.
}
