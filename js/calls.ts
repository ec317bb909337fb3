// The calls this process has made and not yet had an answer to.

import {
  encodePayload,
  PayloadError,
  type CommandWriter,
  type Incoming,
  type Payload,
} from './codec.js';
import { MeshError, isCode, type MeshErrorOptions } from './errors.js';
import { checkMethod, prepareOptions } from './call-options.js';
import type { CallOptions } from './call-types.js';
import { decodeMetadata, type Metadata } from './metadata.js';

/** One call without its answer. */
interface Pending {
  readonly service: string;
  readonly method: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: MeshError) => void;
  readonly signal: AbortSignal | undefined;
  readonly onResponseMetadata: ((metadata: Metadata) => void) | undefined;
  onAbort: (() => void) | undefined;
}

/** Sends calls and gives each exactly one outcome. */
export class Calls {
  readonly #pending = new Map<number, Pending>();
  readonly #writer: CommandWriter;
  readonly #onCount: () => void;
  #lastId = 0;
  /** Calls made. */
  made = 0;
  /** Calls answered with a result. */
  answered = 0;
  /** Calls that ended in an error. */
  failed = 0;

  /** @param onCount is told when the first call becomes pending and when the last one is settled */
  constructor(writer: CommandWriter, onCount: () => void) {
    this.#writer = writer;
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
   * @param wait what has to be done before anything can be sent, if it is not yet
   */
  start(
    service: string,
    method: string,
    input: unknown,
    options: CallOptions | undefined,
    wait?: Promise<void>,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      checkMethod(method);
      const { timeoutMs, idempotent, meta, signal, onResponseMetadata } = prepareOptions(
        options,
        'unary',
      );
      if (signal?.aborted) throw cancelled(signal, service, method);
      let payload: Payload;
      try {
        payload = encodePayload(input);
      } catch (error) {
        throw unencodable(error, service, method);
      }
      const id = this.#nextId();
      this.made += 1;
      const pending: Pending = {
        service,
        method,
        resolve,
        reject,
        signal,
        onResponseMetadata,
        onAbort: undefined,
      };
      if (signal !== undefined) {
        pending.onAbort = () => this.#cancel(id);
        signal.addEventListener('abort', pending.onAbort, { once: true });
      }
      this.#pending.set(id, pending);
      if (this.#pending.size === 1) this.#onCount();
      if (wait === undefined) {
        this.#writer.call(id, service, method, payload, timeoutMs, idempotent, meta);
        return;
      }
      if (payload instanceof Uint8Array) payload = payload.slice();
      wait.then(
        () => {
          if (this.#pending.has(id)) {
            this.#writer.call(id, service, method, payload, timeoutMs, idempotent, meta);
          }
        },
        (error: unknown) => {
          if (this.#take(id) !== undefined) this.#fail(pending, MeshError.from(error));
        },
      );
    });
  }

  /**
   * The peer's answer.
   *
   * @param meta a JSON object of texts, or '' for none
   */
  result(id: number, meta: string, payload: Incoming): void {
    const pending = this.#take(id);
    if (pending === undefined) return;
    const { service, method } = pending;
    let value: unknown;
    try {
      value = payload.decode();
    } catch (cause) {
      this.#fail(
        pending,
        new MeshError('INTERNAL', 'the answer is not the JSON it should be', {
          reason: 'PAYLOAD',
          service,
          method,
          cause,
        }),
      );
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
      this.#fail(pending, readError(text, pending.service, pending.method));
  }

  /** Rejects every call that is still pending. */
  rejectAll(make: (service: string, method: string) => MeshError): void {
    for (const id of [...this.#pending.keys()]) {
      const pending = this.#take(id);
      if (pending !== undefined) this.#fail(pending, make(pending.service, pending.method));
    }
  }

  #cancel(id: number): void {
    const pending = this.#take(id);
    if (pending === undefined) return;
    this.#writer.cancel(id);
    this.#fail(pending, cancelled(pending.signal, pending.service, pending.method));
  }

  #fail(pending: Pending, error: MeshError): void {
    this.failed += 1;
    pending.reject(error);
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    if (pending === undefined) return undefined;
    this.#pending.delete(id);
    if (pending.onAbort !== undefined) {
      pending.signal?.removeEventListener('abort', pending.onAbort);
    }
    if (this.#pending.size === 0) this.#onCount();
    return pending;
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

function cancelled(signal: AbortSignal | undefined, service: string, method: string): MeshError {
  return new MeshError('CANCELLED', `the call of ${service} ${method} was cancelled`, {
    reason: 'CANCELLED',
    service,
    method,
    cause: signal?.reason as unknown,
  });
}

function unencodable(error: unknown, service: string, method: string): MeshError {
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
