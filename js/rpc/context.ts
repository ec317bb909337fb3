// The second argument of a handler: the facts of its request.

import { AbortCause } from '../base/boundary.js';
import { MeshError } from '../base/errors.js';
import { eitherSignal } from '../base/signals.js';
import { nowMs } from '../base/timers.js';
import type { CallKind, CallOptions } from './call-types.js';
import type { Caller } from './caller.js';
import { continueChain, type Chain } from './chain.js';
import type { SecureMeshClient } from './client.js';
import type { ConnectOptions, ContractClient } from './contract-client.js';
import type { Contract } from './contract.js';
import type { ErrorFactories, ErrorMap } from './declared-errors.js';
import {
  continueTrace,
  decodeMetadata,
  isId,
  readTraceparent,
  REQUEST_ID,
  TRACEPARENT,
  TRACESTATE,
} from './metadata.js';
import type { RequestSpan } from './spans.js';

/** The part of a mesh that a context uses. */
export interface ContextHost {
  /** Returns a client whose calls inherit from the context. */
  connect(
    context: Context,
    target: string | Contract,
    options?: ConnectOptions,
  ): SecureMeshClient | ContractClient<Contract>;
  /** The default timeout of a call, in ms. */
  readonly callTimeoutMs: number;
  /** The limit of an answer or an item, in bytes. */
  readonly maxMessageBytes: number;
  /** The id of this service. */
  readonly serviceId: string;
  /** Whether the core makes spans: the trace context of a request then names the request's own span. */
  readonly spansInCore?: boolean | undefined;
}

/** The facts of a request. */
interface ContextFacts {
  readonly method: string;
  readonly kind: CallKind;
  readonly caller: Caller;
  /** The number of the attempt, from 1. */
  readonly attempt: number;
  /** The number of the request within its mesh. */
  readonly id: number;
  /** On the clock of `performance.now()`; `Infinity` for none. */
  readonly deadline: number;
  /** A JSON object of strings, or '' for none. */
  readonly meta: string;
  /** The position of the call in its chain, from 1. */
  readonly depth: number;
  /** The previous calls of the chain, as the caller states them; '' for none. */
  readonly path: string;
  readonly errors: ErrorFactories<ErrorMap>;
}

/**
 * The facts of a request, for its handler: the verified caller, the remaining time, and whether the answer is
 * still wanted.
 */
export class Context<TErrors extends ErrorMap = {}> {
  /** The method that was called. */
  readonly method: string;
  /** The kind of call. */
  readonly kind: CallKind;
  /** The caller: the verified identity. */
  readonly caller: Caller;
  /** The number of the caller's attempt, from 1. */
  readonly attempt: number;
  /** Creates the errors that this method declares, by name: `throw ctx.errors.OUT_OF_STOCK({ sku })`. */
  readonly errors: ErrorFactories<TErrors>;
  readonly #host: ContextHost;
  readonly #facts: ContextFacts;
  #metadata: Readonly<Record<string, string>> | undefined;
  #responseMetadata: Record<string, string> | undefined;
  #chain: Chain | undefined;
  #controller: AbortController | undefined;
  #aborted: AbortCause | undefined;
  #ended = false;
  #span: RequestSpan | undefined;

  /** @internal */
  constructor(host: ContextHost, facts: ContextFacts) {
    this.#host = host;
    this.#facts = facts;
    this.method = facts.method;
    this.kind = facts.kind;
    this.caller = facts.caller;
    this.attempt = facts.attempt;
    this.errors = facts.errors as ErrorFactories<TErrors>;
  }

  /** The id of the request in logs: the caller's `x-request-id`, else the session's id and a number. */
  get requestId(): string {
    const sent = this.metadata[REQUEST_ID];
    return isId(sent) ? sent : `${this.caller.sessionId}/${this.#facts.id}`;
  }

  /** The caller's metadata. */
  get metadata(): Readonly<Record<string, string>> {
    return (this.#metadata ??= decodeMetadata(this.#facts.meta));
  }

  /** The metadata of the answer; set entries to send them with the result. */
  get responseMetadata(): Record<string, string> {
    return (this.#responseMetadata ??= {});
  }

  /** The caller's W3C trace context, if it is well formed. */
  get traceparent(): string | undefined {
    return readTraceparent(this.metadata[TRACEPARENT]);
  }

  /**
   * Aborted when the answer is no longer wanted: the caller cancelled, the deadline passed, the connection
   * was lost, or the mesh is closing. Its `reason` is a {@link MeshError} with the cause. Pass the signal to
   * every operation that takes time.
   */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted !== undefined) this.#controller.abort(abortError(this.#aborted));
    }
    return this.#controller.signal;
  }

  /** The time left for the answer, in ms, never below 0; `Infinity` without a deadline. */
  timeoutMs(): number {
    return Math.max(0, this.#facts.deadline - nowMs());
  }

  /**
   * Calls another service on behalf of this request. The call is cancelled with the request, shares its
   * deadline, and continues its trace and request id.
   *
   * @throws MeshError as {@link SecureMeshClient.call}
   */
  async call<TInput = unknown, TResult = unknown>(
    service: string,
    method: string,
    input?: TInput,
    options?: CallOptions,
  ): Promise<TResult> {
    return this.connect(service).call<TInput, TResult>(method, input, options);
  }

  /** Returns a client of a contract, whose calls are made on behalf of this request. */
  connect<T extends Contract>(contract: T, options?: ConnectOptions): ContractClient<T>;
  /** Returns a client whose calls are made on behalf of this request, as by {@link Context.call}. */
  connect(service: string): SecureMeshClient;
  connect(
    target: string | Contract,
    options?: ConnectOptions,
  ): SecureMeshClient | ContractClient<Contract> {
    return this.#host.connect(this, target, options);
  }

  /** @internal */
  static abort(context: Context, cause: AbortCause): void {
    context.#aborted ??= cause;
    context.#controller?.abort(abortError(cause));
  }

  /**
   * Ends the request when its handler has finished. Calls that the handler's remaining code makes are no
   * longer part of the request.
   *
   * @internal
   */
  static end(context: Context): void {
    context.#ended = true;
  }

  /** @internal */
  static hasEnded(context: Context): boolean {
    return context.#ended;
  }

  /** @internal */
  static isAborted(context: Context): boolean {
    return context.#aborted !== undefined;
  }

  /**
   * Why the request was aborted, if it was.
   *
   * @internal
   */
  static cause(context: Context): AbortCause | undefined {
    return context.#aborted;
  }

  /** @internal */
  static trace(context: Context, span: RequestSpan | undefined): void {
    context.#span = span;
  }

  /**
   * The span of the request, if it has one.
   *
   * @internal
   */
  static span(context: Context): RequestSpan | undefined {
    return context.#span;
  }

  /**
   * The limit of an answer in bytes.
   *
   * @internal
   */
  static limit(context: Context): number {
    return context.#host.maxMessageBytes;
  }

  /** @internal */
  static responseMetadata(context: Context): Record<string, string> | undefined {
    return context.#responseMetadata;
  }

  /**
   * Returns the chain of a call made on behalf of the request.
   *
   * @param inherits whether the call has the deadline of the request
   * @internal
   */
  static chain(context: Context, inherits: boolean): Chain {
    const { id: parent, depth, path } = context.#facts;
    const { serviceId } = context.#host;
    const chain = (context.#chain ??= continueChain(
      { parent, depth, path, inherits: false },
      context.caller.serviceId,
      serviceId,
      context.method,
    ));
    return inherits ? { ...chain, inherits } : chain;
  }

  /**
   * Returns the options of a call made on behalf of the request.
   *
   * @throws MeshError the reason of the request's signal, if its answer is no longer wanted
   * @internal
   */
  static inherit(context: Context, options: CallOptions | undefined, kind: CallKind): CallOptions {
    const left = context.timeoutMs();
    if (context.#aborted === undefined && left === 0) Context.abort(context, AbortCause.Deadline);
    if (context.#aborted !== undefined) throw abortError(context.#aborted);
    // A stream has no default timeout.
    const usual = kind === 'unary' ? context.#host.callTimeoutMs : Infinity;
    const wanted = options?.timeoutMs ?? usual;
    const inherited: CallOptions = {
      ...options,
      signal:
        options?.signal === undefined
          ? context.signal
          : eitherSignal(options.signal, context.signal),
      metadata: { ...context.#passedOn(), ...options?.metadata },
    };
    // The call itself rejects an invalid value.
    if (left < wanted) inherited.timeoutMs = left;
    return inherited;
  }

  /** Returns the metadata that a call inherits from the request. */
  #passedOn(): Record<string, string> {
    const passed: Record<string, string> = { [REQUEST_ID]: this.requestId };
    const { traceparent } = this;
    if (traceparent === undefined) return passed;
    passed[TRACEPARENT] =
      this.#host.spansInCore === true ? traceparent : continueTrace(traceparent);
    const state = this.metadata[TRACESTATE];
    // The trace state is dropped if the traceparent is missing, or if it exceeds the length that W3C requires.
    if (state !== undefined && state.length <= 512) passed[TRACESTATE] = state;
    return passed;
  }
}

/** Creates the reason of an aborted request's signal. */
export function abortError(cause: AbortCause): MeshError {
  switch (cause) {
    case AbortCause.Deadline:
      return new MeshError('DEADLINE_EXCEEDED', 'the deadline of the request passed', {
        reason: 'DEADLINE',
      });
    case AbortCause.SessionLost:
      return new MeshError('CANCELLED', 'the connection to the caller was lost', {
        reason: 'SESSION_LOST',
      });
    case AbortCause.Shutdown:
      return new MeshError('CANCELLED', 'the mesh is closing', { reason: 'CLOSED' });
    default:
      return new MeshError('CANCELLED', 'the caller cancelled the request', {
        reason: 'CANCELLED',
      });
  }
}
