// A registry of services, filled by hand.

import { connect } from 'node:net';
import { checkKeys, invalidArgument } from '../base/arguments.js';
import { MeshError, wrapNative } from '../base/errors.js';
import { native, type Addon } from '../base/native.js';
import { after, cancelTimer } from '../base/timers.js';
import { checkText, toMillis } from '../base/values.js';

type NativeDiscovery = InstanceType<Addon['NativeDiscovery']>;
type NativeInstance = NonNullable<ReturnType<NativeDiscovery['pick']>>;

/** Whether an instance can be used, as far as anybody has found out. */
export type ServiceStatus = 'healthy' | 'unhealthy' | 'unknown';

/** One instance of a service. */
export interface ServiceInfo {
  /** Service id: 1 to 128 ASCII letters, digits, `.`, `_` and `-`. Several instances may share it. */
  id: string;
  /** DNS name, IPv4 or IPv6 address. */
  host: string;
  /** TCP port, 1…65535. */
  port: number;
  /** The service's RSA public key, PEM. Kept as it is; a mesh checks a key when it uses it. */
  publicKey?: string;
  /** Whatever you want to know about the instance: texts by name. */
  metadata?: Record<string, string>;
  /** Its health. Default, when registering: what is known already, else `'unknown'`. */
  status?: ServiceStatus;
  /** When its health was last found out. Set by the registry. */
  lastHealthCheck?: Date;
}

/** Which instance of a service, where there are several. */
export interface InstanceAddress {
  /** As it was registered. */
  host: string;
  /** As it was registered. */
  port: number;
}

/** What has changed in a registry. */
export interface DiscoveryChange {
  /** A new instance or new facts about one; one that is gone; another health. */
  type: 'registered' | 'removed' | 'health';
  /** The instance, after the change. */
  service: ServiceInfo;
}

/** How health is checked. */
export interface CheckHealthOptions {
  /** How long to wait for an answer, in milliseconds or as `'2s'`. Default: 2,000. */
  timeoutMs?: number | string;
}

/** What a health check has found. */
export interface ServiceHealth {
  /** The service's id. */
  id: string;
  /** `'healthy'` if at least one instance is. */
  status: 'healthy' | 'unhealthy';
  /** Each instance, with why it is unhealthy. */
  instances: (ServiceInfo & {
    /** Why it is unhealthy. */
    error?: string;
  })[];
}

/** What 0.2.0 called a discovery; {@link StaticDiscovery} is one. */
export interface ServiceDiscovery {
  /** Adds or replaces an instance. */
  registerService(service: ServiceInfo): Promise<void>;
  /** One instance of the service. */
  getService(serviceId: string): Promise<ServiceInfo | undefined>;
  /** Every instance of every service. */
  listServices(): Promise<ServiceInfo[]>;
  /** Sets the health of a service. */
  updateServiceHealth(serviceId: string, status: 'healthy' | 'unhealthy'): Promise<void>;
}

const FIELDS = [
  'id',
  'host',
  'port',
  'publicKey',
  'metadata',
  'status',
  'lastHealthCheck',
] as const;
const HEALTH = { healthy: 'SERVING', unhealthy: 'NOT_SERVING', unknown: 'UNKNOWN' } as const;

/**
 * Knows where services are because it was told.
 *
 * An id may have several instances, told apart by host and port; `lookup`
 * takes them in turn and leaves out those known to be unhealthy.
 *
 * @example
 * ```js
 * const discovery = new StaticDiscovery();
 * discovery.register({ id: 'orders', host: 'localhost', port: 50051 });
 * const service = discovery.lookup('orders');
 * ```
 */
export class StaticDiscovery implements ServiceDiscovery {
  readonly #native: NativeDiscovery;
  readonly #watchers = new Set<(change: DiscoveryChange) => void>();

  /**
   * @param services registered at once
   * @throws MeshError as {@link register}, with the path, as in `services[1].port`
   */
  constructor(services: readonly ServiceInfo[] = []) {
    if (!Array.isArray(services)) throw invalidArgument('services must be an array of services');
    this.#native = wrapNative(() => new (native().NativeDiscovery)());
    services.forEach((service, index) => this.#register(`services[${index}]`, service));
  }

  /**
   * Adds an instance, or replaces what is known about the one at this host and
   * port.
   *
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: a field is missing, misspelt or wrong;
   *   the message has its path. Reason `ID_SYNTAX`: the id is outside the allowed alphabet
   */
  register(service: ServiceInfo): void {
    this.#register('service', service);
  }

  /**
   * The instance whose turn it is among those not known to be unhealthy;
   * `undefined` if there is none, or no such service.
   */
  lookup(serviceId: string): ServiceInfo | undefined {
    checkText('serviceId', serviceId);
    const found = this.#native.pick(serviceId);
    return found ? present(found) : undefined;
  }

  /** All instances of a service, whatever their health, in the order they were registered. */
  lookupAll(serviceId: string): ServiceInfo[] {
    checkText('serviceId', serviceId);
    return this.#native.lookup(serviceId).map(present);
  }

  /**
   * Finds out whether the instances of a service can be connected to (TCP), and
   * keeps the outcome as their health. That something listens does not prove
   * that it is the service: a call does.
   *
   * @throws MeshError (as a rejection) `NOT_FOUND`, reason `UNKNOWN_SERVICE`: no such service
   */
  async checkHealth(serviceId: string, options: CheckHealthOptions = {}): Promise<ServiceHealth> {
    checkKeys('options', options, ['timeoutMs']);
    const timeoutMs = toMillis('timeoutMs', options.timeoutMs ?? 2_000);
    const instances = this.lookupAll(serviceId);
    if (instances.length === 0) throw unknownService(serviceId);
    const checked = await Promise.all(
      instances.map(async (instance) => {
        const error = await probe(instance, timeoutMs);
        const status = error === undefined ? 'healthy' : 'unhealthy';
        // It may have been removed while we were waiting for it.
        if (this.#find(instance) !== undefined) this.#setHealth(serviceId, status, instance);
        const current: ServiceHealth['instances'][number] = this.#find(instance) ?? {
          ...instance,
          status,
        };
        if (error !== undefined) current.error = error;
        return current;
      }),
    );
    const healthy = checked.some((instance) => instance.error === undefined);
    return { id: serviceId, status: healthy ? 'healthy' : 'unhealthy', instances: checked };
  }

  /**
   * Calls `listener` after each change, in the call that made it.
   *
   * @returns a function that ends it
   */
  watch(listener: (change: DiscoveryChange) => void): () => void {
    if (typeof listener !== 'function') throw invalidArgument('listener must be a function');
    // A set of its own for each call: the same function may watch twice.
    const watcher = (change: DiscoveryChange): void => listener(change);
    this.#watchers.add(watcher);
    return () => {
      this.#watchers.delete(watcher);
    };
  }

  /**
   * As {@link register}.
   *
   * @deprecated The shape of 0.2.0. Use `register`.
   */
  async registerService(service: ServiceInfo): Promise<void> {
    this.register(service);
  }

  /**
   * As {@link lookup}, and an unhealthy instance where there is no other.
   *
   * @deprecated The shape of 0.2.0. Use `lookup` or `lookupAll`.
   */
  async getService(serviceId: string): Promise<ServiceInfo | undefined> {
    return this.lookup(serviceId) ?? this.lookupAll(serviceId)[0];
  }

  /** Every instance of every service, ordered by id. */
  async listServices(): Promise<ServiceInfo[]> {
    return this.#native.list().map(present);
  }

  /** Every instance that is not known to be unhealthy, ordered by id. */
  async getHealthyServices(): Promise<ServiceInfo[]> {
    return (await this.listServices()).filter((service) => service.status !== 'unhealthy');
  }

  /**
   * Sets the health of one instance, or of all of them.
   *
   * @throws MeshError (as a rejection) `NOT_FOUND`, reason `UNKNOWN_SERVICE`: no such service or instance
   */
  async updateServiceHealth(
    serviceId: string,
    status: ServiceStatus,
    instance?: InstanceAddress,
  ): Promise<void> {
    checkText('serviceId', serviceId);
    this.#setHealth(serviceId, status, instance);
  }

  /** Removes one instance, or all of them. Resolves to whether there was any. */
  async removeService(serviceId: string, instance?: InstanceAddress): Promise<boolean> {
    checkText('serviceId', serviceId);
    const removed = wrapNative(() =>
      this.#native.remove(serviceId, instance?.host, instance?.port),
    );
    this.#announce('removed', removed);
    return removed.length > 0;
  }

  #register(path: string, service: ServiceInfo): void {
    checkKeys(path, service, FIELDS);
    const { id, host, port, publicKey, metadata = {}, status } = service;
    checkText(`${path}.id`, id);
    checkText(`${path}.host`, host);
    if (!Number.isInteger(port) || port < 1 || port > 65535) {
      throw invalidArgument(`${path}.port must be 1…65535, got ${JSON.stringify(port)}`);
    }
    if (publicKey !== undefined) checkText(`${path}.publicKey`, publicKey);
    checkMetadata(`${path}.metadata`, metadata);
    if (status !== undefined) checkStatus(`${path}.status`, status);
    let changed: NativeInstance | null;
    try {
      const instance = { id, host, port, metadata: { ...metadata } };
      changed = wrapNative(() =>
        this.#native.register(publicKey === undefined ? instance : { ...instance, publicKey }),
      );
    } catch (error) {
      // The core names the field; the path is known here.
      const { code, message, reason } = error as MeshError;
      throw new MeshError(code, `${path}.${message}`, { reason });
    }
    if (changed !== null) this.#announce('registered', [changed]);
    if (status !== undefined && status !== this.#find(service)?.status) {
      this.#setHealth(id, status, service);
    }
  }

  #setHealth(id: string, status: ServiceStatus, instance?: InstanceAddress): void {
    checkStatus('status', status);
    const changed = wrapNative(() =>
      this.#native.setHealth(id, instance?.host, instance?.port, HEALTH[status], Date.now()),
    );
    this.#announce('health', changed);
  }

  #find(instance: InstanceAddress & { id: string }): ServiceInfo | undefined {
    return this.lookupAll(instance.id).find((one) => isAt(one, instance));
  }

  #announce(type: DiscoveryChange['type'], changed: NativeInstance[]): void {
    for (const service of changed.map(present)) {
      for (const watcher of [...this.#watchers]) notify(watcher, { type, service });
    }
  }
}

/** Calls a watcher. Its error must be seen, and must not keep the registry or other watchers from their work. */
function notify(watcher: (change: DiscoveryChange) => void, change: DiscoveryChange): void {
  try {
    watcher(change);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

function isAt(service: InstanceAddress, { host, port }: InstanceAddress): boolean {
  // The core keeps IPv6 addresses without their brackets.
  return service.port === port && service.host === host.replace(/^\[(.*:.*)\]$/, '$1');
}

/** Connects and hangs up. Resolves to why that failed, or `undefined`. */
function probe({ host, port }: InstanceAddress, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const timer = after(timeoutMs, () => done(`no answer within ${timeoutMs} ms`));
    const done = (error?: string): void => {
      cancelTimer(timer);
      socket.destroy();
      resolve(error);
    };
    socket.once('connect', () => done());
    // `on`: a socket may fail once more while it is being destroyed.
    socket.on('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
  });
}

function present(instance: NativeInstance): ServiceInfo {
  const { id, host, port, publicKey, metadata, health, checkedAt } = instance;
  const service: ServiceInfo = { id, host, port, metadata, status: statusOf(health) };
  if (typeof publicKey === 'string') service.publicKey = publicKey;
  if (typeof checkedAt === 'number') service.lastHealthCheck = new Date(checkedAt);
  return service;
}

function statusOf(health: string | null | undefined): ServiceStatus {
  if (health === HEALTH.healthy) return 'healthy';
  return health === HEALTH.unhealthy ? 'unhealthy' : 'unknown';
}

function unknownService(id: string): MeshError {
  return new MeshError(
    'NOT_FOUND',
    `there is no service ${JSON.stringify(id)} in the registry; register it first`,
    { reason: 'UNKNOWN_SERVICE' },
  );
}

function checkMetadata(name: string, metadata: Record<string, string>): void {
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) {
    throw invalidArgument(`${name} must be an object of texts`);
  }
  for (const [key, value] of Object.entries(metadata)) checkText(`${name}.${key}`, value);
}

function checkStatus(name: string, status: unknown): asserts status is ServiceStatus {
  if (typeof status !== 'string' || !Object.hasOwn(HEALTH, status)) {
    throw invalidArgument(
      `${name} must be 'healthy', 'unhealthy' or 'unknown', got ${JSON.stringify(status)}`,
    );
  }
}
