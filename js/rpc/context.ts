// What a handler knows beside its input.

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

/** What a context needs of its mesh. */
export interface ContextHost {
  /** A client whose calls inherit from the context. */
  connect(
    context: Context,
    target: string | Contract,
    options?: ConnectOptions,
  ): SecureMeshClient | ContractClient<Contract>;
  /** The time a call has unless it says otherwise, in ms. */
  readonly callTimeoutMs: number;
  /** The most bytes of an answer, or of an item. */
  readonly maxMessageBytes: number;
  /** The id of this service. */
  readonly serviceId: string;
}

/** The facts of a request. */
interface ContextFacts {
  readonly method: string;
  readonly kind: CallKind;
  readonly caller: Caller;
  /** From 1. */
  readonly attempt: number;
  /** Names the request within its mesh. */
  readonly id: number;
  /** On the clock of `performance.now()`; `Infinity` for none. */
  readonly deadline: number;
  /** A JSON object of texts, or '' for none. */
  readonly meta: string;
  /** Which call of its chain it is, from 1. */
  readonly depth: number;
  /** The calls that led to it, as its caller states them; '' for none. */
  readonly path: string;
  readonly errors: ErrorFactories<ErrorMap>;
}

/**
 * What a handler knows about the call it answers: who calls, how much time is
 * left, and whether the answer is still wanted.
 */
export class Context<TErrors extends ErrorMap = {}> {
  /** The method that was called. */
  readonly method: string;
  /** How it was called. */
  readonly kind: CallKind;
  /** Who calls: the verified identity. */
  readonly caller: Caller;
  /** Which try of its caller this is, from 1. */
  readonly attempt: number;
  /** Makes the errors this method declares, by their names: `throw ctx.errors.OUT_OF_STOCK({ sku })`. */
  readonly errors: ErrorFactories<TErrors>;
  readonly #host: ContextHost;
  readonly #facts: ContextFacts;
  #metadata: Readonly<Record<string, string>> | undefined;
  #responseMetadata: Record<string, string> | undefined;
  #chain: Chain | undefined;
  #controller: AbortController | undefined;
  #aborted: AbortCause | undefined;
  #ended = false;

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

  /** Names the request in logs: what the caller sent as `x-request-id`, else the session and a number. */
  get requestId(): string {
    const sent = this.metadata[REQUEST_ID];
    return isId(sent) ? sent : `${this.caller.sessionId}/${this.#facts.id}`;
  }

  /** What the caller sent beside the input. */
  get metadata(): Readonly<Record<string, string>> {
    return (this.#metadata ??= decodeMetadata(this.#facts.meta));
  }

  /** Set entries here to send them beside the result. */
  get responseMetadata(): Record<string, string> {
    return (this.#responseMetadata ??= {});
  }

  /** The W3C trace context the caller sent, if it sent one that is well formed. */
  get traceparent(): string | undefined {
    return readTraceparent(this.metadata[TRACEPARENT]);
  }

  /**
   * Aborted when the answer is no longer wanted: the caller cancelled, the
   * deadline passed, the peer was lost, or the mesh stops. Its `reason` is a
   * {@link MeshError} that says which. Pass it on to whatever takes time.
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
   * Calls another service on behalf of this request: the call is cancelled
   * with it, has no more time than it, and continues its trace and request id.
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

  /** A client of a contract, whose calls are made on behalf of this request. */
  connect<T extends Contract>(contract: T, options?: ConnectOptions): ContractClient<T>;
  /** A client whose calls are made on behalf of this request, as {@link Context.call} does. */
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
   * The handler is done. What it left running is no part of the request.
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
   * The most bytes of an answer.
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
   * The chain of a call made on behalf of the request.
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
   * Options for a call made on behalf of the request.
   *
   * @throws MeshError what the request's signal says, when its answer is no longer wanted
   * @internal
   */
  static inherit(context: Context, options: CallOptions | undefined, kind: CallKind): CallOptions {
    const left = context.timeoutMs();
    if (context.#aborted === undefined && left === 0) Context.abort(context, AbortCause.Deadline);
    if (context.#aborted !== undefined) throw abortError(context.#aborted);
    // A stream has no limit of its own.
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
    // A wrong value is left for the call to complain about.
    if (left < wanted) inherited.timeoutMs = left;
    return inherited;
  }

  /** What a call made on behalf of the request says about it. */
  #passedOn(): Record<string, string> {
    const passed: Record<string, string> = { [REQUEST_ID]: this.requestId };
    const { traceparent } = this;
    if (traceparent === undefined) return passed;
    passed[TRACEPARENT] = continueTrace(traceparent);
    const state = this.metadata[TRACESTATE];
    // Without its traceparent, or beyond the length W3C asks for, it is dropped.
    if (state !== undefined && state.length <= 512) passed[TRACESTATE] = state;
    return passed;
  }
}

/** What an aborted request's signal says. */
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
