// The shapes of discovery: who says where services are.

import type { StaticDiscovery } from './static-discovery.js';

/** One instance of a service, as a provider reports it. */
export interface Instance {
  /** A DNS name, an IPv4 or an IPv6 address. */
  host: string;
  /** The TCP port, 1…65535. */
  port: number;
  /** The zone of the instance: see `balancing.zone`. */
  zone?: string | undefined;
  /** Its share of the calls beside those of the other instances, 1…65,535. Default: 1. */
  weight?: number | undefined;
  /** Further facts: strings by name. */
  metadata?: Record<string, string> | undefined;
}

/**
 * A source of instances, for `discovery.provider`. Its answers are not trusted: they say where a
 * service is, and the pins and secrets of the mesh decide whether it is the service.
 *
 * @example
 * ```js
 * const provider = {
 *   watch(serviceId, update, signal) {
 *     const ask = async () => update(await lookUp(serviceId));
 *     const timer = setInterval(() => ask().catch(console.error), 5_000);
 *     signal.addEventListener('abort', () => clearInterval(timer));
 *     return ask();
 *   },
 * };
 * ```
 */
export interface DiscoveryProvider {
  /**
   * Reports the instances of a service: once now, and again after each change. Called at the first
   * call of the service. A list that cannot be used is logged, and the previous one stays.
   *
   * @param update takes all instances of the service, 1,000 at most; an empty list where there is none
   * @param signal is aborted when the mesh closes
   * @param away tells that the source went away (true) or answers again (false): while it is away,
   *   `discovery.maxStaleMs` counts. A report says that it answers, and a failure that it does not
   * @throws anything, also as a rejection: it is logged, and the service is watched again after a while
   */
  watch(
    serviceId: string,
    update: (instances: readonly Instance[]) => void,
    signal: AbortSignal,
    away?: (away: boolean) => void,
  ): void | Promise<void>;
  /**
   * Makes this service known, once it listens. Without this function it is not registered.
   *
   * @param self where it listens, or `discovery.advertise`
   * @returns its deregistration, which `drain()` and `cleanup()` await first
   */
  register?(serviceId: string, self: Instance): Promise<() => Promise<void>>;
}

/** Anything that `discovery.provider` takes. */
export type ProviderOption = DiscoveryProvider | StaticDiscovery;

/** The address by which others reach this service. */
export interface AdvertisedAddress {
  /** A DNS name or an IP address. */
  host: string;
  /** A TCP port. Default: the port that the mesh listens on. */
  port?: number | undefined;
}

/** The state of a service in discovery. */
export interface DiscoveredService {
  /** The number of its instances. */
  instances: number;
  /** The time since a provider reported them, in ms; `null` before the first report. */
  ageMs: number | null;
  /** The time since its source went away, in ms; `null` while it answers. `discovery.maxStaleMs` limits it. */
  staleMs: number | null;
  /** The fault of the last report, or of the last attempt to get one. */
  error?: string;
}
