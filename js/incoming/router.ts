// The methods that this process answers, and its running requests.

import { AbortCause, Side, type CallKind, type MeshErrorCode } from '../base/boundary.js';
import { MeshError } from '../base/errors.js';
import { IdTable } from '../base/id-table.js';
import { repairJson } from '../base/json-text.js';
import type { SafeLogger } from '../base/logger.js';
import { after, cancelTimer, nowMs, type Timer } from '../base/timers.js';
import type { Incoming } from '../frames/reader.js';
import type { CommandWriter } from '../frames/writer.js';
import type { Caller } from '../rpc/caller.js';
import { abortError, Context, type ContextHost } from '../rpc/context.js';
import type { Middleware } from '../rpc/handler-types.js';
import { streamsOut } from '../rpc/kinds.js';
import { IDEMPOTENCY_KEY, isId } from '../rpc/metadata.js';
import { checkMiddleware } from '../rpc/middleware.js';
import type { RequestFailure, RequestSpan, Spans } from '../rpc/spans.js';
import { encodeError, encodeResult, logLateError, writeAnswer, type Answer } from './answers.js';
import { digestOf, type Idempotency, type Outcome } from './idempotency.js';
import type { Peers } from './peers.js';
import { invoke, runInRequest } from './pipeline.js';
import { RequestStreams } from './request-streams.js';
import { wrongKind, type Route } from './route.js';

/** An admitted request. */
interface Admitted {
  readonly route: Route;
  readonly caller: Caller;
  readonly span: RequestSpan | undefined;
}

const ABANDONED: Outcome = { answer: { failed: true, text: '' }, keep: false };

/** Runs handlers, and sends exactly one answer to each request that is not aborted. */
export class Router {
  readonly #routes = new Map<string, Route>();
  readonly #builtIn = new Map<string, Route>();
  // The requests with a running handler. An aborted request is removed, so its handler's result is not sent.
  readonly #running = new IdTable<Context>();
  readonly #streams: RequestStreams;
  readonly #writer: CommandWriter;
  readonly #peers: Peers;
  readonly #host: ContextHost;
  readonly #logger: SafeLogger;
  readonly #idempotency: Idempotency;
  readonly #spans: Spans | undefined;
  #middleware: readonly Middleware[] = [];

  /** Requests received. */
  requests = 0;
  /** Requests answered, with a result or an error. */
  answers = 0;
  /** Requests answered with an error. */
  failures = 0;
  /** Requests that still ran when the mesh closed. */
  abandoned = 0;

  /** @param spans creates the spans of requests, if they have any */
  constructor(
    writer: CommandWriter,
    peers: Peers,
    host: ContextHost,
    logger: SafeLogger,
    idempotency: Idempotency,
    spans?: Spans,
  ) {
    this.#spans = spans;
    this.#idempotency = idempotency;
    this.#writer = writer;
    this.#streams = new RequestStreams(writer);
    this.#peers = peers;
    this.#host = host;
    this.#logger = logger;
  }

  /** Whether no method has a handler. */
  get empty(): boolean {
    return this.#routes.size === 0;
  }

  /** The handlers of the application. */
  routes(): Iterable<Route> {
    return this.#routes.values();
  }

  /** Adds a built-in method. It does not count as a handler, and no middleware runs around it. */
  addBuiltIn(route: Route): void {
    this.#builtIn.set(route.method, route);
  }

  /** The middleware around every handler, outermost first. */
  get middleware(): readonly Middleware[] {
    return this.#middleware;
  }

  /** Puts a middleware around every handler, inside the existing middleware. */
  use(middleware: Middleware): void {
    checkMiddleware('middleware', middleware);
    this.#middleware = [...this.#middleware, middleware];
  }

  /** Adds all of the routes, or none of them. */
  add(routes: readonly Route[]): void {
    const taken = routes.find(({ method }) => this.#routes.has(method));
    if (taken !== undefined) {
      throw new MeshError('ALREADY_EXISTS', `${taken.method} has a handler already`, {
        reason: 'ARGUMENT',
      });
    }
    for (const route of routes) this.#routes.set(route.method, route);
  }

  /** Runs the handler of a request. */
  request(
    id: number,
    session: number,
    timeoutMs: number,
    attempt: number,
    method: string,
    meta: string,
    payload: Incoming,
    kind: CallKind,
    depth: number,
    path: string,
  ): void {
    const admitted = this.admit(id, session, method, kind, attempt, meta);
    if (admitted === undefined) return;
    const { route, span } = admitted;
    let input: unknown;
    try {
      input = payload.decode();
    } catch {
      this.refuse(id, 'INVALID_ARGUMENT', 'PAYLOAD', 'the input is not valid JSON', span);
      return;
    }
    const context = this.open(admitted, kind, id, timeoutMs, attempt, meta, depth, path);
    if (kind !== 'unary') {
      this.#runStream(route, context, id, timeoutMs, input);
      return;
    }
    // The substring search avoids parsing the metadata of requests without a key.
    if (!route.idempotent && meta.includes(IDEMPOTENCY_KEY)) {
      const key = context.metadata[IDEMPOTENCY_KEY];
      if (key !== undefined && !isId(key)) {
        const text = 'an idempotency key must be 1…128 visible ASCII characters';
        this.refuse(id, 'INVALID_ARGUMENT', 'ARGUMENT', text, span);
        return;
      }
      if (key !== undefined) {
        this.#runOnce(route, context, id, timeoutMs, input, key, digestOf(payload));
        return;
      }
    }
    this.#run(route, context, id, timeoutMs, input);
  }

  /**
   * Admits a request if its method exists, its caller is known and allowed, and its kind fits. Refuses it
   * otherwise.
   */
  admit(
    id: number,
    session: number,
    method: string,
    kind: CallKind,
    attempt: number,
    meta: string,
  ): Admitted | undefined {
    this.requests += 1;
    const caller = this.#peers.caller(session);
    const route = this.#routes.get(method) ?? this.#builtIn.get(method);
    const known = route !== undefined;
    const span = this.#spans?.request({ kind, method, known, caller, attempt, meta });
    if (caller === undefined) {
      this.refuse(id, 'INTERNAL', 'INTERNAL', 'a request of a session that is not known', span);
      return undefined;
    }
    if (route === undefined) {
      const text = `no method ${JSON.stringify(method)} here`;
      this.refuse(id, 'UNIMPLEMENTED', 'METHOD_NOT_FOUND', text, span);
      return undefined;
    }
    if (route.allow !== undefined && !route.allow.has(caller.serviceId)) {
      this.refuse(
        id,
        'PERMISSION_DENIED',
        'PERMISSION_DENIED',
        `${caller.serviceId} may not call ${method}`,
        span,
      );
      return undefined;
    }
    const wrong = wrongKind(route, kind);
    if (wrong !== undefined) {
      this.refuse(id, 'UNIMPLEMENTED', 'CALL_KIND', wrong, span);
      return undefined;
    }
    return { route, caller, span };
  }

  /** Creates the context of an admitted request. */
  open(
    { route, caller, span }: Admitted,
    kind: CallKind,
    id: number,
    timeoutMs: number,
    attempt: number,
    meta: string,
    depth: number,
    path: string,
  ): Context {
    const left = shorter(timeoutMs, route.timeoutMs);
    const deadline = left === 0 ? Infinity : nowMs() + left;
    const { method, factories: errors } = route;
    const context: Context = new Context(this.#host, {
      method,
      kind,
      caller,
      attempt,
      id,
      deadline,
      meta,
      depth,
      path,
      errors,
    });
    Context.trace(context, span);
    return context;
  }

  /** The time of a request is over: its handler does not run. */
  late(id: number): void {
    this.requests += 1;
    this.answers += 1;
    this.failures += 1;
    this.#writer.late(id);
  }

  /** Delivers an item of a request's input. */
  item(id: number, payload: Incoming): void {
    this.#streams.item(id, payload);
  }

  /** Ends a request's input. */
  inputEnded(id: number): void {
    this.#streams.inputEnded(id);
  }

  /** Records that items of an answer with this cost were sent. */
  sent(id: number, cost: number): void {
    this.#streams.sent(id, cost);
  }

  /** Aborts a request whose answer is no longer wanted. */
  abort(id: number, cause: AbortCause): void {
    const context = this.#running.get(id);
    if (context === undefined) return;
    this.#running.delete(id);
    if (cause === AbortCause.Shutdown) this.abandoned += 1;
    Context.abort(context, cause);
    this.#streams.abort(id, cause);
    Context.span(context)?.end(abortError(cause));
  }

  /** Aborts all requests. */
  abortAll(cause: AbortCause): void {
    for (const [id] of this.#running.entries()) this.abort(id, cause);
  }

  /**
   * Answers a request with an error of the mesh.
   *
   * @param span the span of the request, which ends with the error
   */
  refuse(
    id: number,
    code: MeshErrorCode,
    reason: string,
    message: string,
    span?: RequestSpan,
  ): void {
    span?.end({ code, reason, message });
    const text = repairJson(JSON.stringify({ code, reason, message, retryable: false }));
    this.#send(id, { failed: true, text });
  }

  /** The middleware around a handler. */
  #around({ method }: Route): readonly Middleware[] {
    return this.#builtIn.has(method) ? [] : this.#middleware;
  }

  #run(route: Route, context: Context, id: number, timeoutMs: number, input: unknown): void {
    let result: unknown;
    try {
      result = runInRequest(context, () => invoke(route, this.#around(route), context, input));
      if (!isThenable(result)) {
        this.#finish(id, context, encodeResult(context, result, this.#logger));
        return;
      }
    } catch (error) {
      this.#finish(id, context, encodeError(context, error, this.#logger));
      return;
    }
    this.#running.set(id, context);
    const timer = this.#limit(route, id, timeoutMs);
    Promise.resolve(result).then(
      (value) => {
        cancelTimer(timer);
        this.#settle(id, context, () => encodeResult(context, value, this.#logger));
      },
      (error: unknown) => {
        cancelTimer(timer);
        this.#fail(id, context, error);
      },
    );
  }

  /** Runs the handler, or repeats the answer of an earlier run with the same key. */
  #runOnce(
    route: Route,
    context: Context,
    id: number,
    timeoutMs: number,
    input: unknown,
    key: string,
    digest: string,
  ): void {
    this.#running.set(id, context);
    const timer = this.#limit(route, id, timeoutMs);
    const work = (): Promise<Outcome> => this.#outcome(route, context, input);
    this.#idempotency.run(context.caller.serviceId, route.method, key, digest, work).then(
      (answer) => {
        cancelTimer(timer);
        this.#settle(id, context, () => answer);
      },
      (error: unknown) => {
        cancelTimer(timer);
        this.#fail(id, context, error);
      },
    );
  }

  /**
   * Runs the handler of a request with an idempotency key and returns the outcome. The outcome is not kept if
   * a retry makes sense: the error is retryable, or the request was aborted. A result is kept even if its
   * caller has cancelled, because a repeated call needs exactly this result.
   */
  async #outcome(route: Route, context: Context, input: unknown): Promise<Outcome> {
    if (Context.isAborted(context)) return ABANDONED;
    try {
      const result = await runInRequest(context, () =>
        invoke(route, this.#around(route), context, input),
      );
      return { answer: encodeResult(context, result, this.#logger), keep: true };
    } catch (error) {
      if (Context.isAborted(context)) {
        logLateError(context, error, this.#logger);
        return ABANDONED;
      }
      const keep = !(error instanceof MeshError && error.retryable);
      return { answer: encodeError(context, error, this.#logger), keep };
    }
  }

  /** Runs a handler with a stream on one side or both. */
  #runStream(route: Route, context: Context, id: number, timeoutMs: number, input: unknown): void {
    this.#running.set(id, context);
    const timer = this.#limit(route, id, timeoutMs);
    this.#streams.run(route, this.#around(route), context, id, input).then(
      (value) => {
        cancelTimer(timer);
        const answer = encodeResult(context, value, this.#logger);
        if (!streamsOut(context.kind) || answer.failed || !this.#running.has(id)) {
          this.#settle(id, context, () => answer);
          return;
        }
        Context.end(context);
        Context.span(context)?.end();
        this.#running.delete(id);
        this.answers += 1;
        this.#writer.end(Side.Request, id, answer.meta);
      },
      (error: unknown) => {
        cancelTimer(timer);
        this.#fail(id, context, error);
      },
    );
  }

  /** Ends a request whose handler has failed. The log has the error also when nobody waits for it. */
  #fail(id: number, context: Context, error: unknown): void {
    if (!this.#running.has(id)) logLateError(context, error, this.#logger);
    this.#settle(id, context, () => encodeError(context, error, this.#logger));
  }

  /** Ends a request whose handler has finished; its caller may have cancelled it. */
  #settle(id: number, context: Context, encode: () => Answer): void {
    if (this.#running.delete(id)) {
      this.#finish(id, context, encode());
      return;
    }
    Context.end(context);
    // An aborted request keeps its place in the core until its handler has finished. This failure frees the
    // place and is not sent to the caller.
    this.#writer.fail(id, '');
  }

  /** Starts the timer of the handler's own time limit; the core enforces the caller's deadline. */
  #limit(route: Route, id: number, timeoutMs: number): Timer | undefined {
    if (route.timeoutMs === 0 || (timeoutMs !== 0 && timeoutMs <= route.timeoutMs))
      return undefined;
    const expire = (): void => {
      if (!this.#running.has(id)) return;
      this.abort(id, AbortCause.Deadline);
      this.refuse(id, 'DEADLINE_EXCEEDED', 'DEADLINE', `not done within ${route.timeoutMs} ms`);
    };
    return after(route.timeoutMs, expire).unref();
  }

  /** Ends a request with its answer. */
  #finish(id: number, context: Context, answer: Answer): void {
    Context.end(context);
    Context.span(context)?.end(failureOf(answer));
    this.#send(id, answer);
  }

  #send(id: number, answer: Answer): void {
    this.answers += 1;
    if (answer.failed) this.failures += 1;
    writeAnswer(this.#writer, id, answer);
  }
}

/** The failure in an answer, if there is one. */
function failureOf(answer: Answer): RequestFailure | undefined {
  return answer.failed && answer.text !== ''
    ? (JSON.parse(answer.text) as RequestFailure)
    : undefined;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    value instanceof Promise ||
    (typeof value === 'object' &&
      value !== null &&
      typeof (value as { then?: unknown }).then === 'function')
  );
}

/** The shorter of two times; 0 means no limit. */
function shorter(a: number, b: number): number {
  return a === 0 ? b : b === 0 ? a : Math.min(a, b);
}
