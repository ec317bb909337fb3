// A mesh of several services in one process: real handshakes, real records, no
// sockets, no files.

import { randomUUID } from 'node:crypto';
import { checkKeys, invalidArgument, show } from '../base/arguments.js';
import { asyncDispose } from '../base/async-dispose.js';
import type {
  Contract,
  ContractClient,
  Handler,
  Implementation,
  ImplementOptions,
  MeshConfig,
  SecureMeshClient,
  SecurityConfig,
} from '../index.js';
import { SecureMesh } from '../index.js';
import { isContract } from '../rpc/contract.js';
import { FaultPlan, type Faults } from './faults.js';

/** A service under test: what sets its mesh up, or its handlers by their methods. */
export type TestService =
  ((mesh: SecureMesh) => unknown) | Readonly<Record<string, Handler<any, any>>>;

/** What a test may say of its meshes; where they are and which keys they have is the kit's business. */
export type TestConfig = Pick<
  MeshConfig,
  'authorization' | 'limits' | 'logger' | 'resilience' | 'monitoring'
> & {
  /** As for any mesh, but for the keys, which have 2,048 bits. */
  security?: Omit<SecurityConfig, 'rsaKeySize' | 'keysDir'> | undefined;
};

/** What {@link createTestMesh} makes. */
export interface TestMeshOptions<TId extends string = string> {
  /** The services, by their ids. Each can call every other one. */
  services: Readonly<Record<TId, TestService>>;
  /** What all meshes are configured with, or what each is, by its id. */
  config?: TestConfig | ((serviceId: string) => TestConfig) | undefined;
}

/** How a test calls a service. */
export interface TestConnectOptions {
  /** The id of the caller: one of the services, or a service that only calls. Default: `'test'`. */
  as?: string | undefined;
}

/** Services that call each other within this process. */
export interface TestMesh<TId extends string = string> {
  /** What goes wrong on purpose. */
  readonly faults: Faults;
  /**
   * The mesh of a service; for an id that is none of the services, one that only calls, made at the
   * first use.
   */
  mesh(serviceId: TId | (string & {})): SecureMesh;
  /**
   * A client of a contract.
   *
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
   */
  connect<T extends Contract>(
    contract: T,
    options?: TestConnectOptions & { service?: TId | undefined },
  ): ContractClient<T>;
  /** A client of a service. Throws as above. */
  connect(service: TId, options?: TestConnectOptions): SecureMeshClient;
  /** Stops all meshes, as {@link SecureMesh.cleanup}. The process ends without it, too. */
  cleanup(): Promise<void>;
  /** The same, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Services that call each other within this process, as they would over a
 * network: the handshake, the encryption, tokens, deadlines and limits are the
 * real ones. Only the sockets are replaced by memory, and the keys are thrown
 * away with the process. Several of them do not see each other.
 *
 * @example
 * ```js
 * await using kit = await createTestMesh({
 *   services: {
 *     stock: { 'stock.count': () => 3 },
 *     orders: (mesh) => mesh.implement(orders, handlers),
 *   },
 * });
 * const client = kit.connect(orders, { as: 'gateway' });
 * ```
 * @throws MeshError what a service's setup threw, or its configuration deserves
 */
export async function createTestMesh<const TId extends string>(
  options: TestMeshOptions<TId>,
): Promise<TestMesh<TId>> {
  if (typeof options !== 'object' || options === null) {
    throw invalidArgument(`options must be an object, got ${show(options)}`);
  }
  checkKeys('options', options, ['services', 'config']);
  if (typeof options.services !== 'object' || options.services === null) {
    throw invalidArgument(`options.services must be an object, got ${show(options.services)}`);
  }
  const kit = new Kit<TId>(options);
  try {
    await kit.start(options.services);
  } catch (error) {
    await kit.cleanup();
    throw error;
  }
  return kit;
}

/**
 * A service for {@link createTestMesh} that answers a contract.
 *
 * @example
 * ```js
 * createTestMesh({ services: { orders: implementation(orders, handlers) } });
 * ```
 */
export function implementation<T extends Contract>(
  contract: T,
  handlers: Implementation<T>,
  options?: ImplementOptions<T>,
): TestService {
  return (mesh) => mesh.implement(contract, handlers, options);
}

class Kit<TId extends string> implements TestMesh<TId> {
  readonly faults = new FaultPlan();
  readonly #config: TestMeshOptions['config'];
  /** Nobody can guess it, so nobody else is on this network. */
  readonly #network = randomUUID();
  readonly #ports: ReadonlyMap<string, number>;
  readonly #meshes = new Map<string, SecureMesh>();
  #closed = false;

  constructor(options: TestMeshOptions<TId>) {
    this.#config = options.config;
    this.#ports = new Map(Object.keys(options.services).map((id, index) => [id, index + 1]));
  }

  async start(services: Readonly<Record<string, TestService>>): Promise<void> {
    await Promise.all(
      Object.entries(services).map(async ([id, service]) => {
        const mesh = this.#make(id);
        if (typeof service === 'function') {
          await service(mesh);
        } else if (typeof service === 'object' && service !== null) {
          for (const [method, handler] of Object.entries(service)) mesh.handle(method, handler);
        } else {
          throw invalidArgument(
            `options.services.${id} must be a function of the mesh or an object of handlers, got ${show(service)}`,
          );
        }
        await mesh.initialize();
      }),
    );
  }

  mesh(serviceId: string): SecureMesh {
    const known = this.#meshes.get(serviceId);
    if (known !== undefined) return known;
    const mesh = this.#make(serviceId);
    // Calls wait for it, and are told if it fails.
    mesh.initialize().catch(() => {});
    return mesh;
  }

  connect(
    target: Contract | string,
    options: TestConnectOptions & { service?: string | undefined } = {},
  ): any {
    checkKeys('options', options, isContract(target) ? ['as', 'service'] : ['as']);
    const mesh = this.mesh(options.as ?? 'test');
    if (!isContract(target)) return mesh.connect(target);
    const { service } = options;
    return mesh.connect(target, service === undefined ? {} : { service });
  }

  async cleanup(): Promise<void> {
    this.#closed = true;
    this.faults.clear();
    await Promise.all([...this.#meshes.values()].map((mesh) => mesh.cleanup()));
  }

  [asyncDispose](): Promise<void> {
    return this.cleanup();
  }

  #make(serviceId: string): SecureMesh {
    const { security, ...config } =
      (typeof this.#config === 'function' ? this.#config(serviceId) : this.#config) ?? {};
    const services = [...this.#ports].map(([id, port]) => ({ id, host: '127.0.0.1', port }));
    const port = this.#ports.get(serviceId);
    const mesh = new SecureMesh(
      {
        ...config,
        serviceId,
        ...(port === undefined ? {} : { port }),
        security: { ...security, rsaKeySize: 2048 },
        discovery: { services },
      },
      this.#network,
    );
    mesh.use(this.faults.middleware(serviceId, () => SecureMesh.sever(mesh)));
    this.#meshes.set(serviceId, mesh);
    // After the end there is nothing to call, and its error says so.
    if (this.#closed) void mesh.cleanup();
    return mesh;
  }
}
