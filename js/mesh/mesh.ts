// The mesh: this process as a service that calls and is called.

import { asyncDispose } from '../base/async-dispose.js';
import { wrapNative } from '../base/errors.js';
import { BuiltIn } from '../incoming/built-in.js';
import type { Implementation, ImplementOptions } from '../incoming/contract-routes.js';
import { contractRoutes } from '../incoming/contract-routes.js';
import { mountRoutes, type RouterLike, type RouterTree } from '../incoming/mount.js';
import { makeRoute, type Route } from '../incoming/route.js';
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
import type { ScopeOptions } from '../rpc/outer-scope.js';
import type { SchemaInput, SchemaOutput, StandardSchema } from '../rpc/schema.js';
import { Engine } from './engine.js';
import type { MeshEventMap, MeshListener } from './events.js';
import { explain } from './explain.js';
import type { ReadinessCheck } from './readiness.js';
import { type Revocation, type RotateMeshSecretOptions } from './rotation.js';
import type {
  AuthorizationExplanation,
  AuthorizationRequest,
  MeshAddress,
  MeshConfig,
  MeshHealth,
  MeshStats,
  SecureMeshConfig,
} from './types.js';
import { waitForServices } from './wait-for-services.js';

/**
 * A service of the mesh. It answers the methods for which it has handlers, and calls other services. Every
 * call is encrypted, and both sides have proved their identities.
 *
 * The mesh keeps the process alive while a call is pending, and while it listens and has a handler. Otherwise
 * the process exits by itself, even without `cleanup`.
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
   * Checks the configuration. The constructor opens, reads and creates nothing.
   *
   * @throws MeshError `INVALID_ARGUMENT`, reason `CONFIG` (or `ID_SYNTAX`, `WEAK_SECRET`, `BAD_KEY`),
   *   naming the option by its path; `FAILED_PRECONDITION`, reason `ADDON`, when this platform has no
   *   binary
   */
  constructor(config: MeshConfig);
  /**
   * @throws MeshError as above
   * @deprecated The API of 0.2.0. Use a {@link MeshConfig}.
   */
  constructor(config: SecureMeshConfig);
  /**
   * Creates a mesh on a network in memory with the given name, for the test kit. The environment variables
   * apply only to meshes on the system's network.
   *
   * @internal
   */
  constructor(config: MeshConfig, network?: string);
  constructor(given: MeshConfig | SecureMeshConfig, network?: string) {
    // The core checks the sizes.
    this.#engine = new Engine(given as MeshConfig, network);
  }

  /**
   * Loads or generates this service's keys and starts to listen. The generation of a 4096-bit key takes about
   * a second, off the event loop. Repeated and concurrent calls initialize the mesh once. After a failure the
   * call can be repeated.
   *
   * @throws MeshError `FAILED_PRECONDITION`: reason `LISTEN` when the port is taken; `KEYDIR_…` when the key
   *   directory is not safe or not usable, with the file and the repair in the message; `WORKLOAD_API` when the
   *   SPIFFE Workload API gives no identity within 10 s; `CLOSED` after `cleanup`
   */
  initialize(): Promise<void> {
    return this.#engine.initialize();
  }

  /**
   * Returns a client with a typed function for each method of a contract.
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
   * Returns a client for a service. Nothing is sent before its first call. Each service has one client, which
   * is returned every time.
   *
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, if the id is not a string
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
   * @throws MeshError `ALREADY_EXISTS` if the method has a handler; `INVALID_ARGUMENT`, reason `ARGUMENT`;
   *   `FAILED_PRECONDITION`, reason `CLOSED`, once the mesh is closing
   */
  handle<TInput = any, TResult = unknown>(method: string, handler: Handler<TInput, TResult>): this;
  /**
   * Answers calls of `method` with options: the kind of call, the checks of input and output, the permitted
   * callers and so on. See {@link HandlerOptions}. Throws as above.
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
  /** The same, for a handler with explicit types. */
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
   * Answers all methods of a contract.
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
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, if a handler is missing or names no method of
   *   the contract; `ALREADY_EXISTS` if one of the methods has a handler. After an error no handler has been
   *   added.
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
   * @param router a router, or an object of routers by the first parts of their methods' names, nested to any
   *   sensible depth
   * @param policy the policy of all the procedures
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`; `ALREADY_EXISTS`. After an error no handler has
   *   been added.
   */
  mount(router: RouterLike | RouterTree, policy?: HandlerPolicy): this;
  /** The same, with a prefix for the names of the methods. */
  mount(name: string, router: RouterLike | RouterTree, policy?: HandlerPolicy): this;
  mount(first: string | RouterLike | RouterTree, second?: unknown, third?: HandlerPolicy): this {
    if (first instanceof BuiltIn) this.#engine.mount(first);
    else if (typeof first === 'string') this.#add(mountRoutes(first, second as RouterLike, third));
    else this.#add(mountRoutes('', first, second as HandlerPolicy | undefined));
    return this;
  }

  /**
   * Puts a middleware around every handler, existing and future ones, inside the existing middleware.
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
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, if it is not a function
   */
  use(middleware: Middleware): this {
    this.#engine.router.use(middleware);
    return this;
  }

  /**
   * Puts a middleware around every call that this mesh makes, inside the existing middleware. The middleware
   * can change the input and the options before `next()`, and the result after it.
   *
   * @example
   * ```js
   * mesh.useClient((call, next) => {
   *   call.options.metadata.tenant = 't1';
   *   return next();
   * });
   * ```
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, if it is not a function
   */
  useClient(middleware: ClientMiddleware): this {
    this.#engine.outgoing.use(middleware);
    return this;
  }

  /**
   * Waits until discovery knows an instance of each of these services. Starts the mesh if it has
   * not started. A service with
   * an address in `discovery.services` is known from the start.
   *
   * @param ids the services
   * @param options.timeoutMs the longest wait, in ms. Default: 30,000.
   * @param options.signal ends the wait
   * @throws MeshError `UNAVAILABLE`, reason `NO_INSTANCE`, when the time is up; `NOT_FOUND`, reason
   * `UNKNOWN_SERVICE`, for a service that no provider can report; `CANCELLED` by the signal; and
   * the errors of {@link SecureMesh.initialize}
   */
  async waitForServices(
    ids: readonly string[],
    options: { timeoutMs?: number; signal?: AbortSignal } = {},
  ): Promise<void> {
    await waitForServices(this.#engine, ids, options);
  }

  /**
   * Runs a function whose calls inherit a signal, a time limit, metadata, a trace and a request id,
   * as the calls of a handler inherit those of its request. It serves code outside of a handler,
   * such as a route of an HTTP server. Inside of a handler, or of another scope, its calls inherit
   * from both. It applies to the calls of every mesh and client of this process.
   *
   * Calls that are still running at the end of the function inherit to their own end. Later
   * calls inherit nothing. `{ detached: true }` exempts a call.
   *
   * @example
   * ```js
   * app.get('/orders/:id', (request, response) =>
   *   mesh.scope({ timeoutMs: 2_000, requestId: request.get('x-request-id') }, async () => {
   *     response.json(await orders.call('orders.get', { id: request.params.id }));
   *   }),
   * );
   * ```
   * @returns the result of the function
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, naming the option; and the errors of
   * the function. A call throws `DEADLINE_EXCEEDED`, reason `DEADLINE`, when the time is over.
   */
  scope<T>(options: ScopeOptions, run: () => T | Promise<T>): Promise<T> {
    return this.#engine.outgoing.scope(options, run);
  }

  /**
   * The address on which this service listens; `null` before the mesh is initialized, and if it does not
   * listen.
   */
  address(): MeshAddress | null {
    return wrapNative(() => this.#engine.native.address());
  }

  /** The address of the admin port (`admin`); `null` before the mesh is initialized, and without one. */
  adminAddress(): MeshAddress | null {
    return wrapNative(() => this.#engine.native.adminAddress());
  }

  /**
   * The figures of this mesh in the OpenMetrics text format, for Prometheus: calls and requests by method and
   * code, sessions, handshakes, limits and so on. It needs no admin port. Calls are counted with `admin`,
   * with `monitoring.enabled`, or if `observe` permits a caller. Send it as `application/openmetrics-text;
   * version=1.0.0; charset=utf-8`.
   *
   * @throws MeshError `FAILED_PRECONDITION`, reason `NOT_INITIALIZED`, before the mesh is initialized
   */
  metricsText(): string {
    return wrapNative(() => this.#engine.native.metricsText());
  }

  /**
   * Adds a dependency of this process. The admin port answers `/readyz` with 503 and the name while the check
   * returns `false`, throws, or takes longer than 5 s. The mesh runs the check every 3 s, which does not keep
   * the process alive.
   *
   * @example
   * ```js
   * mesh.readiness('database', () => pool.query('select 1'));
   * ```
   * @param name the name that `/readyz` shows, at most 200 characters
   * @param check the check; at most 64 in all
   * @returns a function that removes the check
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
   */
  readiness(name: string, check: ReadinessCheck): () => void {
    return this.#engine.readiness.add(name, check);
  }

  /**
   * Adds a listener for events of this mesh: `session`, `breaker`, `identity`, `refused`, `stall`. Events that
   * peers can cause at will are limited, then counted. Listeners do not keep the process alive.
   *
   * @example
   * ```js
   * mesh.on('breaker', ({ service, target, state }) => alert(service, target, state));
   * ```
   * @returns a function that removes the listener
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
   */
  on<K extends keyof MeshEventMap>(event: K, listener: MeshListener<K>): () => void {
    return this.#engine.events.on(event, listener);
  }

  /**
   * This service's public key as PEM (SPKI), for the option `publicKey` of other services.
   *
   * @throws MeshError `FAILED_PRECONDITION`, reason `NOT_INITIALIZED`, before the mesh is initialized */
  publicKey(): string {
    return wrapNative(() => this.#engine.native.publicKey());
  }

  /**
   * Replaces this service's RSA key. The new key is generated off the event loop, which takes about a second,
   * and stored in the key directory before its first use. New sessions present it with a statement in which
   * the previous key names it as the successor. Peers that remember the previous key then remember the new
   * one. Existing sessions end with the calls they carry, and no call is lost.
   *
   * A peer that **pins** the previous key (`publicKey`) rejects the new one until it pins that. A peer that
   * misses two rotations, or has no session between them, must accept the key manually; its error describes
   * how. If several processes of a service share a key directory, rotate one and then each of the others,
   * which take over the new key.
   *
   * @returns the new key's SHA-256 JWK thumbprint (RFC 7638), also in {@link MeshStats.keyThumbprint}
   * @throws MeshError `FAILED_PRECONDITION`, reason `NOT_INITIALIZED`, before it is initialized; reason
   *   `KEYDIR_…` if the key cannot be stored: the mesh then keeps the previous key
   */
  rotateKeys(): Promise<string> {
    return this.#engine.rotation.rotate();
  }

  /**
   * Replaces the mesh secret (`security.jwtSecret`). During the grace period calls to and from peers with the
   * previous secret still succeed, so that the services of a mesh can change it in any order without a failed
   * call. After the grace period the previous secret is rejected with the reason `SECRET_RETIRED`, and its
   * sessions end with the calls they carry.
   *
   * The new secret is not stored: change the configuration as well, for the next start.
   *
   * @param secret at least 32 bytes, and never used by this mesh before
   * @param options.graceMs milliseconds or a string such as `'15m'`, at most a year. It also ends the grace
   *   of every earlier rotation: with 0 only the new secret is accepted. Default: `'24h'`.
   * @throws MeshError `INVALID_ARGUMENT`, reason `WEAK_SECRET`, or `ARGUMENT` if the secret is or was in use
   *   here; `FAILED_PRECONDITION`, reason `ARGUMENT` without `security.jwtSecret`, `NOT_INITIALIZED` before
   *   it is initialized
   */
  rotateSecret(secret: string, options?: RotateMeshSecretOptions): Promise<void> {
    return this.#engine.rotation.rotateSecret(secret, options);
  }

  /**
   * Reads `security.certificate` again, at once: certificate, key, anchors and revocation lists. Changed
   * files are also used without this call. They must pass the checks of `initialize()`. New sessions prove
   * the new certificate at once; existing ones end with the calls that they carry, and no call is lost.
   * Sessions whose peers the new anchors or lists refuse end at once.
   *
   * @returns the thumbprint of the mesh key that the new delegation names, also in
   *   {@link MeshStats.keyThumbprint}
   * @throws MeshError `INVALID_ARGUMENT`, reason `CERT_…` or `KEYDIR_…`, naming the option: the
   * previous certificate stays in use; `FAILED_PRECONDITION`, reason `ARGUMENT` without
   * `security.certificate`, `NOT_INITIALIZED` before it is initialized
   */
  reloadIdentity(): Promise<string> {
    return this.#engine.rotation.reload();
  }

  /**
   * Refuses a SPIFFE id, a certificate or a mesh key from now on, and ends its sessions at once. This lasts
   * until the mesh closes: put the certificate into the list of the authority (`crl`) as well.
   *
   * @returns the number of sessions that ended
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT` or `CERT_MATERIAL`, naming the fault;
   * `FAILED_PRECONDITION`, reason `ARGUMENT` without `security.certificate`, `NOT_INITIALIZED` before
   * it is initialized
   */
  revoke(revocation: Revocation): Promise<number> {
    return this.#engine.rotation.revoke(revocation);
  }

  /**
   * Explains the decision of `authorization` about a request: the rule, and the reason. It
   * considers the policy in force and not the handler's `allow`, and records nothing.
   *
   * @example
   * ```js
   * mesh.explain({ from: 'gateway', method: 'orders.delete' });
   * // { allowed: false, rule: null, why: "no rule matches orders.delete of gateway; the default is 'deny'" }
   * ```
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT` or `ID_SYNTAX`; `FAILED_PRECONDITION`,
   *   reason `NOT_INITIALIZED`, before it is initialized
   */
  explain(request: AuthorizationRequest): AuthorizationExplanation {
    return explain(this.#engine.native, request);
  }

  /** Current statistics. */
  getStats(): MeshStats {
    return this.#engine.stats();
  }

  /** The health of this mesh: whether it can make and answer calls. Never rejects. */
  healthCheck(): Promise<MeshHealth> {
    return this.#engine.health();
  }

  /**
   * Stops gracefully: accepts no new calls and waits for the running ones. When the time is over, the
   * remaining calls are ended as by {@link SecureMesh.cleanup}.
   *
   * @param options.timeoutMs the longest wait, in ms. Default: 10,000.
   */
  drain(options: { timeoutMs?: number } = {}): Promise<void> {
    return this.#engine.drain(options);
  }

  /**
   * Stops immediately. Pending calls are rejected with `CANCELLED`, reason `CLOSED`, and the signals of
   * running requests are aborted. Repeated and concurrent calls have no further effect.
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
   * The engine behind a mesh, for the other parts of this package.
   *
   * @internal
   */
  static engine(mesh: SecureMesh): Engine {
    return mesh.#engine;
  }

  #add(routes: Route[]): this {
    this.#engine.add(routes);
    return this;
  }
}
