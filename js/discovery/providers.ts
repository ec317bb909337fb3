// The providers of a mesh. They are asked about each called service. The core gets their reports.

import { checkKeys, configured, invalidArgument, show } from '../base/arguments.js';
import { MeshError, wrapNative } from '../base/errors.js';
import { checkJson } from '../base/json-check.js';
import type { SafeLogger } from '../base/logger.js';
import { onAbort } from '../base/signals.js';
import { after, cancelTimer, nowMs } from '../base/timers.js';
import type { Duration } from '../base/values.js';
import { builtIn } from './built-in.js';
import type {
  AdvertisedAddress,
  DiscoveredService,
  DiscoveryProvider,
  Instance,
  ProviderOption,
} from './provider.js';
import { fromStatic } from './static-provider.js';
import { StaticDiscovery } from './static-discovery.js';

/** The core's own limit on the instances of a service. */
const MAX_INSTANCES = 1000;
/** The shortest and the longest delay before a failed provider is asked again. */
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 30_000;
const MAX_PROVIDERS = 8;

/** The discovery options that JavaScript reads. Those of a built-in source are beside them. */
export interface ProviderOptions {
  /** The source of instances, beside `services`. */
  provider?: ProviderOption | string | undefined;
  /** Several of them: the first one that knows an instance of a service counts. */
  providers?: readonly (ProviderOption | { provider: string })[] | undefined;
  /** For how long a list is used whose source is away; the core applies it. */
  maxStaleMs?: Duration | undefined;
  /**
   * The address by which others reach this service. Default: the address on which it listens,
   * unless that is all interfaces.
   */
  advertise?: AdvertisedAddress | undefined;
}

/** One service that is watched. */
interface Watched {
  /** The last list of each provider; `undefined` before its first. */
  readonly lists: (readonly Instance[] | undefined)[];
  /** Whether each provider is away. */
  readonly away: boolean[];
  /** Since when the provider of the list that is in use is away. */
  staleSince: number | undefined;
  instances: number;
  reportedAt: number | undefined;
  error: string | undefined;
  readonly waiting: Set<() => void>;
}

/** Takes the instances of a service. */
type Report = (serviceId: string, instances: string) => void;

/** The mesh around the providers. */
export interface ProviderContext {
  logger: SafeLogger;
  /** The `SECURE_MESH_…` variables as JSON, for passwords. */
  environment: string;
  /** The zone of this service, for its registration. */
  zone: string | undefined;
  /** Hands a list to the core, which checks it. */
  report: Report;
  /** Tells the core whether the source of a service's list is away. */
  away: (serviceId: string, away: boolean) => void;
}

/** Watches services through the providers of a mesh. */
export class Providers {
  readonly #providers: readonly DiscoveryProvider[];
  readonly #advertise: AdvertisedAddress | undefined;
  readonly #context: ProviderContext;
  readonly #services = new Map<string, Watched>();
  readonly #stop = new AbortController();
  #registered: (() => Promise<void>)[] = [];

  /** @throws MeshError `INVALID_ARGUMENT`, reason `CONFIG` */
  constructor(options: ProviderOptions, context: ProviderContext) {
    this.#context = context;
    this.#providers = configured(() => providersOf(options, context));
    this.#advertise = configured(() => checkAdvertise(options.advertise));
  }

  /** Whether there is any provider. */
  static configured(options: ProviderOptions | undefined): boolean {
    return options?.provider !== undefined || options?.providers !== undefined;
  }

  /** Begins to watch a service, once. */
  watch(serviceId: string): void {
    this.#watched(serviceId);
  }

  /** The state of each service that is watched. */
  known(): Record<string, DiscoveredService> {
    const now = nowMs();
    const services: Record<string, DiscoveredService> = Object.create(null);
    for (const [id, { instances, reportedAt, staleSince, error }] of this.#services) {
      const ageMs = reportedAt === undefined ? null : Math.round(now - reportedAt);
      const staleMs = staleSince === undefined ? null : Math.round(now - staleSince);
      services[id] = { instances, ageMs, staleMs, ...(error === undefined ? {} : { error }) };
    }
    return services;
  }

  /** Resolves once a service has an instance; rejects with the signal. */
  found(serviceId: string, signal: AbortSignal): Promise<void> {
    const watched = this.#watched(serviceId);
    return new Promise((resolve, reject) => {
      if (watched.instances > 0) return resolve();
      const stop = onAbort(signal, () => {
        watched.waiting.delete(done);
        reject(signal.reason as Error);
      });
      const done = (): void => {
        stop();
        resolve();
      };
      watched.waiting.add(done);
    });
  }

  /**
   * Registers this service with the providers that support registration.
   *
   * @throws MeshError `INVALID_ARGUMENT`, reason `CONFIG`, without an address that others can use
   */
  async register(serviceId: string, listening: { host: string; port: number }): Promise<void> {
    const able = this.#providers.filter((provider) => provider.register !== undefined);
    if (able.length === 0) return;
    const { host = listening.host, port = listening.port } = this.#advertise ?? {};
    if (isUnspecified(host)) {
      throw new MeshError(
        'INVALID_ARGUMENT',
        'discovery.advertise must be { host, port }: the mesh listens on all interfaces, so it does not know which address others can use',
        { reason: 'CONFIG' },
      );
    }
    for (const provider of able) {
      const deregister: unknown = await provider.register?.(serviceId, {
        host,
        port,
        ...(this.#context.zone === undefined ? {} : { zone: this.#context.zone }),
      });
      if (typeof deregister === 'function') {
        this.#registered.push(deregister as () => Promise<void>);
      }
    }
  }

  /** Deregisters this service from the providers. Waits for each no longer than `timeoutMs`. */
  async deregister(timeoutMs: number): Promise<void> {
    const registered = this.#registered;
    this.#registered = [];
    await Promise.all(
      registered.map(async (deregister) => {
        try {
          await within(timeoutMs, deregister());
        } catch (error) {
          this.#complain('discovery.deregister', 'this service was not deregistered', error);
        }
      }),
    );
  }

  /** Stops all watches. */
  stop(): void {
    this.#stop.abort();
  }

  #watched(serviceId: string): Watched {
    const known = this.#services.get(serviceId);
    if (known !== undefined) return known;
    const watched: Watched = {
      lists: this.#providers.map(() => undefined),
      away: this.#providers.map(() => false),
      staleSince: undefined,
      instances: 0,
      reportedAt: undefined,
      error: undefined,
      waiting: new Set(),
    };
    this.#services.set(serviceId, watched);
    this.#providers.forEach((_, index) => {
      void this.#run(serviceId, watched, index);
    });
    return watched;
  }

  /** Runs one provider for one service, and again after a failure. */
  async #run(serviceId: string, watched: Watched, index: number): Promise<void> {
    const provider = this.#providers[index] as DiscoveryProvider;
    const { signal } = this.#stop;
    let delay = FIRST_RETRY_MS;
    while (!signal.aborted) {
      try {
        const update = (instances: readonly Instance[]): void => {
          if (signal.aborted) return;
          delay = FIRST_RETRY_MS;
          this.#update(serviceId, watched, index, instances);
          this.#setAway(serviceId, watched, index, false);
        };
        const away = (is: boolean): void => {
          if (!signal.aborted) this.#setAway(serviceId, watched, index, is === true);
        };
        await provider.watch(serviceId, update, signal, away);
        return;
      } catch (error) {
        if (signal.aborted) return;
        watched.error = MeshError.from(error).message;
        this.#setAway(serviceId, watched, index, true);
        const text = `the provider of discovery failed for ${serviceId}; it is asked again in ${delay} ms`;
        this.#complain('discovery.failed', text, error, serviceId);
        await sleep(delay, signal);
        delay = Math.min(2 * delay, LONGEST_RETRY_MS);
      }
    }
  }

  /** Takes note that a provider went away or answers again. */
  #setAway(serviceId: string, watched: Watched, index: number, away: boolean): void {
    watched.away[index] = away;
    const used = watched.lists.findIndex((list) => list !== undefined && list.length > 0);
    // Without a list, calls wait for the first one.
    const stale = used >= 0 && watched.away[used] === true;
    if (stale === (watched.staleSince !== undefined)) return;
    watched.staleSince = stale ? nowMs() : undefined;
    this.#context.away(serviceId, stale);
  }

  /** Takes a report. An invalid report changes nothing. */
  #update(serviceId: string, watched: Watched, index: number, given: readonly Instance[]): void {
    const former = watched.lists[index];
    try {
      watched.lists[index] = copyOf(given);
      const first = watched.lists.find((list) => list !== undefined && list.length > 0);
      // It is unknown whether there is an instance until each provider has answered.
      const list = first ?? (watched.lists.includes(undefined) ? undefined : []);
      if (list === undefined) return;
      wrapNative(() => this.#context.report(serviceId, JSON.stringify(list)));
      watched.instances = list.length;
      watched.reportedAt = nowMs();
      watched.error = undefined;
    } catch (error) {
      watched.lists[index] = former;
      watched.error = MeshError.from(error).message;
      const text = `a list of instances of ${serviceId} cannot be used, and the previous one stays: ${watched.error}`;
      this.#complain('discovery.refused', text, error, serviceId);
      return;
    }
    if (watched.instances === 0) return;
    for (const done of watched.waiting) done();
    watched.waiting.clear();
  }

  #complain(event: string, text: string, error: unknown, service?: string): void {
    this.#context.logger.warn(text, { event, service, error: MeshError.from(error) });
  }
}

function providersOf(options: ProviderOptions, context: ProviderContext): DiscoveryProvider[] {
  const { provider, providers } = options;
  if (provider !== undefined && providers !== undefined) {
    throw invalidArgument('discovery.provider and discovery.providers exclude each other');
  }
  if (typeof provider === 'string') {
    return [fromOptions('discovery', builtInOptions(options), context)];
  }
  if (provider !== undefined) return [checkProvider('discovery.provider', provider)];
  if (!Array.isArray(providers) || providers.length < 1 || providers.length > MAX_PROVIDERS) {
    throw invalidArgument(
      `discovery.providers must be an array of 1…${MAX_PROVIDERS} providers, got ${show(providers)}`,
    );
  }
  return providers.map((one: unknown, index) => {
    const path = `discovery.providers[${index}]`;
    const named = typeof (one as { provider?: unknown } | null)?.provider === 'string';
    return named ? fromOptions(path, one as object, context) : checkProvider(path, one);
  });
}

/** The options of the source of the package that `discovery.provider` names; none if it names none. */
export function builtInOptions(discovery: object): object {
  const { services, advertise, maxStaleMs, ...options } = discovery as Record<string, unknown>;
  return options;
}

function fromOptions(path: string, options: object, context: ProviderContext): DiscoveryProvider {
  return builtIn(path, options, context.environment, context.logger);
}

function checkProvider(path: string, provider: unknown): DiscoveryProvider {
  if (provider instanceof StaticDiscovery) return fromStatic(provider);
  const { watch, register } = (provider ?? {}) as Record<string, unknown>;
  if (typeof watch !== 'function') {
    throw invalidArgument(
      `${path} must be 'file', 'dns', 'etcd', 'consul' or 'kubernetes', an object with a function watch(serviceId, update, signal), or a StaticDiscovery, got ${show(provider)}`,
    );
  }
  if (register !== undefined && typeof register !== 'function') {
    throw invalidArgument(`${path}.register must be a function, got ${show(register)}`);
  }
  return provider as DiscoveryProvider;
}

function checkAdvertise(advertise: AdvertisedAddress | undefined): AdvertisedAddress | undefined {
  if (advertise === undefined) return undefined;
  checkKeys('discovery.advertise', advertise, ['host', 'port']);
  const { host, port } = advertise as { host: unknown; port: unknown };
  if (typeof host !== 'string' || host === '' || isUnspecified(host)) {
    throw invalidArgument(
      `discovery.advertise.host must be a host name or an IP address that others can reach, got ${show(host)}`,
    );
  }
  if (
    port !== undefined &&
    !(Number.isInteger(port) && (port as number) >= 1 && (port as number) <= 65535)
  ) {
    throw invalidArgument(`discovery.advertise.port must be 1…65535, got ${show(port)}`);
  }
  return advertise;
}

/** A bounded copy of a report in plain objects. Later changes to the original have no effect. */
function copyOf(given: readonly Instance[]): Instance[] {
  if (!Array.isArray(given)) {
    throw invalidArgument(`instances must be an array, got ${show(given)}`);
  }
  if (given.length > MAX_INSTANCES) {
    throw invalidArgument(`instances must be at most ${MAX_INSTANCES}, got ${given.length}`);
  }
  return given.map((instance, index) => {
    if (typeof instance !== 'object' || instance === null) {
      throw invalidArgument(`instances[${index}] must be an object, got ${show(instance)}`);
    }
    const { host, port, zone, weight, metadata } = instance as Instance;
    const copy = { host, port, zone, weight, metadata };
    checkJson(copy, `instances[${index}]`);
    return copy;
  });
}

function isUnspecified(host: string): boolean {
  return host === '0.0.0.0' || /^\[?[0:]*:[0:]*\]?$/.test(host);
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = after(ms, () => {
      stop();
      resolve();
    });
    // Nobody outside of the process waits for it.
    timer.unref();
    const stop = onAbort(signal, () => {
      cancelTimer(timer);
      resolve();
    });
  });
}

function within(ms: number, work: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = after(ms, () => reject(new Error(`no answer within ${ms} ms`)));
    Promise.resolve(work)
      .then(() => resolve(), reject)
      .finally(() => cancelTimer(timer));
  });
}
