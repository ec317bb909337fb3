// Items on their way out, no faster than they are let go.

import type { Items } from '../rpc/call-types.js';
import { ITEM_COST } from './inflow.js';
import { encodePayload, type Payload } from './payload.js';

/** Beyond this many bytes that have not gone yet, the source waits. */
const HIGH_WATER = 64 * 1024;

/** Sends what an iterable yields. */
export class Outflow {
  readonly #send: (payload: Payload) => number;
  readonly #limit: number;
  #iterator: AsyncIterator<unknown> | Iterator<unknown> | undefined;
  #unsent = 0;
  #stopped = false;
  #resume: (() => void) | undefined;

  /**
   * @param send takes an item, and says how many bytes it has
   * @param limit the most bytes of an item
   */
  constructor(send: (payload: Payload) => number, limit?: number) {
    this.#send = send;
    this.#limit = limit ?? Infinity;
  }

  /**
   * Sends the items; true once all of them are sent, false when it was
   * stopped. However it ends, the iterable is told.
   *
   * @param prepare makes of an item what is sent
   * @throws what the iterable or `prepare` throws; PayloadError for an item that cannot be sent
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
      }
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  /** The items will not be asked for: their iterable is told. */
  discard(items: Items): void {
    this.#iterator = iteratorOf(items);
    this.#stopped = false;
    this.stop();
  }

  /** Items that cost this much have gone. */
  sent(cost: number): void {
    this.#unsent -= cost;
    if (this.#unsent < HIGH_WATER) this.#wake();
  }

  /** Nobody wants more. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    const iterator = this.#iterator;
    this.#iterator = undefined;
    this.#wake();
    try {
      // A generator that waits for something is told when that is over.
      Promise.resolve(iterator?.return?.()).catch(() => {
        // The stream is over already; nobody is there to hear of it.
      });
    } catch {
      // The same, of an iterator that throws at once.
    }
  }

  #wake(): void {
    this.#resume?.();
    this.#resume = undefined;
  }
}

/** Whether something yields items. Text does as well, though hardly anybody means its letters. */
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
