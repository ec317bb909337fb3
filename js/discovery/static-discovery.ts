// A registry of services that the application fills.

import { connect } from 'node:net';
import { checkKeys, invalidArgument } from '../base/arguments.js';
import { MeshError, wrapNative } from '../base/errors.js';
import { native, type Addon } from '../base/native.js';
import { after, cancelTimer } from '../base/timers.js';
import { checkText, toMillis } from '../base/values.js';

type NativeDiscovery = InstanceType<Addon['NativeDiscovery']>;
type NativeInstance = NonNullable<ReturnType<NativeDiscovery['pick']>>;

/** The known health of an instance. */
export type ServiceStatus = 'healthy' | 'unhealthy' | 'unknown';

/** One instance of a service. */
export interface ServiceInfo {
  /** Service id: 1 to 128 ASCII letters, digits, `.`, `_` and `-`. Several instances may share it. */
  id: string;
  /** DNS name, IPv4 or IPv6 address. */
  host: string;
  /** TCP port, 1…65535. */
  port: number;
  /**
   * The service's RSA public key, PEM. The registry does not parse it; a mesh checks the key at its first
   * use.
   */
  publicKey?: string;
  /** Facts about the instance, for the application: strings by name. */
  metadata?: Record<string, string>;
  /** The health. Default in a registration: the known health, else `'unknown'`. */
  status?: ServiceStatus;
  /** The time of the last health check. Set by the registry. */
  lastHealthCheck?: Date;
}

/** The address of one instance of a service. */
export interface InstanceAddress {
  /** As in the registration. */
  host: string;
  /** As in the registration. */
  port: number;
}

/** A change in a registry. */
export interface DiscoveryChange {
  /** The kind of change: a new or updated instance, a removed instance, or a new health. */
  type: 'registered' | 'removed' | 'health';
  /** The instance, after the change. */
  service: ServiceInfo;
}

/** Options of a health check. */
export interface CheckHealthOptions {
  /** The timeout of an answer: milliseconds or a string such as `'2s'`. Default: 2,000. */
  timeoutMs?: number | string;
}

/** The result of a health check. */
export interface ServiceHealth {
  /** The service's id. */
  id: string;
  /** `'healthy'` if at least one instance is. */
  status: 'healthy' | 'unhealthy';
  /** All instances, with the cause for an unhealthy one. */
  instances: (ServiceInfo & {
    /** The cause, if the instance is unhealthy. */
    error?: string;
  })[];
}

/** The discovery interface of 0.2.0, which {@link StaticDiscovery} implements. */
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
 * A static registry of services and their addresses.
 *
 * A service may have several instances, which differ in host or port. `lookup` picks them in turn and skips
 * those known to be unhealthy.
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
   * @param services the initial registrations
   * @throws MeshError as {@link register}, with the path, as in `services[1].port`
   */
  constructor(services: readonly ServiceInfo[] = []) {
    if (!Array.isArray(services)) throw invalidArgument('services must be an array of services');
    this.#native = wrapNative(() => new (native().NativeDiscovery)());
    services.forEach((service, index) => this.#register(`services[${index}]`, service));
  }

  /**
   * Adds an instance, or replaces the registration at the same host and port.
   *
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: a field is missing, misspelt or wrong;
   *   the message has its path. Reason `ID_SYNTAX`: the id is outside the allowed alphabet
   */
  register(service: ServiceInfo): void {
    this.#register('service', service);
  }

  /**
   * Picks the next instance of those not known to be unhealthy; `undefined` if there is none.
   */
  lookup(serviceId: string): ServiceInfo | undefined {
    checkText('serviceId', serviceId);
    const found = this.#native.pick(serviceId);
    return found ? present(found) : undefined;
  }

  /** All instances of a service, whatever their health, in the order of registration. */
  lookupAll(serviceId: string): ServiceInfo[] {
    checkText('serviceId', serviceId);
    return this.#native.lookup(serviceId).map(present);
  }

  /**
   * Checks whether the instances of a service accept a TCP connection, and stores the result as their health.
   * A connection does not prove the identity of the service; only a call does.
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
        // The instance may have been removed during the check.
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
   * @returns a function that removes the listener
   */
  watch(listener: (change: DiscoveryChange) => void): () => void {
    if (typeof listener !== 'function') throw invalidArgument('listener must be a function');
    // Each call gets its own entry, because the same function may watch twice.
    const watcher = (change: DiscoveryChange): void => listener(change);
    this.#watchers.add(watcher);
    return () => {
      this.#watchers.delete(watcher);
    };
  }

  /**
   * As {@link register}.
   *
   * @deprecated The API of 0.2.0. Use `register`.
   */
  async registerService(service: ServiceInfo): Promise<void> {
    this.register(service);
  }

  /**
   * As {@link lookup}, but returns an unhealthy instance if there is no other.
   *
   * @deprecated The API of 0.2.0. Use `lookup` or `lookupAll`.
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

  /** Removes one instance, or all of them. Resolves to whether an instance was removed. */
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
      // The core's error names the field; the path is added here.
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

/**
 * Calls a watcher. Its error is rethrown in a microtask: it must be visible, but must not disturb the
 * registry or other watchers.
 */
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
  // The core stores IPv6 addresses without brackets.
  return service.port === port && service.host === host.replace(/^\[(.*:.*)\]$/, '$1');
}

/** Connects and disconnects. Resolves to the cause of a failure, or `undefined`. */
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
    // `on`, not `once`: a socket may fail again while it is being destroyed.
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
    throw invalidArgument(`${name} must be an object of strings`);
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
