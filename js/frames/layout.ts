// The layout of the frames exchanged with the addon.
//
// Everything crosses in batches, little-endian, each frame after the other:
//
//   u32 length of what follows | u8 kind | u8 encoding | u16 a | u32 id | …
//
// V8 does all of the JSON; the addon never looks into a payload.

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

/** Bytes of a frame before what is its own. */
export const HEADER = 12;
