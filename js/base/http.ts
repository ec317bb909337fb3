// The form of errors that a gateway shows to HTTP clients, which must not see internal details.

import type { MeshErrorCode } from './boundary.js';
import { MeshError } from './errors.js';

/** An error as RFC 9457 describes it for `application/problem+json`, of the type `about:blank`. */
export interface Problem {
  /** The HTTP status. */
  status: number;
  /** The phrase of the status. */
  title: string;
  /** The code of the {@link MeshError}, one of gRPC's; `INTERNAL` for other errors. */
  code: MeshErrorCode;
  /** The reason, where the error has one beside its code. */
  reason?: string;
  /** Finds the error in the log of the service where it occurred. */
  errorId?: string;
}

/** The statuses of `google.rpc.Code`, with the phrases of RFC 9110 and RFC 6585. */
const STATUSES: Readonly<Record<MeshErrorCode, readonly [status: number, title: string]>> = {
  // Nobody waits for this answer. The status is that of nginx.
  CANCELLED: [499, 'Client Closed Request'],
  UNKNOWN: [500, 'Internal Server Error'],
  INVALID_ARGUMENT: [400, 'Bad Request'],
  DEADLINE_EXCEEDED: [504, 'Gateway Timeout'],
  NOT_FOUND: [404, 'Not Found'],
  ALREADY_EXISTS: [409, 'Conflict'],
  PERMISSION_DENIED: [403, 'Forbidden'],
  RESOURCE_EXHAUSTED: [429, 'Too Many Requests'],
  FAILED_PRECONDITION: [400, 'Bad Request'],
  ABORTED: [409, 'Conflict'],
  OUT_OF_RANGE: [400, 'Bad Request'],
  UNIMPLEMENTED: [501, 'Not Implemented'],
  INTERNAL: [500, 'Internal Server Error'],
  UNAVAILABLE: [503, 'Service Unavailable'],
  DATA_LOSS: [500, 'Internal Server Error'],
  UNAUTHENTICATED: [401, 'Unauthorized'],
};

/** The reasons for which one service does not believe another: docs/errors.md has the same. */
const BETWEEN_SERVICES: ReadonlySet<string> = new Set([
  'BAD_PEER_KEY',
  'BAD_SHARE',
  'CERT_DELEGATION',
  'CERT_EXPIRED',
  'CERT_INVALID',
  'CERT_NAME',
  'CERT_UNTRUSTED',
  'CLOCK_SKEW',
  'CRL_UNUSABLE',
  'DOWNGRADE',
  'FINISHED',
  'HANDSHAKE_FORMAT',
  'HANDSHAKE_REFUSED',
  'HANDSHAKE_STATE',
  'HELLO_MAC',
  'ID_SYNTAX',
  'JOIN_TOKEN',
  'JWT_ALG',
  'JWT_AUD',
  'JWT_CNF',
  'JWT_EXP',
  'JWT_FORMAT',
  'JWT_HEADER',
  'JWT_ISS',
  'JWT_NBF',
  'JWT_SID',
  'JWT_SIG',
  'JWT_TYP',
  'KEY_MISMATCH',
  'MODE',
  'PEER_KEY_CHANGED',
  'PEER_KEY_IN_USE',
  'RECORD_AUTH',
  'RECORD_FORMAT',
  'REKEY_LIMIT',
  'REPLAY',
  'REVOKED',
  'SECRET_RETIRED',
  'SELF_ID',
  'TRUST_DOWNGRADE',
  'UNKNOWN_PEER',
  'WRONG_TARGET',
]);

const FAULT: Problem = { status: 500, title: 'Internal Server Error', code: 'INTERNAL' };

// As a reason of google.rpc.ErrorInfo, and the ids that services make: text of anything else may be
// from inside.
const REASON = /^[A-Z][A-Z0-9_]{0,62}$/;
const ERROR_ID = /^[A-Za-z0-9-]{1,64}$/;

/**
 * The HTTP status for an error, after the table of `google.rpc.Code`: 404 for `NOT_FOUND`, 503 for
 * `UNAVAILABLE`, and so on; 499 for `CANCELLED`. Anything but a {@link MeshError} is 500.
 *
 * Two kinds of errors are no fault of the HTTP client, whatever their code. Where one service does not
 * believe the other (`UNAUTHENTICATED` with a reason such as `HANDSHAKE_REFUSED`), the status is 502
 * and not 401, after which a browser would send its user to log in. (`JWTManager.verifyToken` remains 401.) A mesh of this process that does
 * not run yet, or is closing (`NOT_INITIALIZED`, `CLOSED`), is 503.
 */
export function toHttpStatus(error: unknown): number {
  return toProblem(error).status;
}

/**
 * An error as the body of an HTTP answer, of the media type `application/problem+json` (RFC 9457).
 * It has no message, stack, cause or data of the error, which may name what is inside. Add those
 * that are meant for the client.
 *
 * @example
 * ```js
 * const problem = toProblem(error);
 * response.status(problem.status).type('application/problem+json').send(JSON.stringify(problem));
 * ```
 */
export function toProblem(error: unknown): Problem {
  if (!(error instanceof MeshError)) return { ...FAULT };
  try {
    const { code, reason, errorId } = error;
    const [status, title] = statusOf(error);
    return {
      status,
      title,
      code,
      ...(reason !== code && REASON.test(reason) ? { reason } : {}),
      ...(errorId !== undefined && ERROR_ID.test(errorId) ? { errorId } : {}),
    };
  } catch {
    // A proxy that refuses to be asked, or an error of another copy with another set of codes.
    return { ...FAULT };
  }
}

function statusOf(error: MeshError): readonly [number, string] {
  const { code, reason, remote } = error;
  // Outside of calls a token is verified by this process for itself: it may be the client's.
  const own = reason.startsWith('JWT_') && !remote && error.service === undefined;
  if (code === 'UNAUTHENTICATED' && !own && BETWEEN_SERVICES.has(reason.replace(/^REMOTE_/, ''))) {
    return [502, 'Bad Gateway'];
  }
  if (!remote && (reason === 'CLOSED' || reason === 'NOT_INITIALIZED')) return STATUSES.UNAVAILABLE;
  return STATUSES[code];
}
