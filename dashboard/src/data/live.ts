// The live stream of calls and events: a ring that the views read at their own pace.
import { parseCall, parseEvent, parseGap } from '../contract/picture';
import type { LiveCall, MeshEvent } from '../contract/types';

/** An entry of the tail; `id` grows by one. */
export type Entry = { id: number } & (
  { type: 'call'; call: LiveCall } | { type: 'gap'; missed: number; at: number }
);

/** The most entries that are kept. */
export const MAX_ENTRIES = 2000;
/** The largest event that is read, in characters. */
const MAX_DATA = 64 * 1024;
const RETRY_MS = 3000;

/** Receives the stream while at least one view has opened it. */
export class LiveTail {
  /** Newest last. */
  readonly entries: Entry[] = [];
  readonly events: MeshEvent[] = [];
  connected = false;
  /** Calls received since the tail was opened. */
  received = 0;
  readonly #changed: () => void;
  #source: EventSource | undefined;
  #retry: number | undefined;
  #nextId = 1;
  #due = false;

  /** `changed` is called at most four times a second. */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Opens the stream, again if need be. */
  open(): void {
    this.close();
    const source = new EventSource('api/v1/events');
    this.#source = source;
    source.onopen = () => this.#set(true);
    source.onerror = () => {
      this.#set(false);
      // The browser itself retries unless the answer was an error.
      if (source.readyState === EventSource.CLOSED) {
        this.#retry = window.setTimeout(() => this.open(), RETRY_MS);
      }
    };
    this.#on(source, 'call', (value) => {
      this.received += 1;
      this.#push({ id: this.#nextId++, type: 'call', call: parseCall(value) });
    });
    this.#on(source, 'gap', (value) => {
      this.#push({ id: this.#nextId++, type: 'gap', missed: parseGap(value), at: Date.now() });
    });
    this.#on(source, 'event', (value) => {
      this.events.unshift(parseEvent(value));
      this.events.length = Math.min(this.events.length, MAX_ENTRIES);
    });
  }

  /** Closes the stream; the entries stay. */
  close(): void {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = undefined;
    this.connected = false;
  }

  #on(source: EventSource, type: string, take: (value: unknown) => void): void {
    source.addEventListener(type, (message) => {
      const data: unknown = message.data;
      if (typeof data !== 'string' || data.length > MAX_DATA) return;
      try {
        take(JSON.parse(data));
      } catch {
        return; // Not JSON: nothing can be shown of it.
      }
      this.#notify();
    });
  }

  #push(entry: Entry): void {
    this.entries.push(entry);
    // Cut in pieces, so that not every call moves the whole array.
    if (this.entries.length > MAX_ENTRIES * 1.25) {
      this.entries.splice(0, this.entries.length - MAX_ENTRIES);
    }
  }

  #set(connected: boolean): void {
    this.connected = connected;
    this.#notify();
  }

  #notify(): void {
    if (this.#due) return;
    this.#due = true;
    window.setTimeout(() => {
      this.#due = false;
      this.#changed();
    }, 250);
  }
}
