// The public shapes of handlers and of the middleware around them.

import type { CallKind, Items } from './call-types.js';
import type { Context } from './context.js';
import type { ErrorMap } from './declared-errors.js';
import type { StandardSchema } from './schema.js';

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
