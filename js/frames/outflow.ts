// The items that a stream sends, at the pace that flow control permits.

import type { Items } from '../rpc/call-types.js';
import { ITEM_COST } from './inflow.js';
import { encodePayload, type Payload } from './payload.js';

/** The source waits while more than this many bytes are unsent. */
const HIGH_WATER = 64 * 1024;

/** Sends the items of an iterable. */
export class Outflow {
  readonly #send: (payload: Payload) => number;
  readonly #limit: number;
  #iterator: AsyncIterator<unknown> | Iterator<unknown> | undefined;
  /** The items that were sent. */
  items = 0;
  #unsent = 0;
  #stopped = false;
  #resume: (() => void) | undefined;

  /**
   * @param send takes an item and returns the number of its bytes
   * @param limit the limit of an item in bytes
   */
  constructor(send: (payload: Payload) => number, limit?: number) {
    this.#send = send;
    this.#limit = limit ?? Infinity;
  }

  /**
   * Sends the items; resolves to true when all of them are sent, false when the outflow was stopped. The
   * iterator is always closed.
   *
   * @param prepare converts an item to the value that is sent
   * @throws the error of the iterable or of `prepare`; PayloadError for an item that cannot be sent
   */
  async run(items: Items, prepare?: (item: unknown) => unknown): Promise<boolean> {
    if (this.#stopped) return false;
    const iterator = iteratorOf(items);
    this.#iterator = iterator;
    try {
      for (;;) {
        if (this.#unsent >= HIGH_WATER) {
          await new Promise<void>((resolve) => (this.#resume = resolve));
        }
        if (this.#stopped) return false;
        const step = await iterator.next();
        if (this.#stopped) return false;
        if (step.done === true) {
          this.#iterator = undefined;
          return true;
        }
        const item = prepare === undefined ? step.value : await prepare(step.value);
        if (this.#stopped) return false;
        this.#unsent += this.#send(encodePayload(item, this.#limit)) + ITEM_COST;
        this.items += 1;
      }
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  /** Closes an iterable whose items will not be read. */
  discard(items: Items): void {
    this.#iterator = iteratorOf(items);
    this.#stopped = false;
    this.stop();
  }

  /** Records that items of this cost were sent. */
  sent(cost: number): void {
    this.#unsent -= cost;
    if (this.#unsent < HIGH_WATER) this.#wake();
  }

  /** Stops the stream: the peer wants no more items. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    const iterator = this.#iterator;
    this.#iterator = undefined;
    this.#wake();
    try {
      // A generator that is waiting sees the `return()` only after its wait, so this code does not await it.
      Promise.resolve(iterator?.return?.()).catch(() => {
        // The stream has ended, so this error has no receiver.
      });
    } catch {
      // The same for an iterator whose `return()` throws synchronously.
    }
  }

  #wake(): void {
    this.#resume?.();
    this.#resume = undefined;
  }
}

/** Whether a value yields items. A string is excluded, because its letters are hardly ever meant as items. */
export function isItems(value: unknown): value is Items {
  return (
    typeof value === 'object' &&
    value !== null &&
    (Symbol.asyncIterator in value || Symbol.iterator in value)
  );
}

function iteratorOf(items: Items): AsyncIterator<unknown> | Iterator<unknown> {
  return Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
}
