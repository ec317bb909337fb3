// An honest client on a session of its own, with calls of all four kinds. A test can corrupt each message
// separately.
import { ClientHandshake, type ClientOptions } from './client.js';
import { FIELD, FLAG, MESSAGE } from './constants.js';
import { grant, SendWindows } from './flow.js';
import {
  cancel,
  end,
  payload,
  readAnswer,
  request,
  value,
  type Fields,
  type Message,
  type Payload,
} from './messages.js';
import { Queue } from './queue.js';
import type { KeptTicket } from './resumption.js';
import type { Session } from './session.js';
import { makeToken } from './token.js';

/** An error with which the other side answered. */
export class Answered extends Error {
  constructor(
    readonly fields: Fields,
    readonly data: unknown,
  ) {
    super(fields.get(FIELD.message)?.toString());
  }
  get code(): number | undefined {
    return this.fields.get(FIELD.code)?.readUInt8();
  }
  get reason(): string | undefined {
    return this.fields.get(FIELD.reason)?.toString();
  }
}

export interface RequestOptions {
  kind?: number;
  timeLeft?: number;
  fields?: Fields;
  token?: string;
  call?: number;
}

export class Caller {
  /** The number of the next call. */
  nextCall = 1;
  /** The messages that belong to no call. */
  readonly inbox = new Queue<Message>();
  readonly windows: SendWindows;
  readonly #calls = new Map<number, Queue<Message>>();
  /** The cause of the session's end. */
  #over: Error | null = null;
  #token: { epoch: number; text: string } | null = null;

  private constructor(
    readonly options: ClientOptions,
    readonly session: Session,
    readonly ticket: KeptTicket | null,
  ) {
    this.windows = new SendWindows(session);
    session.onMessage = (message) => this.#take(message);
    session.start();
    void session.carrier.ended.then(({ status, message }) => {
      const error = new Error(`over: ${status} ${message}`);
      this.#over = error;
      this.inbox.fail(error);
      for (const queue of this.#calls.values()) queue.fail(error);
    });
  }

  static async connect(options: ClientOptions): Promise<Caller> {
    const handshake = await ClientHandshake.dial(options);
    try {
      return Caller.on(handshake, await handshake.run());
    } catch (error) {
      handshake.carrier.close();
      throw error;
    }
  }

  /** Creates a caller on an established session. */
  static on(handshake: ClientHandshake, session: Session): Caller {
    return new Caller(handshake.options, session, handshake.ticket);
  }

  #take(message: Message): void {
    if (message.type === MESSAGE.window) {
      this.windows.granted(message.call, message.body.readUInt32BE());
      return;
    }
    (this.#calls.get(message.call) ?? this.inbox).push(message);
  }

  /** The token of this epoch. */
  token(): string {
    const { epoch, tokenKey } = this.session.sealer;
    if (this.#token?.epoch !== epoch) {
      const { id, peer, identity } = this.options;
      const { thumbprint } = identity.publicKey;
      const subject = { from: id, to: peer, sessionId: this.session.id, thumbprint };
      this.#token = { epoch, text: makeToken('ssm-request+jwt', tokenKey, subject) };
    }
    return this.#token.text;
  }

  /** Sends a request; {@link messages} yields its messages. */
  request(method: string, content: Payload, options: RequestOptions = {}): number {
    const call = options.call ?? this.nextCall++;
    const messages = new Queue<Message>();
    if (this.#over !== null) messages.fail(this.#over);
    this.#calls.set(call, messages);
    this.session.send(this.message(call, method, content, options));
    return call;
  }

  message(call: number, method: string, content: Payload, options: RequestOptions = {}): Message {
    const { kind = 0, timeLeft = 10_000, fields = new Map(), token = this.token() } = options;
    return request(call, { token, timeLeft, method, fields, payload: content }, kind);
  }

  messages(call: number): Queue<Message> {
    return this.#calls.get(call)!;
  }

  async call(method: string, input: unknown, options: RequestOptions = {}): Promise<unknown> {
    return this.answer(this.request(method, payload(input), options));
  }

  /** Makes a call with a stream of results, and grants credit as items are read. */
  async *serverStream(method: string, input: unknown): AsyncGenerator<unknown> {
    const call = this.request(method, payload(input), { kind: FLAG.answers, timeLeft: 0 });
    yield* this.items(call);
  }

  async clientStream(method: string, inputs: Iterable<unknown>): Promise<unknown> {
    const options = { kind: FLAG.inputs, timeLeft: 0 };
    const call = this.request(method, payload(undefined), options);
    for (const input of inputs) await this.windows.send(call, payload(input));
    this.session.send(end(call));
    return this.answer(call);
  }

  async *bidiStream(method: string, inputs: Iterable<unknown>): AsyncGenerator<unknown> {
    const options = { kind: FLAG.inputs | FLAG.answers, timeLeft: 0 };
    const call = this.request(method, payload(undefined), options);
    const send = async () => {
      for (const input of inputs) await this.windows.send(call, payload(input));
      this.session.send(end(call));
    };
    void send();
    yield* this.items(call);
  }

  cancel(call: number): void {
    this.session.send(cancel(call));
  }

  /** Waits for the single answer of a call. */
  async answer(call: number): Promise<unknown> {
    const message = await this.messages(call).next(15_000);
    this.#calls.delete(call);
    return this.#open(message, MESSAGE.response);
  }

  async *items(call: number): AsyncGenerator<unknown> {
    for (;;) {
      const message = await this.messages(call).next(15_000);
      if (message.type === MESSAGE.item) {
        grant(this.session, call, message.body);
        yield value(message.flags, message.body);
        continue;
      }
      this.#calls.delete(call);
      if (message.type === MESSAGE.end) return;
      this.#open(message, MESSAGE.end);
    }
  }

  #open(message: Message, type: number): unknown {
    if (message.type !== type && message.type !== MESSAGE.error) {
      throw new Error(`message ${message.type} in place of ${type}`);
    }
    const { fields, value } = readAnswer(message);
    if (message.type === MESSAGE.error) throw new Answered(fields, value);
    return value;
  }

  close(): void {
    this.session.carrier.close();
  }
}
