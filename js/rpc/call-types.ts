// The public shapes of calls, and of the middleware around them.

import type { CallKind } from '../base/boundary.js';

export type { CallKind };

/** What is sent one after the other. */
export type Items<T = unknown> = AsyncIterable<T> | Iterable<T>;

/** What can be said about one call. */
export interface CallOptions {
  /** Cancels the call, on both sides, when aborted. */
  signal?: AbortSignal | undefined;
  /** How long the call may take, in ms, above 0. Default: 10,000, or `limits.callTimeoutMs`. */
  timeoutMs?: number | undefined;
  /** Whether running the method twice does no harm, so that it may be tried again. Default: false. */
  idempotent?: boolean | undefined;
  /**
   * Names what this call does, so that it is done once however often it is
   * asked for: the service keeps the outcome for 10 minutes and gives it to
   * every later call with the same key, method and input. 1…128 visible ASCII
   * characters; a UUID is one. Implies `idempotent`. Unary calls only.
   */
  idempotencyKey?: string | undefined;
  /**
   * Facts beside the input, for handlers' `ctx.metadata`: names of letters,
   * digits, `.`, `_` and `-`, at most 64; in all at most 8,000 bytes as JSON.
   * `traceparent`, `tracestate` and `x-request-id` mean what they mean in HTTP.
   */
  metadata?: Record<string, string> | undefined;
  /** Takes what the handler set in `ctx.responseMetadata`, before the call resolves. What it throws rejects the call. */
  onResponseMetadata?: ((metadata: Readonly<Record<string, string>>) => void) | undefined;
  /**
   * Binds calls to an instance: calls with the same string go to the same instance of the service,
   * from every caller, as long as that instance can be used. For caches; 1…1,024 characters.
   */
  sticky?: string | undefined;
  /**
   * Whether a call made by a handler has nothing to do with the request it
   * answers: it does not inherit deadline, cancellation, trace and request id.
   * Default: false.
   */
  detached?: boolean | undefined;
}

/** A call on its way out, as client middleware sees it. */
export interface OutgoingCall {
  /** The service that is called. */
  readonly service: string;
  /** The method that is called. */
  readonly method: string;
  /** Its kind. */
  readonly kind: CallKind;
  /** The input; for `clientStream` and `bidiStream` the iterable of items. Can be replaced before `next()`. */
  input: unknown;
  /** This call's own copy of the options, with what it inherits; can be changed before `next()`. */
  readonly options: CallOptions & {
    /** What is sent beside the input, by lower-case names. */
    metadata: Record<string, string>;
  };
}

/**
 * Runs around the calls a mesh makes, by the same rules as {@link Middleware}.
 */
export type ClientMiddleware = (call: OutgoingCall, next: () => Promise<unknown>) => unknown;
