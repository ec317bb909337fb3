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

/** A service under test: a function that sets up its mesh, or its handlers by method. */
export type TestService =
  ((mesh: SecureMesh) => unknown) | Readonly<Record<string, Handler<any, any>>>;

/** The configuration of test meshes. The kit sets their addresses and keys. */
export type TestConfig = Pick<
  MeshConfig,
  'authorization' | 'limits' | 'logger' | 'observe' | 'resilience' | 'monitoring' | 'tracing'
> & {
  /** As for any mesh, except for the keys, which have 2,048 bits. */
  security?: Omit<SecurityConfig, 'rsaKeySize' | 'keysDir'> | undefined;
};

/** The options of {@link createTestMesh}. */
export interface TestMeshOptions<TId extends string = string> {
  /** The services by their ids. Each service can call every other one. */
  services: Readonly<Record<TId, TestService>>;
  /** The configuration of all meshes, or a function of a service's id. */
  config?: TestConfig | ((serviceId: string) => TestConfig) | undefined;
}

/** Options of a test's client. */
export interface TestConnectOptions {
  /** The id of the caller: one of the services, or a service that only calls. Default: `'test'`. */
  as?: string | undefined;
}

/** Services that call each other within this process. */
export interface TestMesh<TId extends string = string> {
  /** The faults to inject. */
  readonly faults: Faults;
  /**
   * Returns the mesh of a service. For an unknown id it creates a mesh that only makes calls.
   */
  mesh(serviceId: TId | (string & {})): SecureMesh;
  /**
   * Returns a client of a contract.
   *
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
   */
  connect<T extends Contract>(
    contract: T,
    options?: TestConnectOptions & { service?: TId | undefined },
  ): ContractClient<T>;
  /** Returns a client of a service. Throws as above. */
  connect(service: TId, options?: TestConnectOptions): SecureMeshClient;
  /** Stops all meshes, as {@link SecureMesh.cleanup}. The process can end without this call. */
  cleanup(): Promise<void>;
  /** The same as `cleanup`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Creates services that call each other within this process. Handshakes, encryption, tokens, deadlines and
 * limits are the real ones; only memory replaces the sockets, and the keys end with the process. Several test
 * meshes are isolated from each other.
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
 * @throws MeshError the error of a service's setup or configuration
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
 * Returns a service for {@link createTestMesh} that answers a contract.
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
  /** The random name keeps other meshes off this network. */
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
    // Calls await the initialization, and receive its error.
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
    mesh.use(this.faults.middleware(serviceId, () => SecureMesh.engine(mesh).native.sever()));
    this.#meshes.set(serviceId, mesh);
    // After `cleanup` a new mesh is closed at once, so that its calls fail with a clear error.
    if (this.#closed) void mesh.cleanup();
    return mesh;
  }
}
