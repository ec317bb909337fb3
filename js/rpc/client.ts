// One service, as something to call.

import { invalidArgument } from '../base/arguments.js';
import { MeshError } from '../base/errors.js';
import { SecureMesh } from '../mesh/mesh.js';
import type { CallOptions, Items } from './call-types.js';

/**
 * How a client of a mesh sends its calls.
 *
 * @internal
 */
export interface Link {
  /** The service that is called. */
  readonly service: string;
  /** Sends a call. */
  start(method: string, input: unknown, options: CallOptions | undefined): Promise<unknown>;
  /** Opens a stream that answers one input with many items. */
  serverStream(
    method: string,
    input: unknown,
    options: CallOptions | undefined,
  ): AsyncIterableIterator<unknown>;
  /** Opens a stream that answers many items with one result. */
  clientStream(method: string, items: Items, options: CallOptions | undefined): Promise<unknown>;
  /** Opens a stream of many items each way. */
  bidiStream(
    method: string,
    items: Items,
    options: CallOptions | undefined,
  ): AsyncIterableIterator<unknown>;
  /** Waits until calls can be sent. */
  ready(): Promise<void>;
  /** Gives up the client. */
  close(): Promise<void>;
}

/** The method that 0.2.0's `sendMessage` stands for. */
export const MESSAGE_METHOD = 'sendMessage';

/**
 * Calls one service. Made by {@link SecureMesh.connect}; making one costs
 * nothing, and the first call establishes the session.
 */
export class SecureMeshClient {
  readonly #link: Link;

  /**
   * A client with a mesh of its own, as 0.2.0 had it.
   *
   * @deprecated Use {@link SecureMesh.connect}.
   * @param serviceId the id of this process
   * @param targetServiceId the id of the service to call
   * @param address `host:port`
   * @param keysDir the key directory; default as for {@link SecurityConfig.keysDir}
   * @param protoPath ignored: the protocol is built in
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT` or `CONFIG`
   */
  constructor(
    serviceId: string,
    targetServiceId: string,
    address: string,
    keysDir?: string,
    protoPath?: string,
  );
  constructor(first: string | Link, targetServiceId?: string, address?: string, keysDir?: string) {
    this.#link =
      typeof first === 'object' && first !== null
        ? first
        : standalone(first, targetServiceId, address, keysDir);
  }

  /**
   * @internal
   */
  static of(link: Link): SecureMeshClient {
    return new (SecureMeshClient as unknown as new (link: Link) => SecureMeshClient)(link);
  }

  /** The id of the service that is called. */
  get serviceId(): string {
    return this.#link.service;
  }

  /**
   * Makes an encrypted, authenticated call and resolves with the handler's
   * result. The input is any JSON value, or a `Uint8Array` to send bytes; it
   * is taken as it is now, whatever is done to it afterwards.
   *
   * @param method the name under which the service has its handler
   * @throws MeshError what the handler threw, exactly, with `remote` true; or `DEADLINE_EXCEEDED`
   *   when the time ran out, `CANCELLED` when the signal was aborted, `UNAVAILABLE` when the
   *   service cannot be reached, `UNAUTHENTICATED` when one side could not prove who it is,
   *   `UNIMPLEMENTED` (`METHOD_NOT_FOUND`), `NOT_FOUND` (`UNKNOWN_SERVICE`), `INVALID_ARGUMENT`
   *   (`PAYLOAD`) for an input that cannot be sent, `RESOURCE_EXHAUSTED` (`TOO_LARGE`, `CALL_LIMIT`),
   *   `FAILED_PRECONDITION` (`NOT_INITIALIZED`, `CLOSED`)
   */
  call<TInput = unknown, TResult = unknown>(
    method: string,
    input?: TInput,
    options?: CallOptions,
  ): Promise<TResult> {
    return this.#link.start(method, input, options) as Promise<TResult>;
  }

  /**
   * Calls a method that answers with many items. Leaving the loop cancels it
   * on the other side.
   *
   * @example
   * ```js
   * for await (const event of client.serverStream('orders.watch', { since })) { … }
   * ```
   * @param method the name under which the service has its handler
   * @throws MeshError as {@link SecureMeshClient.call}, from the iterator; `UNIMPLEMENTED`
   *   (`CALL_KIND`) when the method is of another kind
   */
  serverStream<TInput = unknown, TItem = unknown>(
    method: string,
    input?: TInput,
    options?: CallOptions,
  ): AsyncIterableIterator<TItem> {
    return this.#link.serverStream(method, input, options) as AsyncIterableIterator<TItem>;
  }

  /**
   * Sends many items, and resolves with the one result.
   *
   * @param method the name under which the service has its handler
   * @param items what to send; no faster than the other side takes it
   * @throws MeshError as {@link SecureMeshClient.call}; `UNIMPLEMENTED` (`CALL_KIND`) when the method
   *   is of another kind
   */
  clientStream<TItem = unknown, TResult = unknown>(
    method: string,
    items: AsyncIterable<TItem> | Iterable<TItem>,
    options?: CallOptions,
  ): Promise<TResult> {
    return this.#link.clientStream(method, items, options) as Promise<TResult>;
  }

  /**
   * Sends many items and receives many, in whatever order the two sides like.
   *
   * @param method the name under which the service has its handler
   * @param items what to send; no faster than the other side takes it
   * @throws MeshError as {@link SecureMeshClient.serverStream}
   */
  bidiStream<TInput = unknown, TOutput = unknown>(
    method: string,
    items: AsyncIterable<TInput> | Iterable<TInput>,
    options?: CallOptions,
  ): AsyncIterableIterator<TOutput> {
    return this.#link.bidiStream(method, items, options) as AsyncIterableIterator<TOutput>;
  }

  /**
   * Waits until calls can be made.
   *
   * @deprecated The first call does what is needed.
   */
  connect(): Promise<void> {
    return this.#link.ready();
  }

  /**
   * Sends text to the service's `sendMessage` handler.
   *
   * @deprecated Use {@link SecureMeshClient.call}.
   */
  sendMessage(data: string): Promise<string> {
    return this.call<string, string>(MESSAGE_METHOD, data);
  }

  /**
   * Gives up the client.
   *
   * @deprecated Use {@link SecureMesh.cleanup}.
   */
  disconnect(): void {
    this.#link.close().catch(() => {
      // 0.2.0 told nothing here, and the mesh is gone either way.
    });
  }
}

function standalone(
  serviceId: unknown,
  service: unknown,
  address: unknown,
  keysDir: string | undefined,
): Link {
  if (typeof service !== 'string') throw invalidArgument('targetServiceId must be a string');
  const { host, port } = parseAddress(address);
  const mesh = new SecureMesh({
    serviceId: serviceId as string,
    discovery: { services: [{ id: service, host, port }] },
    ...(keysDir === undefined ? {} : { security: { keysDir } }),
  });
  const client = mesh.connect(service);
  return {
    service,
    start: async (method, input, options) => {
      // 0.2.0 required `connect` first; making up for it costs nothing.
      await mesh.initialize();
      return client.call(method, input, options);
    },
    serverStream: async function* (method, input, options) {
      await mesh.initialize();
      yield* client.serverStream(method, input, options);
    },
    clientStream: async (method, items, options) => {
      await mesh.initialize();
      return client.clientStream(method, items, options);
    },
    bidiStream: async function* (method, items, options) {
      await mesh.initialize();
      yield* client.bidiStream(method, items, options);
    },
    ready: () => mesh.initialize(),
    close: () => mesh.cleanup(),
  };
}

function parseAddress(address: unknown): { host: string; port: number } {
  const match =
    typeof address === 'string' ? /^(?:\[([^\]]+)\]|([^:/]+)):(\d{1,5})$/.exec(address) : null;
  if (match === null) {
    throw new MeshError('INVALID_ARGUMENT', `address must be host:port, got ${String(address)}`, {
      reason: 'ARGUMENT',
    });
  }
  return { host: (match[1] ?? match[2]) as string, port: Number(match[3]) };
}
