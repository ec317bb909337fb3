// Calls on their way out: what they inherit, and the middleware around them.

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
import { Context } from '../rpc/context.js';
import type { ConnectOptions, ContractClient } from '../rpc/contract-client.js';
import { contractClient, serviceOf } from '../rpc/contract-client.js';
import { isContract, type Contract } from '../rpc/contract.js';
import { checkMiddleware, compose } from '../rpc/middleware.js';
import { currentScope, enableScope } from '../rpc/scope.js';
import type { Calls } from './calls.js';

// The core's own.
const MAX_SERVICE_ID = 128;

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
}

/** Sends the calls of a mesh's clients. */
export class Outgoing {
  readonly #calls: Calls;
  readonly #gate: Gate;
  readonly #clients = new Map<string, SecureMeshClient>();
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
   * A client of a service, by its id or by a contract. The client by id is
   * made once, except on behalf of a request.
   *
   * @param context the request its calls are made on behalf of
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

  /** Gives up the client of a service. */
  forget(service: string): void {
    this.#clients.delete(service);
  }

  /**
   * How a client calls its service.
   *
   * @param context the request its calls are made on behalf of; without one, the one that is being
   *   answered when a call is made
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

  /** A call with one result. */
  #single(
    kind: CallKind,
    service: string,
    method: string,
    input: unknown,
    options: CallOptions | undefined,
    context: Context | undefined,
  ): Promise<unknown> {
    return this.#begin(kind, service, method, input, options, requestOf(context, options));
  }

  /** A call with a stream of results. It begins when the first of them is asked for. */
  #stream(
    kind: CallKind,
    service: string,
    method: string,
    input: unknown,
    options: CallOptions | undefined,
    context: Context | undefined,
  ): AsyncIterableIterator<unknown> {
    const request = requestOf(context, options);
    const inflow: Inflow = new Inflow({
      begin: () => {
        this.#begin(kind, service, method, input, options, request, inflow).then(
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

  #begin(
    kind: CallKind,
    service: string,
    method: string,
    input: unknown,
    options: CallOptions | undefined,
    request: Context | undefined,
    inflow?: Inflow,
  ): Promise<unknown> {
    try {
      const inherited = request === undefined ? options : Context.inherit(request, options, kind);
      const chain =
        request === undefined
          ? FIRST
          : Context.chain(request, inherited?.timeoutMs !== options?.timeoutMs);
      if (this.#middleware.length === 0) {
        return this.#send(kind, service, method, input, inherited, chain, inflow);
      }
      const call = outgoingCall(service, method, kind, input, inherited);
      return compose(this.#middleware, call, () =>
        this.#send(kind, service, method, call.input, call.options, chain, inflow),
      );
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
    inflow: Inflow | undefined,
  ): Promise<unknown> {
    const wait = this.#gate.enter(service, method, chain.parent !== 0);
    return this.#calls.start(kind, service, method, input, options, wait, inflow, chain);
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
