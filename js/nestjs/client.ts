// The client's side of the transport: a service of the mesh as a client of NestJS.

import { ClientProxy, type ReadPacket, type WritePacket } from '@nestjs/microservices';
import { Observable } from 'rxjs';
import { MeshError, type CallOptions, type SecureMesh, type SecureMeshClient } from '../index.js';

/** The options of a {@link MeshClient}. */
export interface MeshClientOptions {
  /** The mesh of this process. It belongs to the application, which closes it. */
  mesh: SecureMesh;
  /** The id of the service that is called. */
  service: string;
  /** The options of each call; those of a {@link MeshRecord} come first. */
  call?: CallOptions | undefined;
}

/**
 * An input with the options of its call.
 *
 * @example
 * ```ts
 * this.stock.send('stock.left', new MeshRecord(sku, { timeoutMs: 500, idempotent: true }));
 * ```
 */
export class MeshRecord<T = unknown> {
  /** The input. */
  readonly data: T;
  /** The options of the call. */
  readonly options: CallOptions;

  /**
   * Joins an input and the options of its call.
   *
   * @param data the input
   * @param options the options of the call
   */
  constructor(data: T, options: CallOptions = {}) {
    this.data = data;
    this.options = options;
  }
}

/**
 * Calls a service of the mesh. The pattern is the method. `send` makes a unary call; `stream` gets every item of a
 * server stream. To unsubscribe cancels the call on the other side. `emit` resolves once the handlers of the event are
 * done. Errors are the {@link MeshError}s of the call.
 *
 * @example
 * ```ts
 * ClientsModule.register([{ name: 'STOCK', customClass: MeshClient, options: { mesh, service: 'stock' } }]);
 * ```
 */
export class MeshClient extends ClientProxy {
  readonly #mesh: SecureMesh;
  readonly #client: SecureMeshClient;
  readonly #usual: CallOptions;

  /** @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, without a mesh or a service */
  constructor(options: MeshClientOptions) {
    super();
    const { mesh, service, call = {} } = options ?? {};
    if (typeof mesh?.connect !== 'function' || typeof service !== 'string') {
      throw new MeshError(
        'INVALID_ARGUMENT',
        'a MeshClient needs options: { mesh, service }, a SecureMesh and the id of a service',
        { reason: 'ARGUMENT' },
      );
    }
    this.#mesh = mesh;
    this.#client = mesh.connect(service);
    this.#usual = call;
  }

  /** Initializes the mesh, if that has not been done. */
  connect(): Promise<void> {
    return this.#mesh.initialize();
  }

  /** Does nothing: the mesh belongs to the application. */
  close(): void {
    // Sessions end when they are idle.
  }

  /** Adds a listener for the events of the mesh: `mesh.on`. */
  override on(event: string, listener: Function): void {
    this.#mesh.on(event as 'session', listener as () => void);
  }

  /** The client of the service: `mesh.connect(service)`. */
  unwrap<T>(): T {
    return this.#client as T;
  }

  /** The items of a server stream. */
  stream<TItem = unknown>(pattern: unknown, data?: unknown): Observable<TItem> {
    return new Observable<TItem>((observer) => {
      const abort = new AbortController();
      const read = async (): Promise<void> => {
        await this.connect();
        const { method, input, options } = this.#call({ pattern, data });
        const stream = this.#client.serverStream<unknown, TItem>(method, input, {
          ...options,
          signal: either(options.signal, abort.signal),
        });
        for await (const item of stream) {
          if (abort.signal.aborted) return;
          observer.next(item);
        }
        observer.complete();
      };
      read().catch((error: unknown) => observer.error(error));
      return () => abort.abort();
    });
  }

  /** Makes a unary call; called by NestJS. */
  protected publish(packet: ReadPacket, callback: (packet: WritePacket) => void): () => void {
    const abort = new AbortController();
    const { method, input, options } = this.#call(packet);
    const signal = either(options.signal, abort.signal);
    this.#client.call(method, input, { ...options, signal }).then(
      // `undefined` would be no value at all.
      (response: unknown) => callback({ response: response ?? null, isDisposed: true }),
      (err: unknown) => callback({ err }),
    );
    return () => abort.abort();
  }

  /** Calls the handlers of an event; called by NestJS. */
  protected async dispatchEvent<T = unknown>(packet: ReadPacket): Promise<T> {
    const { method, input, options } = this.#call(packet);
    return this.#client.call(method, input, options);
  }

  #call({ pattern, data }: ReadPacket): { method: string; input: unknown; options: CallOptions } {
    const method = this.normalizePattern(pattern);
    return data instanceof MeshRecord
      ? { method, input: data.data, options: { ...this.#usual, ...data.options } }
      : { method, input: data, options: this.#usual };
  }
}

function either(given: AbortSignal | undefined, own: AbortSignal): AbortSignal {
  return given === undefined ? own : AbortSignal.any([given, own]);
}
