// The names of OpenTelemetry's stable RPC conventions, and of what this package adds to them. The test
// `__test__/tracing/conventions.test.ts` compares the former with `@opentelemetry/semantic-conventions`.

import type { MeshErrorCode } from '../base/boundary.js';

/** The version of the conventions. */
export const SCHEMA_URL = 'https://opentelemetry.io/schemas/1.45.0';

/** The value of `rpc.system.name`. */
export const SYSTEM = 'securestack';
/** The value of `rpc.method` for a method without a handler. */
export const OTHER = '_OTHER';

export const RPC_SYSTEM_NAME = 'rpc.system.name';
export const RPC_METHOD = 'rpc.method';
export const RPC_METHOD_ORIGINAL = 'rpc.method_original';
export const RPC_STATUS_CODE = 'rpc.status_code';
export const ERROR_TYPE = 'error.type';
export const SERVER_ADDRESS = 'server.address';
export const SERVER_PORT = 'server.port';

export const CLIENT_DURATION = 'rpc.client.call.duration';
export const SERVER_DURATION = 'rpc.server.call.duration';

/** The other service. */
export const PEER_SERVICE = 'securestack.peer.service';
/** The way in which the caller proved its identity. */
export const PEER_TRUST = 'securestack.peer.trust';
/** The kind of a call with a stream. */
export const CALL_KIND = 'securestack.call.kind';
/** On the side of the service: the number of the attempt, above 1. */
export const ATTEMPT = 'securestack.attempt';
/** On the side of the caller: the attempts of a call that failed, above 1. */
export const ATTEMPTS = 'securestack.attempts';
/** The reason of a failure, from the table of reasons. */
export const REASON = 'securestack.reason';
/** The id under which the service logged a failure. */
export const ERROR_ID = 'securestack.error_id';
/** Items of a stream. */
export const SENT = 'securestack.stream.sent';
export const RECEIVED = 'securestack.stream.received';

/**
 * The codes for which the service is at fault. The others end a span of a request without an error, as the
 * conventions for gRPC, whose codes these are, require.
 */
export const SERVER_FAULTS: ReadonlySet<MeshErrorCode> = new Set<MeshErrorCode>([
  'UNKNOWN',
  'DEADLINE_EXCEEDED',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
]);

/** The limit of a text in an attribute or a name, in characters. */
const MAX_TEXT = 256;

/** Cuts a text that a peer may have chosen. */
export function cut(text: string): string {
  return text.length > MAX_TEXT ? text.slice(0, MAX_TEXT) : text;
}
