// Items on their way to whoever iterates.

import { rejectAtCaller } from '../base/caller-stack.js';
import { decodeKept, type Incoming, type Kept } from './reader.js';

/** What an item costs beside its payload, as the core counts. */
export const ITEM_COST = 64;

// What was consumed is told once it is this much: less than the half of a
// window at which the core grants more.
const REPORT = 16 * 1024;

/** Where an inflow comes from. */
interface Source {
  /** The first item is asked for. */
  begin?(): void;
  /** Items that cost this much are consumed, so that as many can follow. */
  consumed(cost: number): void;
  /** The consumer has left before the end. */
  left(): void;
  /** An item is not the JSON it should be: ends the stream, and makes the error of it. */
  unreadable(cause: unknown): unknown;
}

interface Waiting {
  resolve(result: IteratorResult<unknown> | Promise<IteratorResult<unknown>>): void;
  reject(error: unknown): void;
}

/**
 * A stream's items as an async iterator. What is not consumed yet is bounded by the core's windows, and is
 * parsed when it is asked for: the core counts its bytes.
 */
export class Inflow implements AsyncIterableIterator<unknown> {
  readonly #source: Source;
  #items: { kept: Kept; cost: number }[] = [];
  #waiting: Waiting[] = [];
  #begun = false;
  #consumed = 0;
  /** How it ends once its items are read. */
  #end: { error?: unknown } | undefined;

  constructor(source: Source) {
    this.#source = source;
  }

  /** An item arrived. */
  push(payload: Incoming): void {
    if (this.#end !== undefined) return;
    const item = { kept: payload.keep(), cost: payload.size + ITEM_COST };
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#items.push(item);
    else waiting.resolve(this.#deliver(item));
  }

  /** No more items follow. */
  finish(): void {
    this.#close({});
  }

  /**
   * The stream failed; that is told once, after the items that came before.
   *
   * @param now whether these are dropped instead: nobody wants them any more
   */
  fail(error: unknown, now = false): void {
    if (now) this.#items = [];
    this.#close({ error });
  }

  /** The next item. */
  next(): Promise<IteratorResult<unknown>> {
    if (!this.#begun) {
      this.#begun = true;
      this.#source.begin?.();
    }
    const item = this.#items.shift();
    if (item !== undefined) return Promise.resolve(this.#deliver(item));
    if (this.#end !== undefined) return this.#ended();
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Leaves the stream. */
  return(value?: unknown): Promise<IteratorResult<unknown>> {
    this.#leave();
    return Promise.resolve({ done: true, value });
  }

  /** Leaves the stream with an error of the consumer's. */
  throw(error?: unknown): Promise<IteratorResult<unknown>> {
    this.#leave();
    return Promise.reject(error);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #deliver(item: {
    kept: Kept;
    cost: number;
  }): IteratorResult<unknown> | Promise<IteratorResult<unknown>> {
    let value: unknown;
    try {
      value = decodeKept(item.kept);
    } catch (cause) {
      this.#items = [];
      this.#end = { error: this.#source.unreadable(cause) };
      // Whoever asked for this item hears of it; the others are at the end.
      const ended = this.#ended();
      for (const waiting of this.#waiting.splice(0)) waiting.resolve(this.#ended());
      return ended;
    }
    this.#consume(item.cost);
    return { done: false, value };
  }

  #leave(): void {
    const left = this.#end === undefined;
    this.#items = [];
    this.#end = {};
    for (const waiting of this.#waiting.splice(0))
      waiting.resolve({ done: true, value: undefined });
    if (left && this.#begun) this.#source.left();
    this.#begun = true;
  }

  #close(end: { error?: unknown }): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    for (const waiting of this.#waiting.splice(0)) {
      // Resolved with the promise, not told of its outcome: the stack of an error leads to who waits.
      waiting.resolve(this.#ended());
    }
  }

  /** An error is thrown once; after that the iterator is over, as a generator would be. */
  #ended(): Promise<IteratorResult<unknown>> {
    const end = this.#end;
    this.#end = {};
    return end !== undefined && 'error' in end
      ? rejectAtCaller(end.error)
      : Promise.resolve({ done: true, value: undefined });
  }

  #consume(cost: number): void {
    this.#consumed += cost;
    if (this.#consumed < REPORT || this.#end !== undefined) return;
    this.#source.consumed(this.#consumed);
    this.#consumed = 0;
  }
}
