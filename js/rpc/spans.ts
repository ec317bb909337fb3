// The interface to tracing, as calls and requests see it. The room `tracing` implements it; without tracing
// nothing does.

import type { CallKind, MeshErrorCode } from '../base/boundary.js';
import type { CallOptions } from './call-types.js';
import type { Caller } from './caller.js';
import type { Metadata } from './metadata.js';

/** Creates the spans of a mesh. */
export interface Spans {
  /** The trace context of the running code; `undefined` while nothing records spans or durations. */
  here(): object | undefined;
  /**
   * Starts the span of a call.
   *
   * @param here the result of {@link Spans.here} where the call was made
   */
  call(here: object, facts: CallFacts): CallSpan;
  /** Starts the span of a request; `undefined` while nothing records spans or durations. */
  request(facts: RequestFacts): RequestSpan | undefined;
}

/** The facts of a call at its start. Its options are not checked yet. */
export interface CallFacts {
  readonly kind: CallKind;
  readonly service: string;
  readonly method: unknown;
  readonly options: CallOptions | undefined;
  /** The span or the metadata of the request or scope that makes the call. */
  readonly inherited: RequestSpan | Metadata | undefined;
}

/** The facts of a request at its start. */
export interface RequestFacts {
  readonly kind: CallKind;
  readonly method: string;
  /** Whether the method has a handler. */
  readonly known: boolean;
  readonly caller: Caller | undefined;
  /** The number of the caller's attempt, from 1. */
  readonly attempt: number;
  /** The metadata as JSON; '' for none. */
  readonly meta: string;
}

/** Counts the items of one direction of a stream. */
export interface Counted {
  readonly items: number;
}

/** The part of a span that both sides use. */
interface OpenSpan {
  /** Runs a function with the span as the active one. */
  run<T>(body: () => T): T;
  /** Names the counters of a stream, which are read at its end. */
  count(sent: Counted | undefined, received: Counted | undefined): void;
}

/** The span of a call. */
export interface CallSpan extends OpenSpan {
  /** Adds the trace context to the options, within the limit of the metadata. */
  inject(options: CallOptions | undefined): CallOptions | undefined;
  /** Records that the consumer left the stream. */
  left(): void;
  /** Ends the span with the outcome of the call, and returns the outcome. */
  follow<T>(outcome: Promise<T>): Promise<T>;
}

/** The failure of a request, as its caller receives it. */
export interface RequestFailure {
  readonly code: MeshErrorCode;
  readonly reason?: string | undefined;
  readonly message?: string | undefined;
  readonly errorId?: string | undefined;
}

/** The span of a request. */
export interface RequestSpan extends OpenSpan {
  /** Records an error that the caller does not receive. */
  fault(error: unknown): void;
  /** Ends the span. Later calls have no effect. */
  end(failure?: RequestFailure): void;
}
