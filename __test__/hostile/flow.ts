// The windows of section 7, as an honest side maintains them.
import { ITEM_COST, SESSION_WINDOW, STREAM_WINDOW } from './constants.js';
import { item, window, type Payload } from './messages.js';
import type { Session } from './session.js';

/** The cost of an item for its stream's window and for that of the session. */
function cost(bytes: Uint8Array): { stream: number; session: number } {
  const whole = bytes.length + ITEM_COST;
  const stream = Math.min(whole, STREAM_WINDOW);
  return { stream, session: whole - stream };
}

/** The remaining credit of each stream and of the session. */
export class SendWindows {
  #shared = SESSION_WINDOW;
  readonly #streams = new Map<number, number>();
  #wake: (() => void)[] = [];

  constructor(readonly session: Session) {}

  granted(call: number, credit: number): void {
    if (call === 0) this.#shared += credit;
    else this.#streams.set(call, this.of(call) + credit);
    for (const wake of this.#wake.splice(0)) wake();
  }
  of(call: number): number {
    return this.#streams.get(call) ?? STREAM_WINDOW;
  }
  /** Sends an item as soon as both windows allow it. */
  async send(call: number, content: Payload): Promise<void> {
    const { stream, session } = cost(content.bytes);
    while (this.of(call) <= 0 || (session > 0 && this.#shared <= 0)) {
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
    this.#streams.set(call, this.of(call) - stream);
    this.#shared -= session;
    this.session.send(item(call, content));
  }
}

/** Grants the cost of an item, on its stream and on the session. */
export function grant(session: Session, call: number, bytes: Uint8Array): void {
  const taken = cost(bytes);
  const windows = [window(call, taken.stream)];
  if (taken.session > 0) windows.push(window(0, taken.session));
  session.send(...windows);
}
