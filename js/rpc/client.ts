// One service, as something to call.

import type { CallOptions, Items } from './call-types.js';

/** How a client of a mesh sends its calls. */
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

/** Makes the link of a client that has a mesh of its own. */
type StandaloneLink = (
  serviceId: unknown,
  service: unknown,
  address: unknown,
  keysDir: string | undefined,
) => Link;

// Set by the entry point, which every copy of the package is loaded through.
let standalone: StandaloneLink | undefined;

/**
 * Gives the constructor of {@link SecureMeshClient} its mesh. The mesh imports
 * the client, so the client cannot import the mesh.
 */
export function provideStandalone(make: StandaloneLink): void {
  standalone = make;
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
        : (standalone as StandaloneLink)(first, targetServiceId, address, keysDir);
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
