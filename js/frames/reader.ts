// The reader of events in the batches of the addon.

import { CALL_KINDS, Encoding, Event, HEADER, type CallKind, type Side } from '../base/boundary.js';

/** A received payload inside its batch. It must be decoded before the batch's buffer is reused. */
export class Incoming {
  /** @param end exclusive */
  constructor(
    readonly batch: Buffer,
    readonly encoding: number,
    readonly start: number,
    readonly end: number,
  ) {}

  /** The size of the payload in bytes. */
  get size(): number {
    return this.end - this.start;
  }

  /**
   * The value. Bytes are an exact copy, so that a reference to them does not keep the batch alive.
   * `JSON.parse` makes `__proto__` an ordinary property, so a peer's keys cannot pollute a prototype.
   *
   * @throws SyntaxError if the payload is not JSON
   */
  decode(): unknown {
    return decodeKept(this.keep());
  }

  /**
   * The payload in the form in which it can wait: JSON as a string, because its values
   * would take up to thirty times as much memory. {@link decodeKept} decodes it.
   */
  keep(): Kept {
    if (this.encoding === Encoding.Json) return this.batch.utf8Slice(this.start, this.end);
    if (this.encoding === Encoding.Empty) return undefined;
    const { buffer, byteOffset } = this.batch;
    return new Uint8Array(buffer, byteOffset + this.start, this.end - this.start).slice();
  }
}

/** A payload outside of its batch: a JSON string, bytes, or nothing. */
export type Kept = string | Uint8Array | undefined;

/**
 * The value of a kept payload.
 *
 * @throws SyntaxError when it is not JSON
 */
export function decodeKept(kept: Kept): unknown {
  return typeof kept === 'string' ? JSON.parse(kept) : kept;
}

/** The receiver of the addon's events. */
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
    depth: number,
    path: string,
  ): void;
  item(side: Side, id: number, payload: Incoming): void;
  /** The caller has sent all its inputs. */
  inputEnded(id: number): void;
  /** Items of this cost were sent. */
  sent(side: Side, id: number, cost: number): void;
  abort(id: number, cause: number): void;
  /** The time of a request was over before this process took it. */
  late(id: number): void;
  /** @param session a JSON object */
  sessionOpened(handle: number, session: string): void;
  sessionClosed(handle: number): void;
  /** Calls wait for the instances of a service. */
  wanted(service: string): void;
  /** @param entry a JSON object */
  log(entry: string): void;
  /** A next batch waits. */
  more(): void;
  /** A frame could not be processed; the following frames are. */
  broken(error: unknown): void;
}

/** Reads a batch, with one call of `sink` for each frame. Returns the number of frames. */
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
      const methodAt = start + 28;
      // A method's name has at most 200 bytes, so the upper byte of `a` is free for the kind.
      const metaAt = methodAt + (a & 0xff);
      const pathAt = metaAt + batch.readUIntLE(start + 20, 3);
      const at = pathAt + batch.readUIntLE(start + 24, 3);
      sink.request(
        id,
        batch.readUInt32LE(start + 12),
        batch.readUInt32LE(start + 16),
        batch[start + 23] as number,
        batch.utf8Slice(methodAt, metaAt),
        pathAt === metaAt ? '' : batch.utf8Slice(metaAt, pathAt),
        new Incoming(batch, encoding, at, end),
        CALL_KINDS[a >> 8] as CallKind,
        batch[start + 27] as number,
        at === pathAt ? '' : batch.utf8Slice(pathAt, at),
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
    case Event.Late:
      sink.late(id);
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
    case Event.Wanted:
      sink.wanted(batch.utf8Slice(start + HEADER, end));
      break;
    case Event.More:
      sink.more();
      break;
    default:
    // A newer addon may send new events; unknown ones are ignored.
  }
}
