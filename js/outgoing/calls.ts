// The calls this process has made and not yet had an answer to.

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

/** One call without its answer. */
interface Pending {
  readonly service: string;
  readonly method: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: MeshError) => void;
  readonly signal: AbortSignal | undefined;
  readonly onResponseMetadata: ((metadata: Metadata) => void) | undefined;
  readonly stopListening: (() => void) | undefined;
  /** Where the items of the answer go, if it is a stream. */
  readonly inflow: Inflow | undefined;
  /** Where the inputs come from, if they are a stream. */
  readonly outflow: Outflow | undefined;
  /** Whether it ends with the request on whose behalf it is made. */
  readonly inherits: boolean;
}

/** Sends calls and gives each exactly one outcome. */
export class Calls {
  readonly #pending = new IdTable<Pending>();
  // The calls of the inflows that are not over.
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
   * @param onCount is told when the first call becomes pending and when the last one is settled
   * @param limit the most bytes of an input, or of an item
   */
  constructor(writer: CommandWriter, onCount: () => void, limit?: number) {
    this.#writer = writer;
    this.#limit = limit ?? Infinity;
    this.#onCount = onCount;
  }

  /** How many calls wait for their answer. */
  get size(): number {
    return this.#pending.size;
  }

  /**
   * Sends a call. The input is encoded before this returns: changing it
   * afterwards changes nothing. Wrong arguments reject, they do not throw.
   *
   * @param input the items, where the inputs are a stream
   * @param wait what has to be done before anything can be sent, if it is not yet
   * @param inflow takes the items, where the answer is a stream; the promise then says how it ended
   * @param chain what led to it
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
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      try {
        this.#begin(kind, service, method, input, options, wait, inflow, chain, resolve, reject);
      } catch (error) {
        // The caller is still on the stack; without the frames in between its line is among the first.
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
    // After encoding, which runs code of the input: an abort from there is heard of by nobody.
    if (signal?.aborted) throw cancelled(signal, service, method);
    const id = this.#nextId();
    this.made += 1;
    const pending: Pending = {
      service,
      method,
      resolve,
      reject,
      signal,
      // It runs for its caller, with its caller's AsyncLocalStorage.
      onResponseMetadata: onResponseMetadata && AsyncResource.bind(onResponseMetadata),
      stopListening: signal && onAbort(signal, () => this.#cancel(id)),
      inflow,
      outflow: streamed
        ? new Outflow((item) => this.#writer.item(Side.Call, id, item), this.#limit)
        : undefined,
      inherits: chain.inherits,
    };
    this.#pending.set(id, pending);
    if (inflow !== undefined) this.#streams.set(inflow, id);
    if (this.#pending.size === 1) this.#onCount();
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

  /** A call that cannot be written is over: it must not wait for an answer. */
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
    { timeoutMs, idempotent, meta }: PreparedOptions,
    input: unknown,
    chain: Chain,
  ): void {
    this.#writer.call(id, service, method, payload, timeoutMs, idempotent, meta, kind, chain);
    // All calls in one batch would come back in one batch, and the two processes would take turns.
    // With half of them in each, one is worked on while the other travels.
    if (2 * this.#writer.frames >= this.#pending.size) this.#writer.flush();
    outflow?.run(input as Items).then(
      (complete) => {
        if (complete && this.#pending.has(id)) this.#writer.end(Side.Call, id, '');
      },
      (error: unknown) => {
        // What the caller's own iterable throws ends its call, as it is.
        const pending = this.#take(id);
        if (pending === undefined) return;
        this.#writer.cancel(id);
        const known =
          error instanceof PayloadError ? ownError(unencodable(error, service, method)) : error;
        this.#fail(pending, known as MeshError);
      },
    );
  }

  /** An item of an answer. */
  item(id: number, payload: Incoming): void {
    this.#pending.get(id)?.inflow?.push(payload);
  }

  /** An item of an answer is not the JSON it should be: the call fails, if it is not over. */
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

  /** Items that cost this much have gone. */
  sent(id: number, cost: number): void {
    this.#pending.get(id)?.outflow?.sent(cost);
  }

  /** Items of an answer that cost this much are consumed. */
  consumed(inflow: Inflow, cost: number): void {
    const id = this.#streams.get(inflow);
    if (id !== undefined) this.#writer.consumed(Side.Call, id, cost);
  }

  /** Nobody reads an answer any more. */
  leave(inflow: Inflow): void {
    const id = this.#streams.get(inflow);
    if (id === undefined) return;
    this.#writer.cancel(id);
    this.#take(id)?.resolve(undefined);
  }

  /**
   * The peer's answer.
   *
   * @param meta a JSON object of texts, or '' for none
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
      // The caller's own code has failed, and its own call tells it.
      pending.reject(error as MeshError);
    }
  }

  /** @param text the JSON of what went wrong */
  error(id: number, text: string): void {
    const pending = this.#take(id);
    if (pending !== undefined)
      this.#fail(pending, ownError(readError(text, pending.service, pending.method)));
  }

  /** Rejects every call that is still pending. */
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

  /** @param now whether items that came before are dropped */
  #fail(pending: Pending, error: MeshError, now = false): void {
    this.failed += 1;
    if (pending.inherits) ofRequest(error);
    // Else the middleware has a say in how the stream ends.
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
    if (this.#pending.size === 0) this.#onCount();
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
    // Ids come round again after four thousand million calls; one that is
    // still pending by then is stepped over.
    do {
      this.#lastId = (this.#lastId + 1) >>> 0;
    } while (this.#pending.has(this.#lastId));
    return this.#lastId;
  }
}

/** An error that was made here for one call. */
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
  return new MeshError('INTERNAL', 'the answer is not the JSON it should be', {
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
