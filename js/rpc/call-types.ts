// The public shapes of calls, handlers and middleware.

import type { Context } from './context.js';
import type { ErrorMap } from './declared-errors.js';
import type { StandardSchema } from './schema.js';

/**
 * How many messages go each way: one and one; one and many; many and one; many
 * and many. The words are gRPC's.
 */
export type CallKind = 'unary' | 'serverStream' | 'clientStream' | 'bidiStream';

/** What is sent one after the other. */
export type Items<T = unknown> = AsyncIterable<T> | Iterable<T>;

/** What can be said about one call. */
export interface CallOptions {
  /** Cancels the call, on both sides, when aborted. */
  signal?: AbortSignal | undefined;
  /** How long the call may take, in ms, 1…4,294,967,295. Default: 10,000, or `limits.callTimeoutMs`. */
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
   * Whether a call made by a handler has nothing to do with the request it
   * answers: it does not inherit deadline, cancellation, trace and request id.
   * Default: false.
   */
  detached?: boolean | undefined;
}

/** What a handler allows, and what is done around it. */
export interface HandlerPolicy {
  /** The longest a request may take here, in ms, even if its caller would wait longer. */
  timeoutMs?: number | undefined;
  /** The services that may call it; others get `PERMISSION_DENIED`. Default: every authenticated one. */
  allow?: readonly string[] | undefined;
  /** Middleware around this handler, inside of the mesh's own, outermost first. */
  use?: readonly Middleware[] | undefined;
}

/** How a method is served. */
export interface HandlerOptions<
  TInput extends StandardSchema | undefined = StandardSchema | undefined,
  TOutput extends StandardSchema | undefined = StandardSchema | undefined,
  TErrors extends ErrorMap = ErrorMap,
  TKind extends CallKind | undefined = CallKind | undefined,
> extends HandlerPolicy {
  /**
   * The kind of call it answers; others get `UNIMPLEMENTED`, reason
   * `CALL_KIND`. Default: whatever kind it is called with, but a generator
   * function answers `serverStream` and `bidiStream` only.
   */
  kind?: TKind;
  /**
   * A Standard Schema (zod, valibot, arktype and others) of the input, or of
   * each item that arrives. The handler gets what it makes of it; a caller who
   * sends anything else gets `INVALID_ARGUMENT`, reason `VALIDATION`, with
   * `data.issues`.
   */
  input?: TInput;
  /**
   * A Standard Schema of the result, or of each item that is sent. A result
   * that does not fit is this service's fault: its caller gets `INTERNAL`, and
   * the issues are logged.
   */
  output?: TOutput;
  /** The errors its callers can expect: the handler makes them by `ctx.errors`. */
  errors?: TErrors;
  /**
   * Whether running it twice does no harm. Outcomes are not kept for
   * idempotency keys then. Default: false.
   */
  idempotent?: boolean | undefined;
}

/**
 * Answers a method's calls. What it returns, or resolves with, is the result:
 * a JSON value, `undefined`, or a `Uint8Array` that arrives as one. What it
 * throws is the error: a `MeshError` arrives as thrown, anything else as
 * `INTERNAL` with an `errorId`, the original going to the logger only.
 *
 * @param input what the caller sent; unchecked, unless the handler has an `input` schema
 * @param context who calls, how much time is left, and so on
 */
export type Handler<TInput = any, TResult = unknown, TErrors extends ErrorMap = {}> = (
  input: TInput,
  context: Context<TErrors>,
) => TResult | Promise<TResult>;

/**
 * A handler whose kind of call is known, and what it reads and answers with;
 * of items, if there are many. Without a kind it may answer with either.
 */
export type HandlerOf<
  TKind extends CallKind | undefined,
  TInput,
  TOutput,
  TErrors extends ErrorMap = {},
> = (
  input: TKind extends 'clientStream' | 'bidiStream' ? AsyncIterable<TInput> : TInput,
  context: Context<TErrors>,
) => MaybePromise<
  TKind extends 'unary' | 'clientStream'
    ? TOutput
    : TKind extends 'serverStream' | 'bidiStream'
      ? Items<TOutput>
      : TOutput | Items<TOutput>
>;

type MaybePromise<T> = T | Promise<T>;

/**
 * Runs around handlers. `next()` runs what is inside, once, and resolves with
 * its result or rejects with its error; for a stream it resolves with
 * `undefined` when the stream is over.
 *
 * What a middleware returns is the answer. Returning `undefined` leaves the
 * answer as it is: `await next()` as the last line is enough. Without a call
 * of `next()` the handler does not run, and what is returned is the answer.
 * What it throws is treated as if the handler had thrown it.
 */
export type Middleware = (context: Context, next: () => Promise<unknown>) => unknown;

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
