// Calls on their way out: what they inherit, and the middleware around them.

import type { Calls } from './calls.js';
import { prepareOptions } from './call-options.js';
import type { CallKind, CallOptions, ClientMiddleware, OutgoingCall } from './call-types.js';
import type { Items, Link } from './client.js';
import { Context } from './context.js';
import { MeshError } from './errors.js';
import { checkMiddleware, compose } from './middleware.js';
import { currentScope } from './scope.js';

/** What a call needs of its mesh. */
export interface Gate {
  /**
   * Whether calls can be sent now.
   *
   * @param nested whether it is made on behalf of a request: those may be made while the mesh drains
   * @returns what has to be waited for first, if anything
   * @throws MeshError `FAILED_PRECONDITION`, reason `NOT_INITIALIZED` or `CLOSED`
   */
  enter(service: string, method: string, nested: boolean): Promise<void> | undefined;
  /** Starts the mesh. */
  ready(): Promise<void>;
  /** Forgets a client. */
  forget(service: string): Promise<void>;
}

/** Sends the calls of a mesh's clients. */
export class Outgoing {
  readonly #calls: Calls;
  readonly #gate: Gate;
  #middleware: readonly ClientMiddleware[] = [];

  constructor(calls: Calls, gate: Gate) {
    this.#calls = calls;
    this.#gate = gate;
  }

  /** Puts a middleware around every call, inside of those that are there. */
  use(middleware: ClientMiddleware): void {
    checkMiddleware('middleware', middleware);
    this.#middleware = [...this.#middleware, middleware];
  }

  /**
   * How a client calls its service.
   *
   * @param context the request its calls are made on behalf of; without one, the one that is being
   *   answered when a call is made
   */
  link(service: string, context: Context | undefined): Link {
    return {
      service,
      start: (method, input, options) => this.#unary(service, method, input, options, context),
      serverStream: (method, _input: unknown, _options) => {
        throw notYet(service, method);
      },
      clientStream: (method, _items: Items, _options) => Promise.reject(notYet(service, method)),
      bidiStream: (method, _items: Items, _options) => {
        throw notYet(service, method);
      },
      ready: () => this.#gate.ready(),
      close: () => this.#gate.forget(service),
    };
  }

  #unary(
    service: string,
    method: string,
    input: unknown,
    options: CallOptions | undefined,
    context: Context | undefined,
  ): Promise<unknown> {
    try {
      const request = requestOf(context, options);
      const inherited = request === undefined ? options : Context.inherit(request, options);
      const nested = request !== undefined;
      if (this.#middleware.length === 0) {
        return this.#send(service, method, input, inherited, nested);
      }
      const call = outgoingCall(service, method, 'unary', input, inherited);
      return compose(this.#middleware, call, () =>
        this.#send(service, method, call.input, call.options, nested),
      );
    } catch (error) {
      return Promise.reject(error as MeshError);
    }
  }

  #send(
    service: string,
    method: string,
    input: unknown,
    options: CallOptions | undefined,
    nested: boolean,
  ): Promise<unknown> {
    const wait = this.#gate.enter(service, method, nested);
    return this.#calls.start(service, method, input, options, wait);
  }
}

/** The request a call is made on behalf of. */
function requestOf(
  context: Context | undefined,
  options: CallOptions | undefined,
): Context | undefined {
  if (options?.detached === true) return undefined;
  if (context !== undefined) return context;
  const scope = currentScope();
  // What a handler left running when it was done is no part of the request.
  return scope === undefined || Context.hasEnded(scope) ? undefined : scope;
}

/** A call as middleware sees it: with options of its own, which have been checked. */
function outgoingCall(
  service: string,
  method: string,
  kind: CallKind,
  input: unknown,
  options: CallOptions | undefined,
): OutgoingCall {
  prepareOptions(options, kind);
  const own = { ...options, metadata: { ...options?.metadata } };
  return { service, method, kind, input, options: own };
}

function notYet(service: string, method: string): MeshError {
  return new MeshError('UNIMPLEMENTED', 'streams are not served yet', { service, method });
}
