// The mesh: this process as a service that calls and is called.

import { asyncDispose } from '../base/async-dispose.js';
import { wrapNative } from '../base/errors.js';
import type { Implementation, ImplementOptions } from '../incoming/contract-routes.js';
import { contractRoutes } from '../incoming/contract-routes.js';
import { mountRoutes, type RouterLike, type RouterTree } from '../incoming/mount.js';
import { makeRoute, type Route } from '../incoming/route.js';
import { checkTimeout } from '../rpc/call-options.js';
import type { CallKind, ClientMiddleware } from '../rpc/call-types.js';
import type { SecureMeshClient } from '../rpc/client.js';
import { Context } from '../rpc/context.js';
import type { ConnectOptions, ContractClient } from '../rpc/contract-client.js';
import type { Contract } from '../rpc/contract.js';
import type { ErrorMap } from '../rpc/declared-errors.js';
import type {
  Handler,
  HandlerOf,
  HandlerOptions,
  HandlerPolicy,
  Middleware,
} from '../rpc/handler-types.js';
import type { SchemaInput, SchemaOutput, StandardSchema } from '../rpc/schema.js';
import { Engine } from './engine.js';
import { waitForServices } from './wait-for-services.js';
import { type RotateMeshSecretOptions } from './rotation.js';
import type { MeshAddress, MeshConfig, MeshHealth, MeshStats, SecureMeshConfig } from './types.js';

const DEFAULT_DRAIN_MS = 10_000;

/**
 * A service of the mesh. It answers the methods it has handlers for, and calls
 * other services; every call is encrypted, and both sides have proved who
 * they are.
 *
 * The process lives on while a call is pending, and while the mesh listens
 * and has a handler; else it exits by itself, `cleanup` or not.
 *
 * @example
 * ```js
 * const mesh = new SecureMesh({ serviceId: 'orders', port: 50051 });
 * mesh.handle('orders.get', async ({ id }, ctx) => find(id, ctx.caller.serviceId));
 * await mesh.initialize();
 * ```
 */
export class SecureMesh {
  readonly #engine: Engine;

  /**
   * Checks the configuration; nothing is opened, read or made yet.
   *
   * @throws MeshError `INVALID_ARGUMENT`, reason `CONFIG` (or `ID_SYNTAX`, `WEAK_SECRET`, `BAD_KEY`),
   *   naming the option by its path; `FAILED_PRECONDITION`, reason `ADDON`, when this platform has no
   *   binary
   */
  constructor(config: MeshConfig);
  /**
   * @throws MeshError as above
   * @deprecated The shape of 0.2.0. Use a {@link MeshConfig}.
   */
  constructor(config: SecureMeshConfig);
  /**
   * On a network in memory, by its name: the test kit's. What the environment
   * says is for meshes on the system's.
   *
   * @internal
   */
  constructor(config: MeshConfig, network?: string);
  constructor(given: MeshConfig | SecureMeshConfig, network?: string) {
    // The core checks the sizes.
    this.#engine = new Engine(given as MeshConfig, network);
  }

  /**
   * Loads or makes this service's keys and starts to listen. Making a
   * 4096-bit key takes a second or so, off the event loop. Doing it again, or
   * twice at once, does it once; after a failure it can be tried again.
   *
   * @throws MeshError `FAILED_PRECONDITION`: reason `LISTEN` when the port is taken; `KEYDIR_…` when
   *   the key directory is not safe or not usable, saying which file and what to do; `CLOSED` after
   *   `cleanup`
   */
  initialize(): Promise<void> {
    return this.#engine.initialize();
  }

  /**
   * A client with a function for each method of a contract, typed by it.
   *
   * @example
   * ```js
   * const client = mesh.connect(orders);
   * const order = await client.create({ sku: 'A-1' }, { timeoutMs: 800 });
   * ```
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
   */
  connect<T extends Contract>(contract: T, options?: ConnectOptions): ContractClient<T>;
  /**
   * A client for a service. Nothing is sent before its first call; clients
   * are kept, so the same service has the same one.
   *
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, when the id is no text
   */
  connect(serviceId: string): SecureMeshClient;
  connect(
    target: string | Contract,
    options?: ConnectOptions,
  ): SecureMeshClient | ContractClient<Contract> {
    return this.#engine.outgoing.connect(target, options, undefined);
  }

  /**
   * Answers calls of `method`. Handlers can be added before and after
   * {@link SecureMesh.initialize}.
   *
   * @throws MeshError `ALREADY_EXISTS` when the method has one; `INVALID_ARGUMENT`, reason `ARGUMENT`;
   *   `FAILED_PRECONDITION`, reason `CLOSED`, once the mesh is closing
   */
  handle<TInput = any, TResult = unknown>(method: string, handler: Handler<TInput, TResult>): this;
  /**
   * Answers calls of `method`, of one kind, under conditions, checking what is
   * received and sent: see {@link HandlerOptions}. Throws as above.
   */
  handle<
    TInput extends StandardSchema | undefined = undefined,
    TOutput extends StandardSchema | undefined = undefined,
    const TErrors extends ErrorMap = {},
    TKind extends CallKind | undefined = undefined,
  >(
    method: string,
    options: HandlerOptions<TInput, TOutput, TErrors, TKind>,
    handler: HandlerOf<
      TKind,
      TInput extends StandardSchema ? SchemaOutput<TInput> : any,
      SchemaInput<TOutput>,
      TErrors
    >,
  ): this;
  /** The same, for a handler whose types are written out. */
  handle<TInput = any, TResult = unknown>(
    method: string,
    options: HandlerOptions<undefined, undefined>,
    handler: Handler<TInput, TResult>,
  ): this;
  handle(method: string, second: Handler | HandlerOptions, third?: Handler): this {
    return this.#add([
      typeof second === 'function'
        ? makeRoute(method, {}, second)
        : makeRoute(method, second, third as Handler),
    ]);
  }

  /**
   * Answers the methods of a contract, all of them.
   *
   * @example
   * ```js
   * mesh.implement(orders, {
   *   async create(input, ctx) {
   *     if (!(await inStock(input.sku))) throw ctx.errors.OUT_OF_STOCK({ sku: input.sku });
   *     return save(input);
   *   },
   * });
   * ```
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, when a handler is missing or is for no
   *   method of the contract; `ALREADY_EXISTS` when one of them has a handler. None is added then.
   */
  implement<T extends Contract>(
    contract: T,
    handlers: Implementation<T>,
    options?: ImplementOptions<T>,
  ): this {
    return this.#add(contractRoutes(contract, handlers, options));
  }

  /**
   * Answers the procedures of a router of `@lemur-bookstores/secure-stack-core`:
   * queries and mutations as unary calls, subscriptions as server streams, each
   * with the router's schemas and middleware. A handler's `ctx` is the
   * {@link Context}.
   *
   * @example
   * ```js
   * mesh.mount({ product: router().query('get', { handler: ({ input, ctx }) => find(input.id) }) });
   * await client.call('product.get', { id: 7 });
   * ```
   * @param router a router, or routers by the first parts of their methods' names, as deep as you like
   * @param policy what all of them allow
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`; `ALREADY_EXISTS`. None is added then.
   */
  mount(router: RouterLike | RouterTree, policy?: HandlerPolicy): this;
  /** The same, with a name before the names of its methods. */
  mount(name: string, router: RouterLike | RouterTree, policy?: HandlerPolicy): this;
  mount(first: string | RouterLike | RouterTree, second?: unknown, third?: HandlerPolicy): this {
    return this.#add(
      typeof first === 'string'
        ? mountRoutes(first, second as RouterLike, third)
        : mountRoutes('', first, second as HandlerPolicy | undefined),
    );
  }

  /**
   * Puts a middleware around every handler, those added before and after,
   * inside of the middleware that is there.
   *
   * @example
   * ```js
   * mesh.use(async (ctx, next) => {
   *   const start = performance.now();
   *   try {
   *     return await next();
   *   } finally {
   *     log(ctx.method, ctx.caller.serviceId, performance.now() - start);
   *   }
   * });
   * ```
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, when it is no function
   */
  use(middleware: Middleware): this {
    this.#engine.router.use(middleware);
    return this;
  }

  /**
   * Puts a middleware around every call this mesh makes, inside of the
   * middleware that is there. It can change the input and the options before
   * `next()`, and the result after.
   *
   * @example
   * ```js
   * mesh.useClient((call, next) => {
   *   call.options.metadata.tenant = 't1';
   *   return next();
   * });
   * ```
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, when it is no function
   */
  useClient(middleware: ClientMiddleware): this {
    this.#engine.outgoing.use(middleware);
    return this;
  }

  /**
   * Waits until discovery knows an instance of each of these services. Starts the mesh if that has
   * not been done. A service with an address in `discovery.services` is known from the start.
   *
   * @param ids the services
   * @param options.timeoutMs how long to wait at most, in ms. Default: 30,000.
   * @param options.signal ends the wait
   * @throws MeshError `UNAVAILABLE`, reason `NO_INSTANCE`, when the time is up; `NOT_FOUND`, reason
   *   `UNKNOWN_SERVICE`, for a service that no provider can report; `CANCELLED` by the signal; and
   *   what {@link SecureMesh.initialize} throws
   */
  async waitForServices(
    ids: readonly string[],
    options: { timeoutMs?: number; signal?: AbortSignal } = {},
  ): Promise<void> {
    await waitForServices(this.#engine, ids, options);
  }

  /** Where this service listens; `null` before it is initialized, and when it does not listen. */
  address(): MeshAddress | null {
    return wrapNative(() => this.#engine.native.address());
  }

  /**
   * This service's public key as PEM (SPKI): what others put into their `publicKey`.
   *
   * @throws MeshError `FAILED_PRECONDITION`, reason `NOT_INITIALIZED`, before it is initialized
   */
  publicKey(): string {
    return wrapNative(() => this.#engine.native.publicKey());
  }

  /**
   * Replaces this service's RSA key: a new one is made, which takes a second or so off the event
   * loop, and stored in the key directory before it is used. New sessions show it, with a statement
   * of the former key that it is its successor; peers that remember the former one then remember
   * the new one. Sessions under way end with the calls they carry, and no call is lost.
   *
   * A peer that **pins** the former key (`publicKey`) refuses the new one until it pins that. A peer
   * that misses two rotations, or shares no session in between, has to accept the key by hand; the
   * error says how. Of several processes of one service that share a key directory rotate one and
   * then each of the others: those take the new key over.
   *
   * @returns the new key's SHA-256 JWK thumbprint (RFC 7638), also in {@link MeshStats.keyThumbprint}
   * @throws MeshError `FAILED_PRECONDITION`, reason `NOT_INITIALIZED`, before it is initialized;
   *   reason `KEYDIR_…` when the key cannot be stored: the key is then the former one
   */
  rotateKeys(): Promise<string> {
    return this.#engine.rotation.rotate();
  }

  /**
   * Uses another mesh secret (`security.jwtSecret`) from now on. For the time of grace peers that
   * still have the former one are served, and called, as before: services change it one after the
   * other, in any order, without a failed call. Then the former secret is refused with the reason
   * `SECRET_RETIRED`, and sessions end with the calls they carry.
   *
   * It is not stored: give it to the configuration as well, for the next start.
   *
   * @param secret at least 32 bytes, new here
   * @param options.graceMs milliseconds or `'15m'`, a year at most. No previous secret outlives it, whatever an
   *   earlier rotation promised: with 0 only the new secret counts. Default: `'24h'`.
   * @throws MeshError `INVALID_ARGUMENT`, reason `WEAK_SECRET`, or `ARGUMENT` when it is or was in use
   *   here; `FAILED_PRECONDITION`, reason `ARGUMENT` without `security.jwtSecret`, `NOT_INITIALIZED`
   *   before it is initialized
   */
  rotateSecret(secret: string, options?: RotateMeshSecretOptions): Promise<void> {
    return this.#engine.rotation.rotateSecret(secret, options);
  }

  /** Current statistics. */
  getStats(): MeshStats {
    return this.#engine.stats();
  }

  /** Whether this service can be called and can call. Never rejects. */
  healthCheck(): Promise<MeshHealth> {
    return this.#engine.health();
  }

  /**
   * Stops in good order: takes no new calls, and waits for those under way.
   * When the time is up the rest is broken off, as by {@link SecureMesh.cleanup}.
   *
   * @param options.timeoutMs how long to wait at most, in ms. Default: 10,000.
   */
  drain(options: { timeoutMs?: number } = {}): Promise<void> {
    let timeoutMs: number;
    try {
      timeoutMs = checkTimeout(options.timeoutMs) || DEFAULT_DRAIN_MS;
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#engine.drain(timeoutMs);
  }

  /**
   * Stops at once. Calls still pending are rejected with `CANCELLED`, reason
   * `CLOSED`; the signals of requests being answered are aborted. Doing it
   * again, or while it is being done, changes nothing.
   */
  cleanup(): Promise<void> {
    return this.#engine.cleanup();
  }

  /** The same as {@link SecureMesh.cleanup}, for `await using`. */
  [asyncDispose](): Promise<void> {
    return this.cleanup();
  }

  /**
   * Forgets the client of a service.
   *
   * @deprecated Sessions are closed when they are idle, and by {@link SecureMesh.cleanup}.
   */
  async disconnect(serviceId: string): Promise<void> {
    this.#engine.outgoing.forget(serviceId);
  }

  /**
   * Breaks the connections others have made to a mesh in memory.
   *
   * @internal
   */
  static sever(mesh: SecureMesh): void {
    mesh.#engine.native.sever();
  }

  #add(routes: Route[]): this {
    this.#engine.add(routes);
    return this;
  }
}
