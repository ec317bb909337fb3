// Keeping the process alive for as long as there is something to wait for.

/**
 * The addon's threads and callbacks never keep a process alive, so that a
 * process that only calls exits by itself. This one timer does, when wanted.
 */
export class KeepAlive {
  #timer: NodeJS.Timeout | undefined;
  #wanted = false;

  /** Says whether the process should live on. */
  set(wanted: boolean): void {
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    if (!wanted) this.#timer?.unref();
    else if (this.#timer !== undefined) this.#timer.ref();
    else this.#timer = setInterval(nothing, 0x7fff_ffff);
  }

  /** Lets go for good. */
  end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#wanted = false;
  }
}

function nothing(): void {
  // The timer is there to be waited for.
}
