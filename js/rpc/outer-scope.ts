// The inheritance of calls from code that answers no request of the mesh: an HTTP handler, a job.

import { checkKeys, invalidArgument, show } from '../base/arguments.js';
import { AbortCause } from '../base/boundary.js';
import { eitherSignal } from '../base/signals.js';
import { nowMs } from '../base/timers.js';
import { prepareOptions } from './call-options.js';
import type { CallKind, CallOptions } from './call-types.js';
import { FIRST, type Chain } from './chain.js';
import { abortError, Context } from './context.js';
import {
  continueTrace,
  isId,
  readTraceparent,
  REQUEST_ID,
  TRACEPARENT,
  type Metadata,
} from './metadata.js';
import type { RequestSpan } from './spans.js';

/** The common properties of the calls of a {@link SecureMesh.scope}. */
export interface ScopeOptions {
  /** Cancels the calls: that of an HTTP request whose client may leave, for example. */
  signal?: AbortSignal | undefined;
  /** The time that all of the calls have together, in ms, above 0. Default: no limit but their own. */
  timeoutMs?: number | undefined;
  /** Sent with each of the calls. The metadata of a call itself comes first. */
  metadata?: Readonly<Record<string, string>> | undefined;
  /**
   * The W3C trace context that the calls continue, each with a span of its own. One that is not
   * well formed is left out, since it comes from outside.
   */
  traceparent?: string | undefined;
  /**
   * Names the request in the logs of the services, as `x-request-id`. One that is not 1…128 visible
   * ASCII characters is left out, since it comes from outside.
   */
  requestId?: string | undefined;
}

const KEYS = ['signal', 'timeoutMs', 'metadata', 'traceparent', 'requestId'] as const;

/** Where a call is made: while a request is answered, or in a scope. */
export type Origin = Context | OuterScope;

/** A scope that is no request of the mesh. */
export class OuterScope {
  readonly #options: ScopeOptions;
  readonly #deadline: number;
  readonly #callTimeoutMs: number;
  readonly #above: Origin | undefined;
  #ended = false;

  /**
   * @param above the scope around this one
   * @param callTimeoutMs the time a call has unless it says otherwise, in ms
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
   */
  constructor(options: ScopeOptions, above: Origin | undefined, callTimeoutMs: number) {
    checkKeys('options', options, KEYS);
    const { signal, timeoutMs, metadata } = options;
    prepareOptions({ signal, timeoutMs, metadata }, 'unary');
    for (const name of ['traceparent', 'requestId'] as const) {
      const value = options[name];
      if (value !== undefined && typeof value !== 'string') {
        throw invalidArgument(`options.${name} must be a string, got ${show(value)}`);
      }
    }
    this.#options = { ...options, metadata: { ...metadata } };
    this.#deadline = timeoutMs === undefined ? Infinity : nowMs() + timeoutMs;
    this.#callTimeoutMs = callTimeoutMs;
    this.#above = above;
  }

  /** Whether its function has ended. Work that is still running then is not part of the scope. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The function is done. */
  end(): void {
    this.#ended = true;
  }

  /** The trace that the calls in this scope continue. */
  get trace(): RequestSpan | Metadata | undefined {
    const { traceparent } = this.#options;
    return readTraceparent(traceparent) === undefined || traceparent === undefined
      ? traceOf(this.#above)
      : { [TRACEPARENT]: traceparent };
  }

  /**
   * Options of a call in this scope, and its chain.
   *
   * @throws MeshError `DEADLINE_EXCEEDED` when the time is up
   */
  place(options: CallOptions | undefined, kind: CallKind): Placed {
    const left = this.#deadline - nowMs();
    if (left <= 0) throw abortError(AbortCause.Deadline);
    const { signal } = this.#options;
    // A stream has no limit of its own.
    const usual = kind === 'unary' ? this.#callTimeoutMs : Infinity;
    const own: CallOptions = {
      ...options,
      metadata: { ...this.#passedOn(), ...options?.metadata },
    };
    if (signal !== undefined) {
      own.signal = options?.signal === undefined ? signal : eitherSignal(options.signal, signal);
    }
    // A wrong value is left for the call to complain about.
    if (left < (options?.timeoutMs ?? usual)) own.timeoutMs = left;
    return this.#above === undefined || isOver(this.#above)
      ? { options: own, chain: FIRST }
      : placeIn(this.#above, own, kind);
  }

  #passedOn(): Record<string, string> {
    const { metadata, requestId } = this.#options;
    const passed: Record<string, string> = { ...metadata };
    if (isId(requestId)) passed[REQUEST_ID] = requestId;
    const traceparent = readTraceparent(this.#options.traceparent);
    if (traceparent !== undefined) passed[TRACEPARENT] = continueTrace(traceparent);
    return passed;
  }
}

/** A call with what it inherits. */
export interface Placed {
  readonly options: CallOptions | undefined;
  readonly chain: Chain;
}

/**
 * Options of a call that is made somewhere, and its chain.
 *
 * @throws MeshError what the request's signal says, when its answer is no longer wanted; or
 *   `DEADLINE_EXCEEDED` when the time of the scope is up
 */
export function placeIn(origin: Origin, options: CallOptions | undefined, kind: CallKind): Placed {
  if (origin instanceof OuterScope) return origin.place(options, kind);
  const inherited = Context.inherit(origin, options, kind);
  const chain = Context.chain(origin, inherited.timeoutMs !== options?.timeoutMs);
  return { options: inherited, chain };
}

/** The trace of a request or a scope: its span, or the metadata that came with it. */
export function traceOf(origin: Origin | undefined): RequestSpan | Metadata | undefined {
  if (origin instanceof OuterScope) return origin.trace;
  return origin && (Context.span(origin) ?? origin.metadata);
}

/** Whether the request is answered, or the function of the scope is done. */
export function isOver(origin: Origin): boolean {
  return origin instanceof OuterScope ? origin.ended : Context.hasEnded(origin);
}
