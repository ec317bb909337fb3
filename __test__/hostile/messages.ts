// Section 6: the messages in a record, and their bodies.
import { entries, Reader, Writer } from './bytes.js';
import { FLAG, MESSAGE } from './constants.js';

export interface Message {
  type: number;
  flags: number;
  call: number;
  body: Buffer;
}

/** JSON for any value but bytes; `undefined` is no payload. */
export interface Payload {
  flags: number;
  bytes: Uint8Array;
}

export function payload(value: unknown): Payload {
  if (value === undefined) return { flags: FLAG.empty, bytes: Buffer.alloc(0) };
  if (value instanceof Uint8Array) return { flags: FLAG.bytes, bytes: value };
  return { flags: 0, bytes: Buffer.from(JSON.stringify(value)) };
}

/** JSON that is sent unchanged, even if it is invalid. */
export const text = (json: string): Payload => ({ flags: 0, bytes: Buffer.from(json) });

export function value(flags: number, bytes: Buffer): unknown {
  if ((flags & FLAG.empty) !== 0) return undefined;
  if ((flags & FLAG.bytes) !== 0) return bytes;
  return JSON.parse(bytes.toString());
}

export type Fields = Map<number, Buffer>;

export function writeFields(fields: Fields): Buffer {
  const writer = new Writer();
  for (const [tag, content] of fields) writer.u8(tag).vec16(content);
  return writer.done();
}

export function write(message: Message): Buffer {
  const { type, flags, call, body } = message;
  return new Writer().u8(type).u8(flags).u32(call).vec32(body).done();
}

export function readAll(plaintext: Buffer): Message[] {
  const reader = new Reader(plaintext);
  const found: Message[] = [];
  while (reader.left > 0) {
    const [type, flags, call] = [reader.u8(), reader.u8(), reader.u32()];
    found.push({ type, flags, call, body: reader.vec32() });
  }
  return found;
}

export interface Request {
  token: string;
  timeLeft: number;
  method: string;
  fields: Fields;
  payload: Payload;
}

export function request(call: number, content: Request, kind = 0): Message {
  const body = new Writer()
    .vec16(content.token)
    .u32(content.timeLeft)
    .vec8(content.method)
    .vec16(writeFields(content.fields))
    .raw(content.payload.bytes)
    .done();
  return { type: MESSAGE.request, flags: content.payload.flags | kind, call, body };
}

export function readRequest(message: Message): Request {
  const reader = new Reader(message.body);
  const token = reader.vec16().toString();
  const timeLeft = reader.u32();
  const method = reader.vec8().toString();
  const fields = entries(reader.vec16(), (each) => each.u8());
  return {
    token,
    timeLeft,
    method,
    fields,
    payload: { flags: message.flags, bytes: reader.rest() },
  };
}

/** A response or an error. */
export function answer(type: number, call: number, content: Payload, fields: Fields): Message {
  const body = new Writer().vec16(writeFields(fields)).raw(content.bytes).done();
  return { type, flags: content.flags, call, body };
}

export function readAnswer(message: Message): { fields: Fields; value: unknown } {
  const reader = new Reader(message.body);
  const fields = entries(reader.vec16(), (each) => each.u8());
  return { fields, value: value(message.flags, reader.rest()) };
}

export const cancel = (call: number, cause = 1): Message => ({
  type: MESSAGE.cancel,
  flags: 0,
  call,
  body: Buffer.from([cause]),
});

export const ping = (content: Buffer): Message => ({
  type: MESSAGE.ping,
  flags: 0,
  call: 0,
  body: content,
});

export const goaway = (last: number, code: number): Message => ({
  type: MESSAGE.goaway,
  flags: 0,
  call: 0,
  body: new Writer().u32(last).u8(code).done(),
});

export const item = (call: number, content: Payload): Message => ({
  type: MESSAGE.item,
  flags: content.flags,
  call,
  body: Buffer.from(content.bytes),
});

export const end = (call: number, fields: Fields = new Map()): Message => ({
  type: MESSAGE.end,
  flags: 0,
  call,
  body: new Writer().vec16(writeFields(fields)).done(),
});

export const window = (call: number, credit: number): Message => ({
  type: MESSAGE.window,
  flags: 0,
  call,
  body: new Writer().u32(credit).done(),
});
