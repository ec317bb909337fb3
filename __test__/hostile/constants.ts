// The numbers of docs/protocol.md.

/** The version byte of handshake messages, of the versions lists and of records. */
export const PROTOCOL_VERSION = 2;

/** X25519 alone: the one suite of this implementation. */
export const SUITE_X25519 = 2;

/** The gRPC method whose streams are sessions. */
export const PATH = '/securestack.mesh.v1.Mesh/Session';

export const MODE = { secret: 1, pinned: 2 } as const;

export const HANDSHAKE = {
  clientHello: 1,
  serverHello: 2,
  clientFinish: 3,
  serverFinish: 4,
} as const;

export const EXTENSION = { ticket: 1, succession: 2 } as const;

export const PARAMETER = { maxMessage: 1, maxCalls: 2, ticket: 3, holder: 4 } as const;

export const RECORD = { messages: 1, rekey: 2 } as const;

export const MESSAGE = {
  request: 1,
  response: 2,
  error: 3,
  cancel: 4,
  ping: 5,
  pong: 6,
  goaway: 7,
  item: 8,
  end: 9,
  window: 10,
} as const;

export const FLAG = { bytes: 1, empty: 2, inputs: 4, answers: 8 } as const;

export const FIELD = {
  attempt: 2,
  metadata: 3,
  depth: 4,
  path: 5,
  code: 16,
  reason: 17,
  message: 18,
  retryAfter: 19,
  errorId: 20,
  retryable: 21,
} as const;

/** The initial window of a stream in each direction. */
export const STREAM_WINDOW = 65_536;
/** The window of all streams of a session in each direction. */
export const SESSION_WINDOW = 16_777_216;
/** The cost of an item in addition to its payload's length. */
export const ITEM_COST = 64;
/** The limits of the credit of a stream and of a session. */
export const STREAM_CREDIT = 16_777_216;
export const SESSION_CREDIT = 67_108_864;
