// The path of a call to `Calls`: its inheritance from a request, and the middleware around it.

import { invalidArgument, show } from '../base/arguments.js';
import { MeshError } from '../base/errors.js';
import { Inflow } from '../frames/inflow.js';
import { prepareOptions } from '../rpc/call-options.js';
import type {
  CallKind,
  CallOptions,
  ClientMiddleware,
  Items,
  OutgoingCall,
} from '../rpc/call-types.js';
import { ofCall, ofRequest } from '../rpc/call-errors.js';
import { FIRST, type Chain } from '../rpc/chain.js';
import { SecureMeshClient, type Link } from '../rpc/client.js';
import type { Context } from '../rpc/context.js';
import type { ConnectOptions, ContractClient } from '../rpc/contract-client.js';
import { contractClient, serviceOf } from '../rpc/contract-client.js';
import { isContract, type Contract } from '../rpc/contract.js';
import { checkMiddleware, compose } from '../rpc/middleware.js';
import {
  isOver,
  OuterScope,
  placeIn,
  traceOf,
  type Origin,
  type ScopeOptions,
} from '../rpc/outer-scope.js';
import { currentScope, enableScope, runInScope } from '../rpc/scope.js';
import type { CallSpan, Spans } from '../rpc/spans.js';
import type { Calls } from './calls.js';

// The limit of the core.
const MAX_SERVICE_ID = 128;

/** The part of a mesh that calls use. */
export interface Gate {
  /**
   * Checks whether calls can be sent now.
   *
   * @param nested whether the call is made on behalf of a request; such calls are permitted while the mesh drains
   * @returns a promise to await first, if any
   * @throws MeshError `FAILED_PRECONDITION`, reason `NOT_INITIALIZED` or `CLOSED`
   */
  enter(service: string, method: string, nested: boolean): Promise<void> | undefined;
  /** Starts the mesh. */
  ready(): Promise<void>;
}

/** Sends the calls of a mesh's clients. */
export class Outgoing {
  readonly #calls: Calls;
  readonly #gate: Gate;
  readonly #callTimeoutMs: number;
  readonly #spans: Spans | undefined;
  readonly #clients = new Map<string, SecureMeshClient>();
  #middleware: readonly ClientMiddleware[] = [];

  /**
   * @param callTimeoutMs the time of a call without its own `timeoutMs`, in ms
   * @param spans creates the spans of calls, if they have any
   */
  constructor(calls: Calls, gate: Gate, callTimeoutMs: number, spans?: Spans) {
    this.#spans = spans;
    this.#calls = calls;
    this.#gate = gate;
    this.#callTimeoutMs = callTimeoutMs;
  }

  /** Puts a middleware around every call, inside the existing middleware. */
  use(middleware: ClientMiddleware): void {
    checkMiddleware('middleware', middleware);
    this.#middleware = [...this.#middleware, middleware];
  }

  /**
   * Returns a client of a service, by its id or by a contract. The client by id is cached, unless it is for a
   * request.
   *
   * @param context the request on whose behalf the calls are made
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
   */
  connect(
    target: string | Contract,
    options: ConnectOptions | undefined,
    context: Context | undefined,
  ): SecureMeshClient | ContractClient<Contract> {
    enableScope();
    if (isContract(target)) {
      return contractClient(target, this.#link(serviceOf(target, options), context));
    }
    if (context !== undefined) return SecureMeshClient.of(this.#link(target, context));
    let client = this.#clients.get(target);
    if (client === undefined) {
      client = SecureMeshClient.of(this.#link(target, undefined));
      this.#clients.set(target, client);
    }
    return client;
  }

  /**
   * Runs a function whose calls inherit the options, in addition to their other inheritance.
   *
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`; and the errors of the function
   */
  async scope<T>(options: ScopeOptions, run: () => T | Promise<T>): Promise<T> {
    if (typeof run !== 'function') {
      throw invalidArgument(`the function of a scope must be a function, got ${show(run)}`);
    }
    enableScope();
    const scope = new OuterScope(options, originOf(undefined, undefined), this.#callTimeoutMs);
    try {
      return await runInScope(scope, run);
    } finally {
      scope.end();
    }
  }

  /** Forgets the client of a service. */
  forget(service: string): void {
    this.#clients.delete(service);
  }

  /**
   * Creates the link of a client to its service.
   *
   * @param context the request on whose behalf the calls are made; default: the current request at the time
   *   of a call
   */
  #link(service: string, context: Context | undefined): Link {
    if (typeof service !== 'string' || service === '') {
      throw invalidArgument(`serviceId must be a non-empty string, got ${show(service)}`);
    }
    if (service.length > MAX_SERVICE_ID) {
      throw invalidArgument(
        `serviceId must have at most ${MAX_SERVICE_ID} characters, got ${service.length}`,
      );
    }
    return {
      service,
      start: (method, input, options) =>
        this.#single('unary', service, method, input, options, context),
      serverStream: (method, input, options) =>
        this.#stream('serverStream', service, method, input, options, context),
      clientStream: (method, items: Items, options) =>
        this.#single('clientStream', service, method, items, options, context),
      bidiStream: (method, items: Items, options) =>
        this.#stream('bidiStream', service, method, items, options, context),
      ready: () => this.#gate.ready(),
      close: async () => this.forget(service),
    };
  }

  /** Makes a call with one result. */
  #single(
    kind: CallKind,
    service: string,
    method: string,
    input: unknown,
    options: CallOptions | undefined,
    context: Context | undefined,
  ): Promise<unknown> {
    const origin = originOf(context, options);
    return this.#begin(kind, service, method, input, options, origin, this.#spans?.here());
  }

  /** Makes a call with a stream of results. It begins when the consumer asks for the first result. */
  #stream(
    kind: CallKind,
    service: string,
    method: string,
    input: unknown,
    options: CallOptions | undefined,
    context: Context | undefined,
  ): AsyncIterableIterator<unknown> {
    const origin = originOf(context, options);
    const here = this.#spans?.here();
    const inflow: Inflow = new Inflow({
      begin: () => {
        this.#begin(kind, service, method, input, options, origin, here, inflow).then(
          () => inflow.finish(),
          (error: unknown) => inflow.fail(error),
        );
      },
      consumed: (cost) => this.#calls.consumed(inflow, cost),
      left: () => this.#calls.leave(inflow),
      unreadable: (cause) => this.#calls.unreadable(inflow, service, method, cause),
    });
    return inflow;
  }

  /**
   * Begins a call, with its span if it has one.
   *
   * @param here the trace context in which the call was made, if it gets a span
   */
  #begin(
    kind: CallKind,
    service: string,
    method: string,
    input: unknown,
    options: CallOptions | undefined,
    origin: Origin | undefined,
    here: object | undefined,
    inflow?: Inflow,
  ): Promise<unknown> {
    if (here === undefined || this.#spans === undefined) {
      return this.#place(kind, service, method, input, options, origin, undefined, inflow);
    }
    const inherited = traceOf(origin);
    const span = this.#spans.call(here, { kind, service, method, options, inherited });
    return span.follow(this.#place(kind, service, method, input, options, origin, span, inflow));
  }

  /** Adds the inherited options to a call, and sends it through the middleware. */
  #place(
    kind: CallKind,
    service: string,
    method: string,
    input: unknown,
    options: CallOptions | undefined,
    origin: Origin | undefined,
    span: CallSpan | undefined,
    inflow: Inflow | undefined,
  ): Promise<unknown> {
    try {
      const { options: inherited, chain } =
        origin === undefined ? { options, chain: FIRST } : placeIn(origin, options, kind);
      const traced = span === undefined ? inherited : span.inject(inherited);
      if (this.#middleware.length === 0) {
        return this.#send(kind, service, method, input, traced, chain, span, inflow);
      }
      const call = outgoingCall(service, method, kind, input, traced);
      const pass = (): Promise<unknown> =>
        compose(this.#middleware, call, () =>
          this.#send(kind, service, method, call.input, call.options, chain, span, inflow),
        );
      return span === undefined ? pass() : span.run(pass);
    } catch (error) {
      if (error instanceof MeshError) Error.captureStackTrace(error, this.#begin);
      ofRequest(error);
      return Promise.reject(ofCall(error));
    }
  }

  #send(
    kind: CallKind,
    service: string,
    method: string,
    input: unknown,
    options: CallOptions | undefined,
    chain: Chain,
    span: CallSpan | undefined,
    inflow: Inflow | undefined,
  ): Promise<unknown> {
    const wait = this.#gate.enter(service, method, chain.parent !== 0);
    return this.#calls.start(kind, service, method, input, options, wait, inflow, chain, span);
  }
}

/** Returns the request on whose behalf a call is made, or the scope in which it is made. */
function originOf(
  context: Context | undefined,
  options: CallOptions | undefined,
): Origin | undefined {
  if (options?.detached === true) return undefined;
  if (context !== undefined) return context;
  const scope = currentScope();
  // A call after the end of its handler is not part of the request.
  return scope === undefined || isOver(scope) ? undefined : scope;
}

/** Creates the view of a call for middleware, with a checked copy of the options. */
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
