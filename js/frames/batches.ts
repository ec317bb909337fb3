// The batches of the addon, fetched without blocking the event loop.

import { BATCH_BYTES, BATCH_FRAMES } from '../base/boundary.js';
import { nextTurn } from '../base/timers.js';

/**
 * Takes batches from the addon into one reused buffer. A reader must copy everything that it keeps.
 *
 * The event loop gets a turn after a few batches, however fast they arrive. Without this limit, Node would
 * call {@link wake} up to a thousand times in a row, as the addon signals each new batch.
 */
export class BatchReader {
  #buffer: Buffer = Buffer.allocUnsafeSlow(BATCH_BYTES + 8192);
  readonly #take: (target: Buffer) => number;
  readonly #read: (batch: Buffer) => number;
  /** The load since the last turn of the event loop; a full batch counts 1. */
  #load = 0;

  /**
   * @param take copies the next batch and returns its length; 0 if there is none. If the length exceeds the
   *   buffer, nothing was taken
   * @param read reads a batch, which is valid until `read` returns; returns the number of its frames
   */
  constructor(take: (target: Buffer) => number, read: (batch: Buffer) => number) {
    this.#take = take;
    this.#read = read;
  }

  /** The addon signals a batch. */
  readonly wake = (): void => {
    if (this.#load < 1) this.readNext();
    else this.more();
  };

  /** A frame signals that a next batch waits. */
  readonly more = (): void => {
    nextTurn(this.#onTurn);
  };

  readonly #onTurn = (): void => {
    this.#load = 0;
    this.readNext();
  };

  /** Reads the next batch immediately; false if there is none. */
  readNext(): boolean {
    let buffer = this.#buffer;
    let length = this.#take(buffer);
    while (length > buffer.length) {
      // A buffer for a single large message is used once and then freed.
      buffer = Buffer.allocUnsafeSlow(length + 64);
      length = this.#take(buffer);
    }
    if (length === 0) return false;
    this.#load += this.#read(buffer.subarray(0, length)) / BATCH_FRAMES + length / BATCH_BYTES;
    return true;
  }
}
