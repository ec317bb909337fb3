// The pending calls of this process.

import { AsyncResource } from 'node:async_hooks';
import { invalidArgument, show } from '../base/arguments.js';
import { Side, type CallKind } from '../base/boundary.js';
import { ownError as ownStack, rejectAtCaller } from '../base/caller-stack.js';
import { isCode, MeshError, type MeshErrorOptions } from '../base/errors.js';
import { IdTable } from '../base/id-table.js';
import { onAbort } from '../base/signals.js';
import type { Inflow } from '../frames/inflow.js';
import { isItems, Outflow } from '../frames/outflow.js';
import { encodePayload, PayloadError, TooLargeError, type Payload } from '../frames/payload.js';
import type { Incoming } from '../frames/reader.js';
import type { CommandWriter } from '../frames/writer.js';
import { checkMethod, prepareOptions, type PreparedOptions } from '../rpc/call-options.js';
import { ofCall, ofRequest } from '../rpc/call-errors.js';
import type { CallOptions, Items } from '../rpc/call-types.js';
import { FIRST, type Chain } from '../rpc/chain.js';
import { decodeMetadata, type Metadata } from '../rpc/metadata.js';
import type { CallSpan } from '../rpc/spans.js';

/** A pending call. */
interface Pending {
  readonly service: string;
  readonly method: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: MeshError) => void;
  readonly signal: AbortSignal | undefined;
  readonly onResponseMetadata: ((metadata: Metadata) => void) | undefined;
  readonly stopListening: (() => void) | undefined;
  /** The receiver of the answer's items, if the answer is a stream. */
  readonly inflow: Inflow | undefined;
  /** The sender of the inputs, if they are a stream. */
  readonly outflow: Outflow | undefined;
  /** Whether the call ends with the request on whose behalf it is made. */
  readonly inherits: boolean;
  readonly span: CallSpan | undefined;
}

/** The most calls of the mesh itself at once, which keep no process alive: a renewal and a question about the bundle. */
const OWN_CALLS = 2;

/** Sends calls, and settles each of them exactly once. */
export class Calls {
  readonly #pending = new IdTable<Pending>();
  // The calls of the open inflows.
  readonly #streams = new Map<Inflow, number>();
  readonly #writer: CommandWriter;
  readonly #onCount: () => void;
  readonly #limit: number;
  #lastId = 0;
  /** Calls made. */
  made = 0;
  /** Calls answered with a result. */
  answered = 0;
  /** Calls that ended in an error. */
  failed = 0;

  /**
   * @param onCount called when the number of pending calls changes, while it is small
   * @param limit the limit of an input or an item in bytes
   */
  constructor(writer: CommandWriter, onCount: () => void, limit?: number) {
    this.#writer = writer;
    this.#limit = limit ?? Infinity;
    this.#onCount = onCount;
  }

  /** The number of pending calls. */
  get size(): number {
    return this.#pending.size;
  }

  /**
   * Sends a call. The input is encoded before this method returns, so later changes to it have no effect.
   * Invalid arguments reject the promise; the method does not throw.
   *
   * @param input the input, or the items if the inputs are a stream
   * @param wait a promise to await before the call can be sent, if any
   * @param inflow receives the items, if the answer is a stream; the promise then settles at the end of the
   *   stream
   * @param chain the chain of the call
   * @param span the span of the call, if it has one; the caller ends it
   */
  start(
    kind: CallKind,
    service: string,
    method: string,
    input: unknown,
    options: CallOptions | undefined,
    wait: Promise<void> | undefined,
    inflow?: Inflow,
    chain: Chain = FIRST,
    span?: CallSpan,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      try {
        this.#begin(
          kind,
          service,
          method,
          input,
          options,
          wait,
          inflow,
          chain,
          span,
          resolve,
          reject,
        );
      } catch (error) {
        // The caller is still on the stack; without the frames in between, its line comes first.
        if (error instanceof MeshError) Error.captureStackTrace(error, this.start);
        reject(ofCall(error));
      }
    });
  }

  #begin(
    kind: CallKind,
    service: string,
    method: string,
    input: unknown,
    options: CallOptions | undefined,
    wait: Promise<void> | undefined,
    inflow: Inflow | undefined,
    chain: Chain,
    span: CallSpan | undefined,
    resolve: (value: unknown) => void,
    reject: (error: MeshError) => void,
  ): void {
    checkMethod(method);
    const prepared = prepareOptions(options, kind);
    const { signal, onResponseMetadata } = prepared;
    const streamed = kind === 'clientStream' || kind === 'bidiStream';
    let payload = streamed ? undefined : this.#encode(input, service, method);
    if (streamed && !isItems(input)) {
      throw invalidArgument(`items must be an iterable or an async iterable, got ${show(input)}`);
    }
    // This check follows the encoding, which can run code of the input: no listener would see an abort from
    // there.
    if (signal?.aborted) throw cancelled(signal, service, method);
    const id = this.#nextId();
    this.made += 1;
    const pending: Pending = {
      service,
      method,
      resolve,
      reject,
      signal,
      // The function must run in its caller's async context.
      onResponseMetadata: onResponseMetadata && AsyncResource.bind(onResponseMetadata),
      stopListening: signal && onAbort(signal, () => this.#cancel(id)),
      inflow,
      outflow: streamed
        ? new Outflow((item) => this.#writer.item(Side.Call, id, item), this.#limit)
        : undefined,
      inherits: chain.inherits,
      span,
    };
    span?.count(pending.outflow, inflow);
    this.#pending.set(id, pending);
    if (inflow !== undefined) this.#streams.set(inflow, id);
    if (this.#pending.size <= OWN_CALLS + 1) this.#onCount();
    if (wait === undefined) {
      this.#trySend(id, pending, kind, payload, prepared, input, chain);
      return;
    }
    if (payload instanceof Uint8Array) payload = payload.slice();
    wait.then(
      () => {
        if (this.#pending.has(id))
          this.#trySend(id, pending, kind, payload, prepared, input, chain);
        else pending.outflow?.discard(input as Items);
      },
      (error: unknown) => {
        if (this.#take(id) === undefined) return;
        this.#fail(pending, ofCall(MeshError.from(error)));
        pending.outflow?.discard(input as Items);
      },
    );
  }

  /** Sends a call, and rejects it if it cannot be written, because no answer would come. */
  #trySend(
    id: number,
    pending: Pending,
    kind: CallKind,
    payload: Payload,
    prepared: PreparedOptions,
    input: unknown,
    chain: Chain,
  ): void {
    try {
      this.#send(id, pending, kind, payload, prepared, input, chain);
    } catch (error) {
      if (this.#take(id) !== undefined) this.#fail(pending, ofCall(MeshError.from(error)));
    }
  }

  #send(
    id: number,
    { service, method, outflow }: Pending,
    kind: CallKind,
    payload: Payload,
    { timeoutMs, idempotent, meta, sticky, hedge, priority }: PreparedOptions,
    input: unknown,
    chain: Chain,
  ): void {
    this.#writer.call(
      id,
      service,
      method,
      payload,
      timeoutMs,
      idempotent,
      meta,
      kind,
      chain,
      sticky,
      hedge,
      priority,
    );
    // If all calls were in one batch, the answers would be in one batch too, and the two processes would idle
    // in turn. With half of the calls in a batch, one batch is processed while the other is in transit.
    if (2 * this.#writer.frames >= this.#pending.size) this.#writer.flush();
    outflow?.run(input as Items).then(
      (complete) => {
        if (complete && this.#pending.has(id)) this.#writer.end(Side.Call, id, '');
      },
      (error: unknown) => {
        // An error of the caller's own iterable rejects its call unchanged.
        const pending = this.#take(id);
        if (pending === undefined) return;
        this.#writer.cancel(id);
        const known =
          error instanceof PayloadError ? ownError(unencodable(error, service, method)) : error;
        this.#fail(pending, known as MeshError);
      },
    );
  }

  /** Delivers an item of an answer. */
  item(id: number, payload: Incoming): void {
    this.#pending.get(id)?.inflow?.push(payload);
  }

  /** Fails a call because an item of its answer is not valid JSON, unless the call has ended. */
  unreadable(inflow: Inflow, service: string, method: string, cause: unknown): MeshError {
    const error = ownError(unreadable({ service, method }, cause));
    const id = this.#streams.get(inflow);
    const pending = id === undefined ? undefined : this.#take(id);
    if (id !== undefined && pending !== undefined) {
      this.#writer.cancel(id);
      this.#fail(pending, error);
    }
    return error;
  }

  /** Records that items of this cost were sent. */
  sent(id: number, cost: number): void {
    this.#pending.get(id)?.outflow?.sent(cost);
  }

  /** Reports that items of an answer with this cost were consumed. */
  consumed(inflow: Inflow, cost: number): void {
    const id = this.#streams.get(inflow);
    if (id !== undefined) this.#writer.consumed(Side.Call, id, cost);
  }

  /** Cancels a call whose answer is no longer read. */
  leave(inflow: Inflow): void {
    const id = this.#streams.get(inflow);
    if (id === undefined) return;
    this.#writer.cancel(id);
    const pending = this.#take(id);
    pending?.span?.left();
    pending?.resolve(undefined);
  }

  /**
   * Settles a call with the peer's result.
   *
   * @param meta a JSON object of strings, or '' for none
   */
  result(id: number, meta: string, payload: Incoming): void {
    const pending = this.#take(id);
    if (pending === undefined) return;
    let value: unknown;
    try {
      value = payload.decode();
    } catch (cause) {
      this.#fail(pending, ownError(unreadable(pending, cause)));
      return;
    }
    this.answered += 1;
    try {
      pending.onResponseMetadata?.(decodeMetadata(meta));
      pending.resolve(value);
    } catch (error) {
      // The caller's own code failed; its call reports the error.
      pending.reject(error as MeshError);
    }
  }

  /** @param text the error as JSON */
  error(id: number, text: string): void {
    const pending = this.#take(id);
    if (pending !== undefined)
      this.#fail(pending, ownError(readError(text, pending.service, pending.method)));
  }

  /** Rejects every pending call. */
  rejectAll(make: (service: string, method: string) => MeshError): void {
    for (const [id] of this.#pending.entries()) {
      const pending = this.#take(id);
      if (pending !== undefined)
        this.#fail(pending, ownError(make(pending.service, pending.method)));
    }
  }

  #cancel(id: number): void {
    const pending = this.#take(id);
    if (pending === undefined) return;
    this.#writer.cancel(id);
    const error = cancelled(pending.signal, pending.service, pending.method);
    this.#fail(pending, ownError(error), true);
  }

  /** @param now whether to drop items that arrived before the error */
  #fail(pending: Pending, error: MeshError, now = false): void {
    this.failed += 1;
    if (pending.inherits) ofRequest(error);
    // Otherwise the inflow ends with the middleware's outcome.
    if (now) pending.inflow?.fail(error, true);
    pending.resolve(rejectAtCaller(error));
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    if (pending === undefined) return undefined;
    this.#pending.delete(id);
    pending.stopListening?.();
    pending.outflow?.stop();
    if (pending.inflow !== undefined) this.#streams.delete(pending.inflow);
    if (this.#pending.size <= OWN_CALLS) this.#onCount();
    return pending;
  }

  #encode(input: unknown, service: string, method: string): Payload {
    try {
      return encodePayload(input, this.#limit);
    } catch (error) {
      throw unencodable(error, service, method);
    }
  }

  #nextId(): number {
    // Ids wrap around after 2^31 calls, because higher ones belong to the core; an id in use is skipped.
    do {
      this.#lastId = (this.#lastId + 1) & 0x7fff_ffff;
    } while (this.#pending.has(this.#lastId));
    return this.#lastId;
  }
}

/** Marks an error that was created here for one call. */
function ownError(error: MeshError): MeshError {
  return ofCall(ownStack(error));
}

function cancelled(signal: AbortSignal | undefined, service: string, method: string): MeshError {
  return new MeshError('CANCELLED', `the call of ${service} ${method} was cancelled`, {
    reason: 'CANCELLED',
    service,
    method,
    cause: signal?.reason as unknown,
  });
}

function unreadable(
  { service, method }: Pick<Pending, 'service' | 'method'>,
  cause: unknown,
): MeshError {
  return new MeshError('INTERNAL', 'the answer is not valid JSON', {
    reason: 'PAYLOAD',
    service,
    method,
    cause,
  });
}

function unencodable(error: unknown, service: string, method: string): MeshError {
  if (error instanceof TooLargeError) {
    const large = `the input is larger than limits.maxMessageBytes (${error.limit})`;
    return new MeshError('RESOURCE_EXHAUSTED', large, { reason: 'TOO_LARGE', service, method });
  }
  const text = error instanceof PayloadError ? error.message : String(error);
  return new MeshError('INVALID_ARGUMENT', `the input cannot be sent: ${text}`, {
    reason: 'PAYLOAD',
    service,
    method,
    cause: error instanceof PayloadError ? error.cause : error,
  });
}

function readError(text: string, service: string, method: string): MeshError {
  const fields = JSON.parse(text) as Record<string, unknown>;
  const options: MeshErrorOptions = { service, method, remote: fields['remote'] === true };
  if (typeof fields['reason'] === 'string') options.reason = fields['reason'];
  if (typeof fields['retryable'] === 'boolean') options.retryable = fields['retryable'];
  if (typeof fields['retryAfterMs'] === 'number') options.retryAfterMs = fields['retryAfterMs'];
  if (typeof fields['attempts'] === 'number') options.attempts = fields['attempts'];
  if (typeof fields['errorId'] === 'string') options.errorId = fields['errorId'];
  if (fields['data'] !== undefined && fields['data'] !== null) options.data = fields['data'];
  return new MeshError(
    isCode(fields['code']) ? fields['code'] : 'UNKNOWN',
    typeof fields['message'] === 'string' ? fields['message'] : '',
    options,
  );
}
