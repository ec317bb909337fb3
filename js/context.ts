// What a handler knows beside its input.

import { MeshError } from './errors.js';
import type { SecureMeshClient } from './client.js';
import type { CallOptions, Caller } from './types.js';

/** Why a request's work is no longer wanted, as the addon numbers it. */
export const enum AbortCause {
  Cancelled = 1,
  Deadline = 2,
  SessionLost = 3,
  Shutdown = 4,
}

// The default of the core: a nested call never gets more than this without asking for it.
const DEFAULT_TIMEOUT_MS = 10_000;

/** What a context needs of its mesh. */
export interface ContextHost {
  /** A client whose calls inherit from the context. */
  clientFor(service: string, context: Context): SecureMeshClient;
}

/**
 * What a handler knows about the call it answers: who calls, how much time is
 * left, and whether the answer is still wanted.
 */
export class Context {
  /** The method that was called. */
  readonly method: string;
  /** Who calls: the verified identity. */
  readonly caller: Caller;
  /** Which try of its caller this is, from 1. */
  readonly attempt: number;
  readonly #host: ContextHost;
  readonly #id: number;
  readonly #deadline: number;
  readonly #meta: string;
  #metadata: Readonly<Record<string, string>> | undefined;
  #responseMetadata: Record<string, string> | undefined;
  #controller: AbortController | undefined;
  #aborted: AbortCause | undefined;

  /** @internal */
  constructor(
    host: ContextHost,
    method: string,
    caller: Caller,
    attempt: number,
    id: number,
    deadline: number,
    meta: string,
  ) {
    this.#host = host;
    this.method = method;
    this.caller = caller;
    this.attempt = attempt;
    this.#id = id;
    this.#deadline = deadline;
    this.#meta = meta;
  }

  /** Names the request in logs: the session and a number. */
  get requestId(): string {
    return `${this.caller.sessionId}/${this.#id}`;
  }

  /** What the caller sent beside the input. */
  get metadata(): Readonly<Record<string, string>> {
    return (this.#metadata ??= Object.freeze(
      (this.#meta === '' ? {} : JSON.parse(this.#meta)) as Record<string, string>,
    ));
  }

  /** Set entries here to send them beside the result. */
  get responseMetadata(): Record<string, string> {
    return (this.#responseMetadata ??= {});
  }

  /** The W3C trace context the caller sent, if it did. */
  get traceparent(): string | undefined {
    return this.metadata['traceparent'];
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
    return Math.max(0, this.#deadline - performance.now());
  }

  /**
   * Calls another service on behalf of this request: the call is cancelled
   * with it and has no more time than it.
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

  /** A client whose calls are made on behalf of this request, as {@link Context.call} does. */
  connect(service: string): SecureMeshClient {
    return this.#host.clientFor(service, this);
  }

  /** @internal */
  static abort(context: Context, cause: AbortCause): void {
    context.#aborted ??= cause;
    context.#controller?.abort(abortError(cause));
  }

  /** @internal */
  static responseMetadata(context: Context): Record<string, string> | undefined {
    return context.#responseMetadata;
  }

  /**
   * Options for a call made on behalf of the request.
   *
   * @internal
   */
  static inherit(context: Context, options: CallOptions | undefined): CallOptions {
    const left = context.timeoutMs();
    if (context.#aborted === undefined && left === 0) Context.abort(context, AbortCause.Deadline);
    if (context.#aborted !== undefined) throw abortError(context.#aborted);
    const wanted = options?.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const inherited: CallOptions = {
      ...options,
      signal:
        options?.signal === undefined
          ? context.signal
          : AbortSignal.any([options.signal, context.signal]),
    };
    // A wrong value is left for the call to complain about.
    if (left < wanted) inherited.timeoutMs = left;
    return inherited;
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
