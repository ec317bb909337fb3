// Section 7's windows, as an honest side keeps them.
import { ITEM_COST, SESSION_WINDOW, STREAM_WINDOW } from './constants.js';
import { item, window, type Payload } from './messages.js';
import type { Session } from './session.js';

export const cost = (bytes: Uint8Array): number => bytes.length + ITEM_COST;

/** What may still be sent, on each stream and on all of them. */
export class SendWindows {
  #session = SESSION_WINDOW;
  readonly #streams = new Map<number, number>();
  #wake: (() => void)[] = [];

  constructor(readonly session: Session) {}

  granted(call: number, credit: number): void {
    if (call === 0) this.#session += credit;
    else this.#streams.set(call, this.of(call) + credit);
    for (const wake of this.#wake.splice(0)) wake();
  }
  of(call: number): number {
    return this.#streams.get(call) ?? STREAM_WINDOW;
  }
  /** Sends an item as soon as both windows allow it. */
  async send(call: number, content: Payload): Promise<void> {
    while (this.of(call) <= 0 || this.#session <= 0) {
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
    this.#streams.set(call, this.of(call) - cost(content.bytes));
    this.#session -= cost(content.bytes);
    this.session.send(item(call, content));
  }
}

/** Grants what an item has cost, on its stream and on the session. */
export function grant(session: Session, call: number, bytes: Uint8Array): void {
  session.send(window(call, cost(bytes)), window(0, cost(bytes)));
}
