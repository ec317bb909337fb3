// The items that a stream receives, as an async iterator.

import { rejectAtCaller } from '../base/caller-stack.js';
import { decodeKept, type Incoming, type Kept } from './reader.js';

/** The cost of an item in addition to its payload, as in the core. */
export const ITEM_COST = 64;

// Consumed bytes are reported in portions of this size, which is less than the half of a window at which the
// core grants more.
const REPORT = 16 * 1024;

/** The source of an inflow. */
interface Source {
  /** The consumer asks for the first item. */
  begin?(): void;
  /** Items of this cost were consumed, so that as many can follow. */
  consumed(cost: number): void;
  /** The consumer has left before the end. */
  left(): void;
  /** Ends the stream because an item is not valid JSON; returns the error. */
  unreadable(cause: unknown): unknown;
}

interface Waiting {
  resolve(result: IteratorResult<unknown> | Promise<IteratorResult<unknown>>): void;
  reject(error: unknown): void;
}

/**
 * The items of a stream as an async iterator. The core's windows limit the items that wait here. An item is
 * parsed when the consumer requests it; until then the core counts its bytes.
 */
export class Inflow implements AsyncIterableIterator<unknown> {
  readonly #source: Source;
  #queue: { kept: Kept; cost: number }[] = [];
  #waiting: Waiting[] = [];
  /** The items that have arrived. */
  items = 0;
  #begun = false;
  #consumed = 0;
  /** The end of the stream, delivered after its items. */
  #end: { error?: unknown } | undefined;

  constructor(source: Source) {
    this.#source = source;
  }

  /** Adds an item that arrived. */
  push(payload: Incoming): void {
    if (this.#end !== undefined) return;
    this.items += 1;
    const item = { kept: payload.keep(), cost: payload.size + ITEM_COST };
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#queue.push(item);
    else waiting.resolve(this.#deliver(item));
  }

  /** Ends the stream after its items. */
  finish(): void {
    this.#close({});
  }

  /**
   * Fails the stream. The error is delivered once, after the items that arrived before it.
   *
   * @param now whether to drop those items, which are no longer wanted
   */
  fail(error: unknown, now = false): void {
    if (now) this.#queue = [];
    this.#close({ error });
  }

  /** The next item. */
  next(): Promise<IteratorResult<unknown>> {
    if (!this.#begun) {
      this.#begun = true;
      this.#source.begin?.();
    }
    const item = this.#queue.shift();
    if (item !== undefined) return Promise.resolve(this.#deliver(item));
    if (this.#end !== undefined) return this.#ended();
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Leaves the stream. */
  return(value?: unknown): Promise<IteratorResult<unknown>> {
    this.#leave();
    return Promise.resolve({ done: true, value });
  }

  /** Leaves the stream with an error of the consumer. */
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
      this.#queue = [];
      this.#end = { error: this.#source.unreadable(cause) };
      // The reader of this item gets the error; the other readers get the end.
      const ended = this.#ended();
      for (const waiting of this.#waiting.splice(0)) waiting.resolve(this.#ended());
      return ended;
    }
    this.#consume(item.cost);
    return { done: false, value };
  }

  #leave(): void {
    const left = this.#end === undefined;
    this.#queue = [];
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
      // The promise itself is the value, so that the stack of an error leads to the waiting code.
      waiting.resolve(this.#ended());
    }
  }

  /** An error is thrown once; after that the iterator has ended, like a generator. */
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
