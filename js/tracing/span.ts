// The common part of the spans of calls and requests: their context, their counters, their end.

import type { Attributes, Context, Histogram, Span } from '@opentelemetry/api';
import { nowMs } from '../base/timers.js';
import type { Counted } from '../rpc/spans.js';
import type { Api } from './api.js';
import {
  ERROR_TYPE,
  REASON,
  RECEIVED,
  RPC_METHOD,
  RPC_STATUS_CODE,
  SENT,
  cut,
  OTHER,
} from './conventions.js';

/** The end of a call or a request. */
export interface End {
  /** The status code, if the mesh gave one. */
  readonly code: string | undefined;
  /** The type of an error that counts as one; `undefined` for none. */
  readonly type: string | undefined;
  readonly message?: string | undefined;
  readonly reason?: string | undefined;
  /** Further attributes. */
  readonly more?: Attributes;
}

/** An open span. */
export class MeshSpan {
  protected readonly api: Api;
  /** The span itself. */
  readonly span: Span;
  /** The context in which the span is the active one. */
  readonly context: Context;
  readonly #common: Attributes;
  readonly #histogram: Histogram | undefined;
  readonly #began: number;
  #sent: Counted | undefined;
  #received: Counted | undefined;
  #ended = false;

  /**
   * @param parent the context of the parent
   * @param common the attributes that the span and its duration metric share
   */
  constructor(
    api: Api,
    span: Span,
    parent: Context,
    common: Attributes,
    histogram: Histogram | undefined,
  ) {
    this.api = api;
    this.span = span;
    this.context = api.trace.setSpan(parent, span);
    this.#common = common;
    this.#histogram = histogram;
    this.#began = histogram === undefined ? 0 : nowMs();
  }

  /** Runs a function with the span as the active one. */
  run<T>(body: () => T): T {
    return this.api.context.with(this.context, body);
  }

  /** Names the counters of a stream. */
  count(sent: Counted | undefined, received: Counted | undefined): void {
    this.#sent = sent;
    this.#received = received;
  }

  /** Ends the span, once. The code of an SDK runs here, and its errors must not become those of a call. */
  protected close(end: End): void {
    if (this.#ended) return;
    this.#ended = true;
    try {
      this.#record(end);
    } catch {
      // The span is lost.
    }
  }

  #record(end: End): void {
    const recording = this.span.isRecording();
    if (recording || this.#histogram !== undefined) this.#describe(end, recording);
    else this.span.end();
  }

  #describe({ code, type, message, reason, more }: End, recording: boolean): void {
    const attributes: Attributes = {};
    if (code !== undefined) attributes[RPC_STATUS_CODE] = code;
    if (type !== undefined) attributes[ERROR_TYPE] = cut(type);
    if (recording) {
      this.span.setAttributes({ ...attributes, ...more });
      if (reason !== undefined) this.span.setAttribute(REASON, cut(reason));
      if (this.#sent !== undefined) this.span.setAttribute(SENT, this.#sent.items);
      if (this.#received !== undefined) this.span.setAttribute(RECEIVED, this.#received.items);
      if (type !== undefined) {
        const status = { code: this.api.SpanStatusCode.ERROR };
        this.span.setStatus(message === undefined ? status : { ...status, message: cut(message) });
      }
    }
    this.span.end();
    if (this.#histogram === undefined) return;
    const measured = { ...this.#common, ...attributes };
    // A name that is wrong must not become a series of its own.
    if (reason === 'METHOD_NOT_FOUND') measured[RPC_METHOD] = OTHER;
    this.#histogram.record((nowMs() - this.#began) / 1000, measured, this.context);
  }
}
