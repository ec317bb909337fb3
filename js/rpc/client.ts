// The client of one service.

import type { CallOptions, Items } from './call-types.js';

/** The way in which a client sends its calls. */
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
  /** Closes the client. */
  close(): Promise<void>;
}

/** Creates the link of a client with its own mesh. */
type StandaloneLink = (
  serviceId: unknown,
  service: unknown,
  address: unknown,
  keysDir: string | undefined,
) => Link;

// The entry point sets this; every copy of the package is loaded through it.
let standalone: StandaloneLink | undefined;

/**
 * Provides the constructor of {@link SecureMeshClient} with a mesh. The mesh imports the client, so the
 * client cannot import the mesh.
 */
export function provideStandalone(make: StandaloneLink): void {
  standalone = make;
}

/** The method behind `sendMessage` of 0.2.0. */
export const MESSAGE_METHOD = 'sendMessage';

/**
 * Calls one service. {@link SecureMesh.connect} creates a client, which costs nothing; the first call
 * establishes the session.
 */
export class SecureMeshClient {
  readonly #link: Link;

  /**
   * Creates a client with its own mesh, as in 0.2.0.
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
   * Makes an encrypted, authenticated call and resolves with the handler's result. The input is any JSON
   * value, or a `Uint8Array` to send bytes. It is encoded before this method returns, so later changes to it
   * have no effect.
   *
   * @param method the name under which the service has its handler
   * @throws MeshError the handler's `MeshError`, with `remote` true; or `DEADLINE_EXCEEDED` when the time ran
   *   out, `CANCELLED` when the signal was aborted, `UNAVAILABLE` when the service cannot be reached,
   *   `UNAUTHENTICATED` when one side could not prove its identity, `UNIMPLEMENTED` (`METHOD_NOT_FOUND`),
   *   `NOT_FOUND` (`UNKNOWN_SERVICE`), `INVALID_ARGUMENT` (`PAYLOAD`) for an input that cannot be sent,
   *   `RESOURCE_EXHAUSTED` (`TOO_LARGE`, `CALL_LIMIT`), `FAILED_PRECONDITION` (`NOT_INITIALIZED`, `CLOSED`)
   */
  call<TInput = unknown, TResult = unknown>(
    method: string,
    input?: TInput,
    options?: CallOptions,
  ): Promise<TResult> {
    return this.#link.start(method, input, options) as Promise<TResult>;
  }

  /**
   * Calls a method that answers with many items. Leaving the loop cancels the call on the other side.
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
   * @param items the items to send; they are read no faster than the other side accepts them
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
   * Sends and receives many items; the two directions are independent.
   *
   * @param method the name under which the service has its handler
   * @param items the items to send; they are read no faster than the other side accepts them
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
   * @deprecated The first call connects.
   */
  connect(): Promise<void> {
    return this.#link.ready();
  }

  /**
   * Sends a string to the service's `sendMessage` handler.
   *
   * @deprecated Use {@link SecureMeshClient.call}.
   */
  sendMessage(data: string): Promise<string> {
    return this.call<string, string>(MESSAGE_METHOD, data);
  }

  /**
   * Closes the client.
   *
   * @deprecated Use {@link SecureMesh.cleanup}.
   */
  disconnect(): void {
    this.#link.close().catch(() => {
      // 0.2.0 reported no error here, and the mesh is closed in either case.
    });
  }
}
