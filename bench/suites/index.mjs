// The suites in the order of the measurements.
import * as calls from './calls.mjs';
import * as crypto from './crypto.mjs';
import * as handshake from './handshake.mjs';
import * as loop from './loop.mjs';
import * as pace from './pace.mjs';
import * as saturation from './saturation.mjs';
import * as sessions from './sessions.mjs';
import * as streams from './streams.mjs';
import * as tracing from './tracing.mjs';

export const suites = [
  calls,
  pace,
  streams,
  loop,
  tracing,
  handshake,
  crypto,
  sessions,
  saturation,
];
