// The frame of every handshake message: version, type, length, body.
import { Reader } from './bytes.js';
import { PROTOCOL_VERSION } from './constants.js';

const HEADER = 6;

/**
 * A message whose last field depends on the bytes before it: `body` without
 * that field, and `last` making it of `length` bytes from the message so far,
 * whose header counts it already.
 */
export function message(
  type: number,
  body: Buffer,
  length: number,
  last: (before: Buffer) => Buffer,
  version = PROTOCOL_VERSION,
): Buffer {
  const before = open(type, body, length, version);
  return Buffer.concat([before, last(before)]);
}

/** The header of a message that `more` bytes follow, and its body so far. */
export function open(type: number, body: Buffer, more: number, version = PROTOCOL_VERSION): Buffer {
  const header = Buffer.alloc(HEADER);
  header.writeUInt8(version, 0);
  header.writeUInt8(type, 1);
  header.writeUInt32BE(body.length + more, 2);
  return Buffer.concat([header, body]);
}

/** A reader of the body; its position is that in the whole message. */
export function read(bytes: Buffer, type: number): Reader {
  const reader = new Reader(bytes);
  const version = reader.u8();
  if (version !== PROTOCOL_VERSION) throw new Error(`version ${version}`);
  const found = reader.u8();
  if (found !== type) throw new Error(`message ${found} in place of ${type}`);
  const length = reader.u32();
  if (length !== reader.left) throw new Error(`length ${length}, ${reader.left} bytes`);
  return reader;
}
