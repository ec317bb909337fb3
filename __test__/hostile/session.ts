// Either side of an established session: records out and in.
import type { Carrier } from './carrier.js';
import { MESSAGE } from './constants.js';
import { readAll, write, type Message } from './messages.js';
import { Queue } from './queue.js';
import { Opener, Sealer } from './records.js';

/** The limits that a handshake negotiates. */
export interface Limits {
  maxMessage: number;
  maxCalls: number;
}

export class Session {
  /** Messages that arrived before `onMessage` was set. */
  readonly inbox = new Queue<Message>();
  onMessage: ((message: Message) => void) | null = null;
  /** The error of a record of the other side that could not be opened. */
  fault: Error | null = null;
  readonly sealer: Sealer;
  readonly opener: Opener;

  constructor(
    readonly carrier: Carrier,
    readonly id: Buffer,
    secrets: { out: Buffer; in: Buffer },
    aes: number,
    readonly peerLimits: Limits,
    readonly resumed: boolean,
  ) {
    this.sealer = new Sealer(secrets.out, aes);
    this.opener = new Opener(secrets.in, aes);
  }

  /** Begins to read; call it after `onMessage` is set. */
  start(): void {
    this.carrier.onFrame((frame) => this.#take(frame));
    void this.carrier.ended.then(({ status, message }) =>
      this.inbox.fail(new Error(`over: ${status} ${message}`)),
    );
  }

  #take(frame: Buffer): void {
    try {
      for (const plaintext of this.opener.open(frame)) {
        for (const message of readAll(plaintext)) this.#message(message);
      }
    } catch (error) {
      this.fault ??= error as Error;
      this.inbox.fail(this.fault);
    }
  }

  #message(message: Message): void {
    if (message.type === MESSAGE.ping) this.send({ ...message, type: MESSAGE.pong });
    if (this.onMessage === null) this.inbox.push(message);
    else this.onMessage(message);
  }

  /** Sends messages in one record in one frame. */
  send(...messages: Message[]): void {
    this.sendPlain(Buffer.concat(messages.map(write)));
  }

  /** Sends a record of messages with any plaintext. */
  sendPlain(plaintext: Uint8Array): void {
    this.carrier.send(this.sealer.seal(plaintext));
  }

  rekey(): void {
    this.carrier.send(this.sealer.rekey());
  }
}
