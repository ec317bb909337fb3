// The server's side of the transport: the message handlers of an application, as handlers of a mesh.

import { Server, type CustomTransportStrategy, type MessageHandler } from '@nestjs/microservices';
import { isObservable, lastValueFrom, type Observable } from 'rxjs';
import { MeshError, type Context, type HandlerOptions, type SecureMesh } from '../index.js';
import { items } from './items.js';

/**
 * Serves the message handlers of a NestJS application over a mesh. The pattern is the method; `@Ctx()` is the
 * {@link Context} with the verified identity of the caller. A caller of a unary call gets the last value of an
 * observable, and a caller of a stream every value, no faster than it reads. The further argument of `@MessagePattern`
 * has the options of `mesh.handle`.
 *
 * Handlers of `@EventPattern` are methods too, which answer nothing: `emit` resolves once all of them are done.
 *
 * Errors pass {@link MeshRpcFilter}: without it NestJS replaces every error that is no `RpcException`.
 *
 * @example
 * ```ts
 * const mesh = new SecureMesh({ serviceId: 'stock', port: 50052 });
 * const app = await NestFactory.createMicroservice(StockModule, { strategy: new MeshStrategy(mesh) });
 * app.useGlobalFilters(new MeshRpcFilter());
 * await app.listen();
 * await serve(mesh);
 * await app.close();
 * ```
 */
export class MeshStrategy extends Server implements CustomTransportStrategy {
  override readonly transportId: symbol = Symbol.for('@lemur-bookstores/secure-stack-mesh');
  readonly #mesh: SecureMesh;

  /**
   * Creates the strategy.
   *
   * @param mesh the mesh, which need not be initialized
   */
  constructor(mesh: SecureMesh) {
    super();
    this.#mesh = mesh;
  }

  /** Adds the handlers and initializes the mesh; what that throws reaches the callback, and so `app.listen()`. */
  listen(callback: (error?: unknown) => void): void {
    try {
      for (const [pattern, handler] of this.messageHandlers) this.#add(pattern, handler);
    } catch (error) {
      callback(error);
      return;
    }
    this.#mesh.initialize().then(() => callback(), callback);
  }

  /** Finishes the running requests and closes the mesh. */
  async close(): Promise<void> {
    await this.#mesh.drain();
    await this.#mesh.cleanup();
  }

  /** Adds a listener for the events of the mesh: `mesh.on`. */
  on(event: string, listener: Function): void {
    this.#mesh.on(event as 'session', listener as () => void);
  }

  /** The mesh. */
  unwrap<T>(): T {
    return this.#mesh as T;
  }

  #add(pattern: string, handler: MessageHandler): void {
    if (pattern.startsWith('{')) {
      throw new MeshError(
        'INVALID_ARGUMENT',
        `a pattern must be the name of a method, as in @MessagePattern('orders.get'), got ${pattern}`,
        { reason: 'ARGUMENT' },
      );
    }
    const options = { ...handler.extras } as HandlerOptions<undefined, undefined>;
    const run = handler.isEventHandler === true ? event(handler) : message(handler);
    this.#mesh.handle(pattern, options, run);
  }
}

/** Answers with what the handler returns. */
function message(handler: MessageHandler) {
  return async (input: unknown, context: Context): Promise<unknown> => {
    const result = await (handler(input, context) as Promise<unknown>);
    if (!isObservable(result)) return result;
    const { kind } = context;
    return kind === 'serverStream' || kind === 'bidiStream'
      ? items(result, context.signal)
      : last(result);
  };
}

/** Answers nothing, once every handler of the event is done. */
function event(handler: MessageHandler) {
  return async (input: unknown, context: Context): Promise<void> => {
    const result = await (handler(input, context) as Promise<unknown>);
    if (isObservable(result)) await last(result);
  };
}

const last = (values: Observable<unknown>): Promise<unknown> =>
  lastValueFrom(values, { defaultValue: undefined });
