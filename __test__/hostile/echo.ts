// The honest service of a hostile server, which echoes its input.
import type { Accepted } from './acceptor.js';
import { FIELD, FLAG, MESSAGE } from './constants.js';
import { grant, SendWindows } from './flow.js';
import { answer, end, payload, readRequest, value, type Fields, type Message } from './messages.js';
import type { Respond } from './server.js';
import type { Session } from './session.js';
import { checkToken } from './token.js';

/** Fields of an error. */
export function errorFields(code: number, reason: string, message: string): Fields {
  return new Map([
    [FIELD.code, Buffer.from([code])],
    [FIELD.reason, Buffer.from(reason)],
    [FIELD.message, Buffer.from(message)],
  ]);
}

/**
 * `echo` answers its input, `fail` an error, `count` the numbers below its
 * input as a stream, `bytes` the length of its inputs, `each` every input as it
 * comes; anything else gets no answer.
 */
export function echo(): Respond {
  const windows = new WeakMap<Session, SendWindows>();
  const sums = new Map<number, number>();
  /** The pending answers of each call, in order. */
  const eaches = new Map<number, Promise<void>>();
  return (message, accepted) => {
    const { session } = accepted;
    const sending = windows.get(session) ?? new SendWindows(session);
    windows.set(session, sending);
    const { call } = message;
    switch (message.type) {
      case MESSAGE.window:
        sending.granted(call, message.body.readUInt32BE());
        break;
      case MESSAGE.request:
        start(message, accepted, sending);
        break;
      case MESSAGE.item:
        grant(session, call, message.body);
        if (sums.has(call)) sums.set(call, sums.get(call)! + amount(of(message)));
        follow(call, () => sending.send(call, payload(of(message))));
        break;
      case MESSAGE.end:
        if (sums.has(call)) {
          session.send(answer(MESSAGE.response, call, payload(sums.get(call)), new Map()));
        }
        follow(call, async () => session.send(end(call)));
        eaches.delete(call);
        sums.delete(call);
        break;
      case MESSAGE.cancel:
        sums.delete(call);
        eaches.delete(call);
        break;
    }
  };

  function follow(call: number, act: () => Promise<void>): void {
    const before = eaches.get(call);
    if (before !== undefined) eaches.set(call, before.then(act));
  }

  function start(message: Message, accepted: Accepted, sending: SendWindows): void {
    const { session, tokenSubject } = accepted;
    const { call } = message;
    const request = readRequest(message);
    checkToken(request.token, 'ssm-request+jwt', session.opener.tokenKey, tokenSubject);
    const input = value(message.flags, Buffer.from(request.payload.bytes));
    if (request.method === 'echo') {
      session.send(answer(MESSAGE.response, call, payload(input), new Map()));
    } else if (request.method === 'fail') {
      const fields = errorFields(9, 'OUT_OF_STOCK', 'none left');
      session.send(answer(MESSAGE.error, call, payload({ input }), fields));
    } else if (request.method === 'count') {
      void (async () => {
        for (let n = 0; n < Number(input); n++) await sending.send(call, payload(n));
        session.send(end(call));
      })();
    } else if (request.method === 'bytes') {
      sums.set(call, 0);
    } else if (request.method === 'each') {
      eaches.set(call, Promise.resolve());
    }
  }
}

const of = (message: Message): unknown => value(message.flags & ~FLAG.inputs, message.body);

const amount = (input: unknown): number => (input instanceof Uint8Array ? input.length : 1);
