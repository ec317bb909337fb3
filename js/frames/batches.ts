// The batches of the addon, fetched without holding up the event loop.

import { BATCH_BYTES, BATCH_FRAMES } from '../base/boundary.js';
import { nextTurn } from '../base/timers.js';

/**
 * Takes batches from the addon, into one buffer that is used again for the next:
 * what is kept of a batch is copied.
 *
 * However fast batches come, the event loop does other things after a few of them. The addon
 * wakes it again while a batch is being read, and Node then calls {@link wake} again at once, a
 * thousand times if need be.
 */
export class BatchReader {
  #buffer: Buffer = Buffer.allocUnsafeSlow(BATCH_BYTES + 8192);
  readonly #take: (target: Buffer) => number;
  readonly #read: (batch: Buffer) => number;
  /** What has been read since the event loop was last waited for; a full batch is 1. */
  #load = 0;

  /**
   * @param take copies the next batch and returns its length; 0 if there is none; more than
   *   the buffer holds: nothing was taken
   * @param read reads a batch, which is there until it returns; returns how many frames it has
   */
  constructor(take: (target: Buffer) => number, read: (batch: Buffer) => number) {
    this.#take = take;
    this.#read = read;
  }

  /** The addon says that there is a batch. */
  readonly wake = (): void => {
    if (this.#load < 1) this.readNext();
    else this.more();
  };

  /** A batch says that there is another. */
  readonly more = (): void => {
    nextTurn(this.#onTurn);
  };

  readonly #onTurn = (): void => {
    this.#load = 0;
    this.readNext();
  };

  /** Reads the next batch at once; false if there is none. */
  readNext(): boolean {
    let buffer = this.#buffer;
    let length = this.#take(buffer);
    while (length > buffer.length) {
      // A buffer for a single large message is not kept.
      buffer = Buffer.allocUnsafeSlow(length + 64);
      length = this.#take(buffer);
    }
    if (length === 0) return false;
    this.#load += this.#read(buffer.subarray(0, length)) / BATCH_FRAMES + length / BATCH_BYTES;
    return true;
  }
}
