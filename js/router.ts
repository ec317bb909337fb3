// The methods this process answers, and the requests it is answering.

import { randomUUID } from 'node:crypto';
import { checkKeys, invalidArgument } from './arguments.js';
import { checkMethod, checkTimeout, encodeMetadata } from './calls.js';
import { encodePayload, PayloadError, type CommandWriter, type Incoming } from './codec.js';
import { AbortCause, Context, type ContextHost } from './context.js';
import { MeshError, type MeshErrorCode } from './errors.js';
import type { SafeLogger } from './logger.js';
import type { Peers } from './peers.js';
import type { Handler, HandlerOptions } from './types.js';

interface Route {
  readonly handler: Handler;
  readonly timeoutMs: number;
  readonly allow: ReadonlySet<string> | undefined;
}

const OPTION_KEYS = ['timeoutMs', 'allow'] as const;

/** Runs handlers and sends exactly one answer for each request that still wants one. */
export class Router {
  readonly #routes = new Map<string, Route>();
  // The requests whose handler has not finished. One that is not here any
  // more when its handler finishes was aborted, and is not answered.
  readonly #running = new Map<number, Context>();
  readonly #writer: CommandWriter;
  readonly #peers: Peers;
  readonly #host: ContextHost;
  readonly #logger: SafeLogger;

  /** Requests received. */
  requests = 0;
  /** Requests answered, one way or the other. */
  answers = 0;
  /** Requests answered with an error. */
  failures = 0;

  constructor(writer: CommandWriter, peers: Peers, host: ContextHost, logger: SafeLogger) {
    this.#writer = writer;
    this.#peers = peers;
    this.#host = host;
    this.#logger = logger;
  }

  /** Whether any method is answered here. */
  get empty(): boolean {
    return this.#routes.size === 0;
  }

  /** Registers a handler. */
  add(method: string, options: HandlerOptions, handler: Handler): void {
    checkMethod(method);
    checkKeys('options', options, OPTION_KEYS);
    if (typeof handler !== 'function') {
      throw invalidArgument(`the handler of ${method} must be a function, got ${typeof handler}`);
    }
    if (/GeneratorFunction\]$/.test(Object.prototype.toString.call(handler))) {
      throw new MeshError(
        'UNIMPLEMENTED',
        `the handler of ${method} is a generator; streams are not served yet`,
      );
    }
    if (this.#routes.has(method)) {
      throw new MeshError('ALREADY_EXISTS', `${method} has a handler already`, {
        reason: 'ARGUMENT',
      });
    }
    this.#routes.set(method, {
      handler,
      timeoutMs: checkTimeout(options.timeoutMs),
      allow: checkAllow(options.allow),
    });
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
  ): void {
    this.requests += 1;
    const route = this.#routes.get(method);
    if (route === undefined) {
      this.#refuse(
        id,
        'UNIMPLEMENTED',
        'METHOD_NOT_FOUND',
        `no method ${JSON.stringify(method)} here`,
      );
      return;
    }
    const caller = this.#peers.caller(session);
    if (caller === undefined) {
      this.#refuse(id, 'INTERNAL', 'INTERNAL', 'a request of a session that is not known');
      return;
    }
    if (route.allow !== undefined && !route.allow.has(caller.serviceId)) {
      this.#refuse(
        id,
        'PERMISSION_DENIED',
        'PERMISSION_DENIED',
        `${caller.serviceId} may not call ${method}`,
      );
      return;
    }
    let input: unknown;
    try {
      input = payload.decode();
    } catch {
      this.#refuse(id, 'INVALID_ARGUMENT', 'PAYLOAD', 'the input is not the JSON it should be');
      return;
    }
    const left = shorter(timeoutMs, route.timeoutMs);
    const deadline = left === 0 ? Infinity : performance.now() + left;
    this.#run(
      route,
      input,
      new Context(this.#host, method, caller, attempt, id, deadline, meta),
      id,
      timeoutMs,
    );
  }

  /** The answer to a request is no longer wanted. */
  abort(id: number, cause: AbortCause): void {
    const context = this.#running.get(id);
    if (context === undefined) return;
    this.#running.delete(id);
    Context.abort(context, cause);
  }

  /** The answers to all requests are no longer wanted. */
  abortAll(cause: AbortCause): void {
    for (const id of [...this.#running.keys()]) this.abort(id, cause);
  }

  #run(route: Route, input: unknown, context: Context, id: number, timeoutMs: number): void {
    let result: unknown;
    try {
      result = route.handler(input, context);
      if (!isThenable(result)) {
        this.#respond(id, context, result);
        return;
      }
    } catch (error) {
      this.#fail(id, context, error);
      return;
    }
    this.#running.set(id, context);
    // A request that was aborted meanwhile keeps its place in the core until its
    // handler is done, which a late failure says; its caller never hears of it.
    const timer = this.#limit(route, id, timeoutMs);
    Promise.resolve(result).then(
      (value) => {
        clearTimeout(timer);
        if (this.#running.delete(id)) this.#respond(id, context, value);
        else this.#writer.fail(id, '');
      },
      (error: unknown) => {
        clearTimeout(timer);
        if (this.#running.delete(id)) this.#fail(id, context, error);
        else this.#writer.fail(id, '');
      },
    );
  }

  /** Ends a request that takes longer than its handler's own limit; the caller's is the core's business. */
  #limit(route: Route, id: number, timeoutMs: number): NodeJS.Timeout | undefined {
    if (route.timeoutMs === 0 || (timeoutMs !== 0 && timeoutMs <= route.timeoutMs))
      return undefined;
    const expire = (): void => {
      if (!this.#running.has(id)) return;
      this.abort(id, AbortCause.Deadline);
      this.#refuse(id, 'DEADLINE_EXCEEDED', 'DEADLINE', `not done within ${route.timeoutMs} ms`);
    };
    return setTimeout(expire, Math.min(route.timeoutMs, 0x7fff_ffff)).unref();
  }

  #respond(id: number, context: Context, result: unknown): void {
    let payload;
    let meta = '';
    try {
      payload = encodePayload(result);
      const metadata = Context.responseMetadata(context);
      if (metadata !== undefined) meta = encodeMetadata(metadata, 'responseMetadata');
    } catch (error) {
      const text = error instanceof PayloadError ? error.message : String(error);
      this.#fail(
        id,
        context,
        new TypeError(`the result of ${context.method} cannot be sent: ${text}`),
      );
      return;
    }
    this.answers += 1;
    this.#writer.respond(id, payload, meta);
  }

  /** A thrown `MeshError` is for the caller; anything else is for this service's log. */
  #fail(id: number, context: Context, error: unknown): void {
    if (error instanceof MeshError) {
      const text = encodeFailure(error);
      if (text !== undefined) {
        this.#sendFailure(id, text);
        return;
      }
    }
    const errorId = randomUUID();
    this.#logger.error('a handler failed', {
      event: 'handler.failed',
      errorId,
      method: context.method,
      caller: context.caller.serviceId,
      requestId: context.requestId,
      error,
    });
    const answer = { code: 'INTERNAL', reason: 'HANDLER', message: 'internal error', errorId };
    this.#sendFailure(id, JSON.stringify(answer));
  }

  #refuse(id: number, code: MeshErrorCode, reason: string, message: string): void {
    this.#sendFailure(id, JSON.stringify({ code, reason, message }));
  }

  #sendFailure(id: number, text: string): void {
    this.answers += 1;
    this.failures += 1;
    this.#writer.fail(id, text);
  }
}

/** The frame's JSON; undefined when the error's own data cannot be encoded. */
function encodeFailure(error: MeshError): string | undefined {
  try {
    return JSON.stringify({
      code: error.code,
      reason: error.reason,
      message: error.message,
      data: error.data,
      retryAfterMs: error.retryAfterMs === undefined ? undefined : Math.ceil(error.retryAfterMs),
      errorId: error.errorId,
    });
  } catch {
    return undefined;
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    value instanceof Promise ||
    (typeof value === 'object' &&
      value !== null &&
      typeof (value as { then?: unknown }).then === 'function')
  );
}

/** The shorter of two times, where 0 is none. */
function shorter(a: number, b: number): number {
  return a === 0 ? b : b === 0 ? a : Math.min(a, b);
}

function checkAllow(allow: unknown): ReadonlySet<string> | undefined {
  if (allow === undefined) return undefined;
  if (!Array.isArray(allow) || !allow.every((id) => typeof id === 'string')) {
    throw invalidArgument('options.allow must be an array of service ids');
  }
  return new Set(allow as string[]);
}
