// The public types of handlers and of the middleware around them.

import type { CallKind, Items } from './call-types.js';
import type { Context } from './context.js';
import type { ErrorMap } from './declared-errors.js';
import type { StandardSchema } from './schema.js';

/** The policy of a handler: its limits, permitted callers and middleware. */
export interface HandlerPolicy {
  /** The time limit of a request, in ms, even if its caller would wait longer. */
  timeoutMs?: number | undefined;
  /**
   * The services that may call the method; others get `PERMISSION_DENIED`. Default: every authenticated
   * service.
   */
  allow?: readonly string[] | undefined;
  /** Middleware around this handler, inside that of the mesh, outermost first. */
  use?: readonly Middleware[] | undefined;
}

/** The options of a handler. */
export interface HandlerOptions<
  TInput extends StandardSchema | undefined = StandardSchema | undefined,
  TOutput extends StandardSchema | undefined = StandardSchema | undefined,
  TErrors extends ErrorMap = ErrorMap,
  TKind extends CallKind | undefined = CallKind | undefined,
> extends HandlerPolicy {
  /**
   * The kind of call that the handler answers; other kinds get `UNIMPLEMENTED`, reason `CALL_KIND`. Default:
   * every kind, except that a generator function answers only `serverStream` and `bidiStream`.
   */
  kind?: TKind;
  /**
   * A Standard Schema (zod, valibot, arktype and others) of the input, or of each item that arrives. The
   * handler receives the output of the schema. An invalid input gets `INVALID_ARGUMENT`, reason `VALIDATION`,
   * with `data.issues`.
   */
  input?: TInput;
  /**
   * A Standard Schema of the result, or of each item that is sent. An invalid result is a fault of this
   * service: the caller gets `INTERNAL`, and the issues are logged.
   */
  output?: TOutput;
  /** The declared errors, which the handler creates with `ctx.errors`. */
  errors?: TErrors;
  /**
   * Whether the method is safe to run twice. If so, no outcomes are kept for idempotency keys. Default: false.
   */
  idempotent?: boolean | undefined;
}

/**
 * Answers the calls of a method. The result is the value that it returns or resolves with: a JSON value,
 * `undefined`, or a `Uint8Array`, which arrives as one. A thrown `MeshError` arrives unchanged. Any other
 * error arrives as `INTERNAL` with an `errorId`, and the original goes to the logger only.
 *
 * @param input the caller's input; unchecked unless the handler has an `input` schema
 * @param context the facts of the request: its caller, the remaining time and so on
 */
export type Handler<TInput = any, TResult = unknown, TErrors extends ErrorMap = {}> = (
  input: TInput,
  context: Context<TErrors>,
) => TResult | Promise<TResult>;

/**
 * The type of a handler for a kind of call, with the types of its input and result, or of their items.
 * Without a kind the handler may return a result or items.
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
 * Runs around handlers. `next()` runs the inner function, once, and resolves with its result or rejects with
 * its error. For a stream it resolves with `undefined` at the end of the stream.
 *
 * The result of a middleware is the answer; `undefined` keeps the inner answer, so `await next()` is enough
 * as the last line. Without a call of `next()` the handler does not run. An error of a middleware is treated
 * like an error of the handler.
 */
export type Middleware = (context: Context, next: () => Promise<unknown>) => unknown;
