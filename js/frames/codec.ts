// The frames exchanged with the addon, as bytes.
//
// Everything crosses in batches, little-endian, each frame after the other:
//
//   u32 length of what follows | u8 kind | u8 encoding | u16 a | u32 id | …
//
// V8 does all of the JSON; the addon never looks into a payload.

import { isUint8Array } from 'node:util/types';
import type { CallKind } from '../rpc/call-types.js';

/** How a payload is encoded. */
export const enum Encoding {
  /** JSON text in UTF-8. */
  Json = 0,
  /** Bytes, as they are. */
  Bytes = 1,
  /** None: `undefined`. */
  None = 2,
}

/** Frames to the addon. */
export const enum Command {
  Call = 1,
  Cancel = 2,
  Respond = 3,
  Fail = 4,
  Item = 5,
  End = 6,
  Consumed = 7,
}

/** Frames from the addon. */
export const enum Event {
  Result = 1,
  Error = 2,
  Request = 3,
  Abort = 4,
  SessionOpened = 5,
  SessionClosed = 6,
  Log = 7,
  More = 8,
  Item = 9,
  InputEnded = 10,
  Sent = 11,
}

/** Which table the id of a stream is of. */
export const enum Side {
  /** A call made here. */
  Call = 0,
  /** A request received here. */
  Request = 1,
}

/** The kinds of calls, at their numbers. */
export const KINDS: readonly CallKind[] = ['unary', 'clientStream', 'serverStream', 'bidiStream'];

/** A batch holds at most this many frames… */
export const MAX_FRAMES = 32;
/** …and this many bytes, unless a single frame is larger. */
export const MAX_BATCH = 64 * 1024;

const HEADER = 12;
// A buffer that had to grow beyond this for one large message is not kept.
const KEEP = 1024 * 1024;

// Well below what the length of a frame can say, and above any limit on messages.
const LARGEST = 0x3fff_ffff;

/** A value that is ready to be written: text, bytes, or nothing. */
export type Payload = string | Uint8Array | undefined;

/** Says that a value cannot be sent; the message says why. */
export class PayloadError extends Error {}

/**
 * Encodes a value: `undefined` is no payload, a `Uint8Array` is sent as it is,
 * all else is JSON.
 *
 * @throws PayloadError for a cycle, a BigInt, a function, a symbol, for more than
 *   1 GiB, for bytes that were transferred, and for buffers other than `Uint8Array`,
 *   which JSON would turn into `{}`
 */
export function encodePayload(value: unknown): Payload {
  if (value === undefined) return value;
  if (isUint8Array(value)) {
    const bytes = plainView(value);
    if (bytes.length > LARGEST) throw new PayloadError(`more than ${LARGEST} bytes`);
    return bytes;
  }
  if (typeof value === 'object' && isOtherBuffer(value)) {
    throw new PayloadError('pass bytes as a Uint8Array');
  }
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw new PayloadError(describe(error), { cause: error });
  }
  if (text === undefined) throw new PayloadError(`a ${typeof value} has no JSON`);
  return text;
}

// What a subclass or a property of its own says of an array may be wrong, and
// what was in the buffer of a batch before must not be sent in its place.
const TYPED_ARRAY = Object.getPrototypeOf(Uint8Array.prototype) as object;
const inherent = <T>(name: string): ((of: Uint8Array) => T) => {
  const get = Object.getOwnPropertyDescriptor(TYPED_ARRAY, name)?.get as () => T;
  return (of) => Reflect.apply(get, of, []);
};
const bufferOf = inherent<ArrayBuffer>('buffer');
const offsetOf = inherent<number>('byteOffset');
const lengthOf = inherent<number>('length');

/** The same bytes, as long as they are. */
function plainView(bytes: Uint8Array): Uint8Array {
  try {
    return new Uint8Array(bufferOf(bytes), offsetOf(bytes), lengthOf(bytes));
  } catch (cause) {
    throw new PayloadError('its bytes were transferred to another owner', { cause });
  }
}

function isOtherBuffer(value: object | null): boolean {
  return (
    ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof SharedArrayBuffer
  );
}

/** The first line of an error: V8 draws a whole picture of a cycle. */
function describe(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n', 1)[0] ?? text;
}

/**
 * Writes commands into one buffer, used again after each flush, and hands them
 * to the addon in bounded batches: at the end of the current tick, or when a
 * batch is full.
 */
export class CommandWriter {
  #buffer: Buffer = Buffer.allocUnsafeSlow(MAX_BATCH + 8192);
  #end = 0;
  #frames = 0;
  #scheduled = false;
  readonly #submit: (batch: Buffer) => void;
  readonly #onTick = (): void => {
    this.#scheduled = false;
    this.flush();
  };

  /** @param submit takes a batch, and is done with its memory when it returns */
  constructor(submit: (batch: Buffer) => void) {
    this.#submit = submit;
  }

  /**
   * @param timeoutMs 0 for the default
   * @param meta a JSON object, or '' for none
   */
  call(
    id: number,
    service: string,
    method: string,
    payload: Payload,
    timeoutMs: number,
    idempotent: boolean,
    meta: string,
    kind: CallKind = 'unary',
    earlier = 0,
  ): void {
    const start = this.#end;
    this.#reserve(HEADER + 12 + 3 * (service.length + method.length + meta.length), payload);
    const buffer = this.#buffer;
    let at = start + HEADER + 12;
    const serviceLength = writeText(buffer, service, at);
    at += serviceLength;
    const methodLength = writeText(buffer, method, at);
    at += methodLength;
    const metaLength = meta === '' ? 0 : writeText(buffer, meta, at);
    at += metaLength;
    buffer.writeUInt32LE(timeoutMs, start + 12);
    buffer.writeUInt16LE(methodLength, start + 16);
    const kindNumber = kind === 'unary' ? 0 : KINDS.indexOf(kind);
    buffer.writeUInt8((idempotent ? 1 : 0) | (kindNumber << 1), start + 18);
    buffer.writeUInt8(Math.min(earlier, 255), start + 19);
    buffer.writeUInt32LE(metaLength, start + 20);
    this.#finish(start, Command.Call, serviceLength, id, at, payload);
  }

  /** Takes back a call. */
  cancel(id: number): void {
    const start = this.#end;
    this.#reserve(HEADER, undefined);
    this.#finish(start, Command.Cancel, 0, id, start + HEADER, undefined);
  }

  /** @param meta a JSON object, or '' for none */
  respond(id: number, payload: Payload, meta: string): void {
    const start = this.#end;
    this.#reserve(HEADER + 4 + 3 * meta.length, payload);
    const metaLength = meta === '' ? 0 : writeText(this.#buffer, meta, start + 16);
    this.#buffer.writeUInt32LE(metaLength, start + 12);
    this.#finish(start, Command.Respond, 0, id, start + 16 + metaLength, payload);
  }

  /** @param error a JSON object with code, reason, message and so on */
  fail(id: number, error: string): void {
    const start = this.#end;
    this.#reserve(HEADER, error);
    this.#finish(start, Command.Fail, 0, id, start + HEADER, error);
  }

  /** An item of a stream; returns how many bytes its payload has. */
  item(side: Side, id: number, payload: Payload): number {
    const start = this.#end;
    this.#reserve(HEADER, payload);
    return this.#finish(start, Command.Item, side, id, start + HEADER, payload);
  }

  /**
   * No more items follow.
   *
   * @param meta a JSON object, or '' for none
   */
  end(side: Side, id: number, meta: string): void {
    const start = this.#end;
    const payload = meta === '' ? undefined : meta;
    this.#reserve(HEADER, payload);
    this.#finish(start, Command.End, side, id, start + HEADER, payload);
  }

  /** Items that cost this much are consumed. */
  consumed(side: Side, id: number, cost: number): void {
    const start = this.#end;
    this.#reserve(HEADER + 4, undefined);
    this.#buffer.writeUInt32LE(cost, start + HEADER);
    this.#finish(start, Command.Consumed, side, id, start + HEADER + 4, undefined);
  }

  /** Frames that have been written and not handed over. */
  get frames(): number {
    return this.#frames;
  }

  /** Hands over what has been written. */
  flush(): void {
    if (this.#end > 0) this.#hand(this.#end);
  }

  /** Makes room for a frame with `fixed` bytes before its payload. */
  #reserve(fixed: number, payload: Payload): void {
    const size =
      fixed +
      (payload === undefined
        ? 0
        : typeof payload === 'string'
          ? 3 * payload.length
          : payload.length);
    const wanted = this.#end + size;
    if (wanted <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(wanted, 2 * this.#buffer.length));
    this.#buffer.copy(grown, 0, 0, this.#end);
    this.#buffer = grown;
  }

  /** Completes a frame; returns how many bytes its payload has. */
  #finish(
    start: number,
    kind: Command,
    a: number,
    id: number,
    at: number,
    payload: Payload,
  ): number {
    const buffer = this.#buffer;
    let encoding = Encoding.None;
    let end = at;
    if (typeof payload === 'string') {
      encoding = Encoding.Json;
      end += writeText(buffer, payload, at);
    } else if (payload !== undefined) {
      encoding = Encoding.Bytes;
      buffer.set(payload, at);
      end += payload.length;
    }
    buffer.writeUInt32LE(end - start - 4, start);
    buffer[start + 4] = kind;
    buffer[start + 5] = encoding;
    buffer.writeUInt16LE(a, start + 6);
    buffer.writeUInt32LE(id, start + 8);
    this.#end = end;
    this.#frames += 1;

    if (end > MAX_BATCH && start > 0) {
      // The frame that is too much goes in a batch after the others.
      this.#hand(start, start, end);
    } else if (end >= MAX_BATCH || this.#frames >= MAX_FRAMES) {
      this.#hand(end);
    } else if (!this.#scheduled) {
      this.#scheduled = true;
      process.nextTick(this.#onTick);
    }
    return end - at;
  }

  /** Hands over the first `end` bytes, and then those from `from` to `to`, if there are any. */
  #hand(end: number, from = 0, to = 0): void {
    const buffer = this.#buffer;
    // Whatever happens now, these bytes are not handed over twice.
    this.#end = 0;
    this.#frames = 0;
    if (buffer.length > KEEP) this.#buffer = Buffer.allocUnsafeSlow(MAX_BATCH + 8192);
    this.#submit(buffer.subarray(0, end));
    if (to > from) this.#submit(buffer.subarray(from, to));
  }
}

/** Writes UTF-8, and returns how many bytes. A short ASCII text is quicker without leaving JavaScript. */
function writeText(buffer: Buffer, text: string, at: number): number {
  const length = text.length;
  if (length > 24) return buffer.utf8Write(text, at);
  for (let index = 0; index < length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit > 0x7f) return buffer.utf8Write(text, at);
    buffer[at + index] = unit;
  }
  return length;
}

/** A payload as it arrived, inside of its batch; decode it before the batch is let go. */
export class Incoming {
  /** @param end exclusive */
  constructor(
    readonly batch: Buffer,
    readonly encoding: number,
    readonly start: number,
    readonly end: number,
  ) {}

  /** How many bytes it has. */
  get size(): number {
    return this.end - this.start;
  }

  /**
   * The value. Bytes are a copy of exactly their size, so that keeping them
   * keeps nothing else. `JSON.parse` makes `__proto__` an ordinary property,
   * so a peer's keys can pollute nothing.
   *
   * @throws SyntaxError when it is not JSON
   */
  decode(): unknown {
    if (this.encoding === Encoding.Json) {
      return JSON.parse(this.batch.utf8Slice(this.start, this.end));
    }
    if (this.encoding === Encoding.None) return undefined;
    const { buffer, byteOffset } = this.batch;
    return new Uint8Array(buffer, byteOffset + this.start, this.end - this.start).slice();
  }
}

/** Takes what the addon tells. */
export interface EventSink {
  result(id: number, meta: string, payload: Incoming): void;
  /** @param error a JSON object */
  error(id: number, error: string): void;
  request(
    id: number,
    session: number,
    timeoutMs: number,
    attempt: number,
    method: string,
    meta: string,
    payload: Incoming,
    kind: CallKind,
  ): void;
  item(side: Side, id: number, payload: Incoming): void;
  /** The caller has no more inputs. */
  inputEnded(id: number): void;
  /** Items that cost this much have gone. */
  sent(side: Side, id: number, cost: number): void;
  abort(id: number, cause: number): void;
  /** @param session a JSON object */
  sessionOpened(handle: number, session: string): void;
  sessionClosed(handle: number): void;
  /** @param entry a JSON object */
  log(entry: string): void;
  /** Another batch waits. */
  more(): void;
  /** A frame could not be taken; the ones after it are. */
  broken(error: unknown): void;
}

/**
 * Takes batches from the addon, into one buffer that is used again for the next:
 * what is kept of a batch is copied.
 *
 * However fast batches come, the event loop does other things after a few of them. The addon
 * wakes it again while a batch is being read, and Node then calls {@link wake} again at once, a
 * thousand times if need be.
 */
export class BatchReader {
  #buffer: Buffer = Buffer.allocUnsafeSlow(MAX_BATCH + 8192);
  readonly #take: (target: Buffer) => number;
  readonly #read: (batch: Buffer) => number;
  /** What has been read since the event loop was last waited for; a full batch is 1. */
  #load = 0;

  /**
   * @param take copies the next batch and returns its length; 0 if there is none; more than
   *   the buffer holds: nothing was taken
   * @param read reads a batch, which is there until it returns; returns how many frames it has
   */
  constructor(take: (target: Buffer) => number, read: (batch: Buffer) => number) {
    this.#take = take;
    this.#read = read;
  }

  /** The addon says that there is a batch. */
  readonly wake = (): void => {
    if (this.#load < 1) this.readNext();
    else this.more();
  };

  /** A batch says that there is another. */
  readonly more = (): void => {
    setImmediate(this.#onTurn);
  };

  readonly #onTurn = (): void => {
    this.#load = 0;
    this.readNext();
  };

  /** Reads the next batch at once; false if there is none. */
  readNext(): boolean {
    let buffer = this.#buffer;
    let length = this.#take(buffer);
    while (length > buffer.length) {
      // A buffer for a single large message is not kept.
      buffer = Buffer.allocUnsafeSlow(length + 64);
      length = this.#take(buffer);
    }
    if (length === 0) return false;
    this.#load += this.#read(buffer.subarray(0, length)) / MAX_FRAMES + length / MAX_BATCH;
    return true;
  }
}

/** Reads a batch, one call of `sink` for each of its frames; returns how many there were. */
export function readEvents(batch: Buffer, sink: EventSink): number {
  let start = 0;
  let frames = 0;
  while (start < batch.length) {
    const end = start + HEADER > batch.length ? 0 : start + 4 + batch.readUInt32LE(start);
    if (end > batch.length || end < start + HEADER) {
      sink.broken(new RangeError(`a frame at ${start} does not end within its batch`));
      break;
    }
    try {
      readEvent(batch, start, end, sink);
    } catch (error) {
      sink.broken(error);
    }
    start = end;
    frames += 1;
  }
  return frames;
}

function readEvent(batch: Buffer, start: number, end: number, sink: EventSink): void {
  const encoding = batch[start + 5] as number;
  const a = batch.readUInt16LE(start + 6);
  const id = batch.readUInt32LE(start + 8);
  switch (batch[start + 4]) {
    case Event.Result: {
      const at = start + 16 + batch.readUInt32LE(start + 12);
      const meta = at === start + 16 ? '' : batch.utf8Slice(start + 16, at);
      sink.result(id, meta, new Incoming(batch, encoding, at, end));
      break;
    }
    case Event.Error:
      sink.error(id, batch.utf8Slice(start + HEADER, end));
      break;
    case Event.Request: {
      const methodAt = start + 24;
      // A method's name has 200 bytes at most, so its length leaves a byte for the kind.
      const metaAt = methodAt + (a & 0xff);
      const at = metaAt + batch.readUIntLE(start + 20, 3);
      sink.request(
        id,
        batch.readUInt32LE(start + 12),
        batch.readUInt32LE(start + 16),
        batch[start + 23] as number,
        batch.utf8Slice(methodAt, metaAt),
        at === metaAt ? '' : batch.utf8Slice(metaAt, at),
        new Incoming(batch, encoding, at, end),
        KINDS[a >> 8] as CallKind,
      );
      break;
    }
    case Event.Item:
      sink.item(a, id, new Incoming(batch, encoding, start + HEADER, end));
      break;
    case Event.InputEnded:
      sink.inputEnded(id);
      break;
    case Event.Sent:
      sink.sent(a, id, batch.readUInt32LE(start + HEADER));
      break;
    case Event.Abort:
      sink.abort(id, a);
      break;
    case Event.SessionOpened:
      sink.sessionOpened(id, batch.utf8Slice(start + HEADER, end));
      break;
    case Event.SessionClosed:
      sink.sessionClosed(id);
      break;
    case Event.Log:
      sink.log(batch.utf8Slice(start + HEADER, end));
      break;
    case Event.More:
      sink.more();
      break;
    default:
    // A newer addon may tell more; what is not understood is left out.
  }
}
