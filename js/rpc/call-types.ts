// The public types of calls, and of the middleware around them.

import type { CallKind, Priority } from '../base/boundary.js';

export type { CallKind, Priority };

/** The items of a stream that is sent. */
export type Items<T = unknown> = AsyncIterable<T> | Iterable<T>;

/** The options of one call. */
export interface CallOptions {
  /** Cancels the call, on both sides, when aborted. */
  signal?: AbortSignal | undefined;
  /** The timeout of the call, in ms, above 0. Default: 10,000, or `limits.callTimeoutMs`. */
  timeoutMs?: number | undefined;
  /** Whether the method is safe to run twice, so that the call may be retried. Default: false. */
  idempotent?: boolean | undefined;
  /**
   * The idempotency key: the service runs the call once and keeps the outcome for 10 minutes. Every later
   * call with the same key, method and input gets this outcome. 1…128 visible ASCII characters, for example a
   * UUID. Implies `idempotent`. Unary calls only.
   */
  idempotencyKey?: string | undefined;
  /**
   * Strings for the handler's `ctx.metadata`. A name has at most 64 letters, digits, `.`, `_` and `-`; the
   * metadata has at most 8,000 bytes as JSON. `traceparent`, `tracestate` and `x-request-id` have their
   * meaning in HTTP.
   */
  metadata?: Record<string, string> | undefined;
  /**
   * Called with the handler's `ctx.responseMetadata` before the call resolves. An error that it throws
   * rejects the call.
   */
  onResponseMetadata?: ((metadata: Readonly<Record<string, string>>) => void) | undefined;
  /**
   * Binds calls to an instance: calls with the same string go to the same instance of the service,
   * from every caller, as long as that instance can be used. For caches; 1…1,024 characters.
   */
  sticky?: string | undefined;
  /**
   * Whether the call gets a second copy at another instance when it takes longer than most calls of its method: see
   * `resilience.hedging`. For `idempotent` unary calls without an
   * `idempotencyKey`. `false` also keeps the call from getting one when half of its time is over, which calls get
   * without `resilience.hedging` too. Default: true with `resilience.hedging`.
   */
  hedge?: boolean | undefined;
  /**
   * How much the call matters when its service, or this one, has too much to do: `'sheddable'` calls are refused
   * first, and `'critical'` ones last. A priority is a request and no right: services trust their callers' word
   * only for the order. Default: the priority of the request on whose behalf the call is made, else `'normal'`.
   */
  priority?: Priority | undefined;
  /**
   * Whether a call made by a handler is independent of the handler's request: it does not inherit deadline,
   * cancellation, trace and request id. Default: false.
   */
  detached?: boolean | undefined;
}

/** A call, as client middleware sees it. */
export interface OutgoingCall {
  /** The service that is called. */
  readonly service: string;
  /** The method that is called. */
  readonly method: string;
  /** The kind of call. */
  readonly kind: CallKind;
  /**
   * The input; for `clientStream` and `bidiStream` the iterable of items. A middleware may replace it before
   * `next()`.
   */
  input: unknown;
  /** A copy of the call's options with inherited values; a middleware may change it before `next()`. */
  readonly options: CallOptions & {
    /** The metadata, by lower-case names. */
    metadata: Record<string, string>;
  };
}

/**
 * Runs around the calls that a mesh makes, by the rules of {@link Middleware}.
 */
export type ClientMiddleware = (call: OutgoingCall, next: () => Promise<unknown>) => unknown;
