// The writer of commands into batches for the addon.

import {
  BATCH_BYTES,
  BATCH_FRAMES,
  CALL_KINDS,
  Command,
  Encoding,
  HEADER,
  PRIORITIES,
  type CallKind,
  type Priority,
  type Side,
} from '../base/boundary.js';
import { afterThis } from '../base/timers.js';
import { FIRST, type Chain } from '../rpc/chain.js';
import type { Payload } from './payload.js';

// The header of a call has time, parent, lengths, flags and depth before the strings.
const CALL_HEADER = HEADER + 22;
// A buffer that grew beyond this size for one large message is not reused.
const KEEP = 1024 * 1024;

/**
 * Writes commands into one buffer, which is reused after each flush. The addon receives them in bounded
 * batches: at the end of the current tick, or when a batch is full.
 */
export class CommandWriter {
  #buffer: Buffer = Buffer.allocUnsafeSlow(BATCH_BYTES + 8192);
  #end = 0;
  #frames = 0;
  #scheduled = false;
  readonly #submit: (batch: Buffer) => void;
  readonly #onTick = (): void => {
    this.#scheduled = false;
    this.flush();
  };

  /** @param submit takes a batch, and does not use its memory after it returns */
  constructor(submit: (batch: Buffer) => void) {
    this.#submit = submit;
  }

  /**
   * @param timeoutMs with its fraction; 0 for the default
   * @param meta a JSON object, or '' for none
   * @param sticky the string that binds the call to an instance, or '' for none
   * @param hedge whether the call is hedged; `undefined` for the configuration
   * @param priority `undefined` for that of the request on whose behalf the call is made
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
    { parent, depth, path }: Chain = FIRST,
    sticky = '',
    hedge?: boolean,
    priority?: Priority,
  ): void {
    const start = this.#end;
    const texts = service.length + method.length + meta.length + path.length + sticky.length;
    this.#reserve(CALL_HEADER + 2 + 3 * texts, payload);
    const buffer = this.#buffer;
    let at = start + CALL_HEADER;
    const serviceLength = writeText(buffer, service, at);
    at += serviceLength;
    const methodLength = writeText(buffer, method, at);
    at += methodLength;
    const metaLength = meta === '' ? 0 : writeText(buffer, meta, at);
    at += metaLength;
    const pathLength = path === '' ? 0 : writeText(buffer, path, at);
    at += pathLength;
    if (sticky !== '') {
      const stickyLength = writeText(buffer, sticky, at + 2);
      buffer.writeUInt16LE(stickyLength, at);
      at += 2 + stickyLength;
    }
    buffer.writeDoubleLE(timeoutMs, start + 12);
    buffer.writeUInt32LE(parent, start + 20);
    buffer.writeUInt16LE(methodLength, start + 24);
    buffer.writeUInt16LE(pathLength, start + 26);
    const kindNumber = kind === 'unary' ? 0 : CALL_KINDS.indexOf(kind);
    buffer[start + 28] =
      (idempotent ? 1 : 0) |
      (kindNumber << 1) |
      (sticky === '' ? 0 : 8) |
      (hedge === undefined ? 0 : hedge ? 48 : 16) |
      (priority === undefined ? 0 : (PRIORITIES.indexOf(priority) + 1) << 6);
    buffer[start + 29] = depth;
    buffer.writeUInt32LE(metaLength, start + 30);
    this.#finish(start, Command.Call, serviceLength, id, at, payload);
  }

  /** Cancels a call. */
  cancel(id: number): void {
    const start = this.#end;
    this.#reserve(HEADER, undefined);
    this.#finish(start, Command.Cancel, 0, id, start + HEADER, undefined);
  }

  /** Reports that the time of a request was over before its handler could run. */
  late(id: number): void {
    const start = this.#end;
    this.#reserve(HEADER, undefined);
    this.#finish(start, Command.Late, 0, id, start + HEADER, undefined);
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

  /** Writes an item of a stream; returns the size of its payload in bytes. */
  item(side: Side, id: number, payload: Payload): number {
    const start = this.#end;
    this.#reserve(HEADER, payload);
    return this.#finish(start, Command.Item, side, id, start + HEADER, payload);
  }

  /**
   * Ends the items of a stream.
   *
   * @param meta a JSON object, or '' for none
   */
  end(side: Side, id: number, meta: string): void {
    const start = this.#end;
    const payload = meta === '' ? undefined : meta;
    this.#reserve(HEADER, payload);
    this.#finish(start, Command.End, side, id, start + HEADER, payload);
  }

  /** Reports that items of this cost were consumed. */
  consumed(side: Side, id: number, cost: number): void {
    const start = this.#end;
    this.#reserve(HEADER + 4, undefined);
    this.#buffer.writeUInt32LE(cost, start + HEADER);
    this.#finish(start, Command.Consumed, side, id, start + HEADER + 4, undefined);
  }

  /** The number of frames that are written and not yet submitted. */
  get frames(): number {
    return this.#frames;
  }

  /** Submits the written frames. */
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

  /** Completes a frame; returns the size of its payload in bytes. */
  #finish(
    start: number,
    kind: Command,
    a: number,
    id: number,
    at: number,
    payload: Payload,
  ): number {
    const buffer = this.#buffer;
    let encoding = Encoding.Empty;
    let end = at;
    if (typeof payload === 'string') {
      encoding = Encoding.Json;
      end += writeText(buffer, payload, at);
    } else if (payload !== undefined) {
      encoding = Encoding.Raw;
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

    if (end > BATCH_BYTES && start > 0) {
      // The frame that exceeds the batch goes into the next one.
      this.#hand(start, start, end);
    } else if (end >= BATCH_BYTES || this.#frames >= BATCH_FRAMES) {
      this.#hand(end);
    } else if (!this.#scheduled) {
      this.#scheduled = true;
      afterThis(this.#onTick);
    }
    return end - at;
  }

  /** Submits the first `end` bytes, and then the bytes from `from` to `to`, if there are any. */
  #hand(end: number, from = 0, to = 0): void {
    const buffer = this.#buffer;
    // The reset comes before the submission, so that an error cannot lead to a second submission of these bytes.
    this.#end = 0;
    this.#frames = 0;
    if (buffer.length > KEEP) this.#buffer = Buffer.allocUnsafeSlow(BATCH_BYTES + 8192);
    this.#submit(buffer.subarray(0, end));
    if (to > from) this.#submit(buffer.subarray(from, to));
  }
}

/** Writes UTF-8 and returns the number of bytes. A short ASCII string is faster without a call into C++. */
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
