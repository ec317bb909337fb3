// The assembled parts of a mesh, and their life cycle from start to close.

import { AbortCause } from '../base/boundary.js';
import { MeshError, wrapNative, wrapNativeAsync } from '../base/errors.js';
import { SafeLogger } from '../base/logger.js';
import { native, type Addon } from '../base/native.js';
import { Providers } from '../discovery/providers.js';
import { BatchReader } from '../frames/batches.js';
import { readEvents, type EventSink } from '../frames/reader.js';
import { CommandWriter } from '../frames/writer.js';
import type { BuiltIn } from '../incoming/built-in.js';
import { describeRoute } from '../incoming/describe.js';
import { idempotencyLimits } from '../incoming/idempotency-limits.js';
import { Idempotency } from '../incoming/idempotency.js';
import { Peers } from '../incoming/peers.js';
import { checkNotReserved, type Route } from '../incoming/route.js';
import { Router } from '../incoming/router.js';
import type { Signer } from '../monitoring/audit-chain.js';
import { Monitoring } from '../monitoring/monitoring.js';
import { Calls } from '../outgoing/calls.js';
import { Outgoing, type Gate } from '../outgoing/outgoing.js';
import { checkTimeout } from '../rpc/call-options.js';
import type { Caller } from '../rpc/caller.js';
import type { SecureMeshClient } from '../rpc/client.js';
import type { Context } from '../rpc/context.js';
import type { ConnectOptions, ContractClient } from '../rpc/contract-client.js';
import type { Contract } from '../rpc/contract.js';
import { enableScope } from '../rpc/scope.js';
import { Tracing } from '../tracing/tracing.js';
import { encodeConfig, encodeEnvironment } from './config.js';
import { Enrolment, type Ask } from './enrolment.js';
import { MeshEvents } from './events.js';
import { permittedTo } from './explain.js';
import { KeepAlive } from './keep-alive.js';
import { eventSink, meshStats, type MeshParts } from './mesh-parts.js';
import { LIMITS } from './options.js';
import { LoopDelay } from './loop-delay.js';
import { Readiness } from './readiness.js';
import { Rotation } from './rotation.js';
import type { MemoryStats, MeshConfig, MeshHealth, MeshStats } from './types.js';

/** The memory of a mesh that has not started. */
const NO_MEMORY: MemoryStats = { limitBytes: 0, usedBytes: 0, peakBytes: 0, refused: 0 };
/** The longest wait of a drain. */
export const DEFAULT_DRAIN_MS = 10_000;
/** The share of the memory budget above which little is left. */
const SCARCE = 0.9;

type NativeMesh = InstanceType<Addon['NativeMesh']>;

/** The longest wait of `cleanup` for the deregistration of this service. */
const DEREGISTER_MS = 1_000;

/**
 * The mesh behind the public class `SecureMesh`. The engine owns the parts, the state of the mesh, and the
 * decision whether the process stays alive.
 */
export class Engine {
  /** The core. */
  readonly native: NativeMesh;
  readonly #logger: SafeLogger;
  readonly #writer: CommandWriter;
  readonly #calls: Calls;
  /** Sends calls. */
  readonly outgoing: Outgoing;
  /** Answers requests. */
  readonly router: Router;
  readonly #peers = new Peers();
  readonly #monitoring: Monitoring | undefined;
  readonly #providers: Providers | undefined;
  /** Delivers the events of the mesh to the application. */
  readonly events: MeshEvents;
  /** Checks the dependencies of this process. */
  readonly readiness: Readiness;
  readonly #loopDelay: LoopDelay;
  /** Replaces keys and secrets. */
  readonly rotation: Rotation;
  readonly #parts: MeshParts;
  readonly #sink: EventSink;
  readonly #serviceId: string;
  readonly #services: number;
  /** The services whose addresses are in the configuration. */
  readonly #fixed: ReadonlySet<string>;
  readonly #builtIns = new Set<BuiltIn>();
  readonly #enrolment: Enrolment | undefined;
  /** Makes a mesh of this service before it has a certificate. */
  readonly #joiner: () => Engine;
  readonly #keepAlive = new KeepAlive();
  readonly #batches = new BatchReader(
    (target) => this.native.take(target),
    (batch) => readEvents(batch, this.#sink),
  );
  #state: 'new' | 'starting' | 'ready' | 'draining' | 'closing' | 'closed' = 'new';
  readonly #inMemory: boolean;
  #listening = false;
  #starting: Promise<void> | undefined;
  #draining: Promise<void> | undefined;
  #cleaning: Promise<void> | undefined;
  #ended!: () => void;
  /** Resolves once the mesh is closed. */
  readonly closed = new Promise<void>((resolve) => (this.#ended = resolve));

  /**
   * Checks the configuration and assembles the parts.
   *
   * @param network the name of a network in memory; environment variables apply only to meshes on the
   *   system's network
   * @param joining whether this mesh only asks the authority for the first certificate of its service
   * @throws MeshError `INVALID_ARGUMENT`, naming the option by its path
   */
  constructor(config: MeshConfig, network?: string, joining = false) {
    this.#logger = new SafeLogger(config?.logger);
    const json = encodeConfig(config);
    const environment = encodeEnvironment(network === undefined ? process.env : {});
    const { NativeMesh } = native();
    this.#monitoring = Monitoring.from(config, this.#logger);
    const metrics = this.#monitoring?.native;
    this.native = wrapNative(
      () => new NativeMesh(json, environment, this.#batches.wake, network, metrics, joining),
    );
    this.#providers = Providers.configured(config.discovery)
      ? new Providers(config.discovery ?? {}, {
          logger: this.#logger,
          environment,
          zone: config.balancing?.zone,
          report: (service, instances) => this.native.setInstances(service, instances),
          away: (service, away) => this.native.setAway(service, away),
        })
      : undefined;
    this.#inMemory = network !== undefined;
    this.#serviceId = config.serviceId;
    // Those of the option or of its variable, as the core has read them.
    const { services } = this.native;
    this.#services = new Set(services.map(({ id }) => id)).size;
    this.#fixed = new Set(services.filter((one) => one.host !== undefined).map(({ id }) => id));
    const spansInCore = this.native.exportsSpans;
    const tracing = Tracing.from(config.tracing, spansInCore, {
      serviceId: config.serviceId,
      services,
      address: () => this.native.address(),
    });
    const callTimeoutMs = config.limits?.callTimeoutMs ?? LIMITS.callTimeoutMs;
    const maxMessageBytes = config.limits?.maxMessageBytes ?? LIMITS.maxMessageBytes;
    this.events = new MeshEvents(this.#logger);
    this.readiness = new Readiness(this.native);
    this.#loopDelay = new LoopDelay(this.native);
    this.rotation = new Rotation(this.native, config, this.#logger);
    this.#writer = new CommandWriter((batch) => this.#submit(batch));
    this.#calls = new Calls(this.#writer, () => this.#updateKeepAlive(), maxMessageBytes);
    const gate: Gate = {
      enter: (service, method, nested) => this.#enter(service, method, nested),
      ready: () => this.initialize(),
    };
    this.outgoing = new Outgoing(this.#calls, gate, callTimeoutMs, tracing, spansInCore);
    const enrolment = joining ? null : wrapNative(() => this.native.enrolment());
    const directory = config.security?.certificate?.authority?.directory;
    this.#enrolment =
      enrolment === null
        ? undefined
        : new Enrolment(enrolment, this.#ask, { logger: this.#logger, directory });
    this.#joiner = () => {
      const { serviceId, security, discovery, paths, limits, logger } = config;
      const asked = { serviceId, security, discovery, paths, limits, logger } as MeshConfig;
      return new Engine(asked, network, true);
    };
    const host = {
      connect: (
        context: Context,
        target: string | Contract,
        options?: ConnectOptions,
      ): SecureMeshClient | ContractClient<Contract> =>
        this.outgoing.connect(target, options, context),
      callTimeoutMs,
      maxMessageBytes,
      serviceId: this.#serviceId,
      spansInCore,
    };
    const kept = new Idempotency(idempotencyLimits(config.resilience?.idempotency), this.#logger);
    this.router = new Router(this.#writer, this.#peers, host, this.#logger, kept, tracing);
    const described = {
      service: this.#serviceId,
      limits: { maxMessageBytes, callTimeoutMs },
      routes: () => this.router.routes(),
      permitted: (caller: Caller) => permittedTo(this.native, caller),
    };
    this.router.addBuiltIn(describeRoute(described));
    this.#parts = {
      calls: this.#calls,
      router: this.router,
      peers: this.#peers,
      monitoring: this.#monitoring,
      logger: this.#logger,
      providers: this.#providers,
      events: this.events,
    };
    this.#sink = eventSink(this.#parts, () => this.#state === 'closed', this.#batches.more);
    if (this.#services > 0 || this.#providers !== undefined) enableScope();
  }

  /** Starts the mesh once. After a failure the call can be repeated. */
  initialize(): Promise<void> {
    if (this.#isClosing()) return Promise.reject(closedError());
    return (this.#starting ??= this.#start());
  }

  /** Adds all of the routes, or none of them. */
  add(routes: Route[]): void {
    // A handler that no request can reach is a mistake, which would otherwise stay unnoticed.
    if (this.#isClosing()) {
      throw new MeshError(
        'FAILED_PRECONDITION',
        'the mesh is closed and answers no more requests; make a new one, or add handlers before drain() and cleanup()',
        { reason: 'CLOSED' },
      );
    }
    checkNotReserved(routes);
    this.router.add(routes);
    this.#updateKeepAlive();
  }

  /** Whether the mesh has started, and nothing has closed it. */
  get isReady(): boolean {
    return this.#state === 'ready';
  }

  /** Serves a part of the package under its reserved names. */
  async #begin(part: BuiltIn): Promise<void> {
    await part.start({ native: this.native, logger: this.#logger });
  }

  /** Adds a part of the package, which begins its work with the mesh. */
  mount(part: BuiltIn): void {
    if (this.#isClosing()) throw closedError();
    for (const route of part.routes) this.router.addBuiltIn(route);
    this.#builtIns.add(part);
    if (this.#state === 'ready') {
      void this.#begin(part).catch((error: unknown) =>
        this.#logger.error('a part of the mesh cannot start', { event: 'mount.failed', error }),
      );
    }
    this.#updateKeepAlive();
  }

  readonly #ask: Ask = (service, method, input, options) => {
    const client = this.outgoing.connect(service, undefined, undefined) as SecureMeshClient;
    return client.call(method, input, options);
  };

  /** Makes a call with the join token alone. */
  readonly #join: Ask = async (service, method, input, options) => {
    const joiner = this.#joiner();
    try {
      await joiner.initialize();
      return await joiner.#ask(service, method, input, options);
    } finally {
      await joiner.cleanup();
    }
  };

  /** Resolves once an instance of each service is known. */
  async waitForServices(ids: readonly string[], signal: AbortSignal): Promise<void> {
    const providers = this.#providers;
    await this.initialize();
    await Promise.all(
      ids.map(async (id) => {
        if (this.#fixed.has(id)) return;
        if (providers === undefined) {
          throw new MeshError(
            'NOT_FOUND',
            `no service ${id} is known; add it to discovery.services`,
            {
              reason: 'UNKNOWN_SERVICE',
              service: id,
            },
          );
        }
        await providers.found(id, signal);
      }),
    );
  }

  /** The statistics. */
  stats(): MeshStats {
    return meshStats(this.#parts, {
      service: this.#serviceId,
      keyThumbprint: this.rotation.getThumbprint() || null,
      services: this.#services,
      memory: this.native.memory() ?? NO_MEMORY,
    });
  }

  /** The health of the mesh. Never rejects. */
  async health(): Promise<MeshHealth> {
    const state = this.#state;
    const between = state === 'starting' || state === 'draining';
    const health: MeshHealth = {
      status: state === 'ready' ? 'healthy' : between ? 'degraded' : 'unhealthy',
      services: this.#services,
      details: { state, address: null },
    };
    try {
      health.details.address = this.native.address();
      const policy = this.native.policy();
      if (policy !== null) {
        const { mode, rules, file = null, problem = null } = policy;
        health.details.authorization = {
          mode: mode === 'audit' ? 'audit' : 'enforce',
          rules,
          file,
          problem,
        };
        if (problem !== null && health.status === 'healthy') health.status = 'degraded';
      }
      if (this.#providers !== undefined) health.details['discovery'] = this.#providers.known();
      if (state === 'ready') {
        Object.assign(health.details, JSON.parse(await this.native.stats()));
        if ((health.details['servicesStale'] as string[]).length > 0) health.status = 'degraded';
        const { limitBytes, usedBytes } = this.native.memory() ?? NO_MEMORY;
        if (usedBytes > SCARCE * limitBytes) {
          health.status = 'degraded';
          health.details.degraded = `${usedBytes} of ${limitBytes} bytes are held (limits.maxMemoryBytes)`;
        }
      }
      const renewal = this.#enrolment?.problem;
      if (renewal !== undefined) health.details['renewalProblem'] = renewal;
      // These faults only degrade the mesh: known services are still served, or the certificate is still
      // valid.
      const faults = ['keyDirectoryFault', 'certificateProblem', 'renewalProblem'];
      if (faults.some((fault) => typeof health.details[fault] === 'string'))
        health.status = 'degraded';
    } catch (error) {
      // The mesh was closed during the await.
      health.status = 'unhealthy';
      health.details['error'] = MeshError.from(error).message;
    }
    return health;
  }

  /** Accepts no new calls, and waits at most `timeoutMs` for the running ones. */
  async drain(options: { timeoutMs?: number }): Promise<void> {
    const timeoutMs = checkTimeout(options.timeoutMs) || DEFAULT_DRAIN_MS;
    return (this.#draining ??= this.#close(timeoutMs));
  }

  /** Stops immediately. */
  cleanup(): Promise<void> {
    return (this.#cleaning ??= this.#close(0));
  }

  async #start(): Promise<void> {
    this.#state = 'starting';
    this.#updateKeepAlive();
    try {
      await this.#enrolment?.prepare(this.#join);
      await wrapNativeAsync(() => this.native.start());
      for (const part of this.#builtIns) await this.#begin(part);
      // A mesh in memory does not count as listening: no other process can call it.
      this.#listening = !this.#inMemory && this.native.address() !== null;
      await this.#register();
      // A close that came meanwhile has stopped the rest already.
      if (this.#state !== 'starting') return;
      this.#state = 'ready';
      this.readiness.begin();
      if (this.native.adminAddress() !== null) this.#loopDelay.begin();
      this.#monitoring?.start(this.#auditSigner());
      this.rotation.start();
      this.#enrolment?.start();
    } catch (error) {
      if (this.#state === 'starting') {
        this.#state = 'new';
        this.#starting = undefined;
      }
      throw error;
    } finally {
      this.#updateKeepAlive();
    }
  }

  /** The signer of the audit log. It outlives the mesh, whose end it signs. */
  #auditSigner(): Signer {
    return {
      serviceId: this.#serviceId,
      sign: (text) => wrapNativeAsync(() => this.native.signAudit(text)),
    };
  }

  /** Registers this service with its providers, once it listens. */
  async #register(): Promise<void> {
    const address = this.native.address();
    if (address === null || this.#providers === undefined) return;
    try {
      await this.#providers.register(this.#serviceId, address);
    } catch (error) {
      // A service that its callers cannot find must not count as started.
      await wrapNativeAsync(() => this.native.close(0));
      this.#state = 'closed';
      throw error;
    }
  }

  async #close(drainMs: number): Promise<void> {
    if (this.#state === 'closed') return;
    const starting = this.#state === 'starting' ? this.#starting : undefined;
    this.rotation.stop();
    this.readiness.stop();
    this.#enrolment?.stop();
    for (const part of this.#builtIns) part.stop();
    this.#loopDelay.stop();
    this.#state = drainMs > 0 && this.#state !== 'closing' ? 'draining' : 'closing';
    this.#updateKeepAlive();
    await starting?.catch(() => {
      // The caller of `initialize` receives the error.
    });
    // The deregistration comes first, so that no new callers come during the end.
    await this.#providers?.deregister(Math.max(drainMs, DEREGISTER_MS));
    this.#providers?.stop();
    this.#writer.flush();
    try {
      await wrapNativeAsync(() => this.native.close(drainMs));
    } finally {
      this.#state = 'closed';
      // Results that arrived before the close are still delivered.
      while (this.#batches.readNext());
      this.router.abortAll(AbortCause.Shutdown);
      this.#peers.clear();
      this.#calls.rejectAll(
        (service, method) =>
          new MeshError('CANCELLED', 'the mesh was closed during the call', {
            reason: 'CLOSED',
            service,
            method,
          }),
      );
      await this.#monitoring?.stop();
      this.#keepAlive.end();
      this.#ended();
    }
  }

  #enter(service: string, method: string, nested: boolean): Promise<void> | undefined {
    if (this.#state === 'ready') return undefined;
    if (this.#state === 'starting') return this.#starting;
    // A running request may need further calls to finish.
    if (this.#state === 'draining' && nested) return undefined;
    throw this.#isClosing()
      ? closedError({ service, method })
      : new MeshError('FAILED_PRECONDITION', 'call initialize() before making calls', {
          reason: 'NOT_INITIALIZED',
          service,
          method,
        });
  }

  #submit(batch: Buffer): void {
    try {
      this.native.submit(batch);
    } catch (error) {
      if (this.#state === 'closed') return;
      const failure = MeshError.from(error);
      // The core has ended, and `#close` is about to learn it. A handler still answers a request that is gone.
      if (this.#isClosing() && failure.reason === 'NOT_INITIALIZED') return;
      // The calls in the batch will never get an answer, and it is unknown which calls were in it, so all of
      // them fail.
      this.#logger.error('the addon refused a batch', {
        event: 'boundary.refused',
        error: failure,
      });
      this.#calls.rejectAll(() => failure);
    }
  }

  #isClosing(): boolean {
    return this.#state === 'draining' || this.#state === 'closing' || this.#state === 'closed';
  }

  #updateKeepAlive(): void {
    this.#keepAlive.set(
      this.#state === 'starting' ||
        this.#state === 'draining' ||
        this.#state === 'closing' ||
        (this.#state !== 'closed' && this.#calls.size > (this.#enrolment?.asking ?? 0)) ||
        (this.#state === 'ready' &&
          this.#listening &&
          !(this.router.empty && this.#builtIns.size === 0)),
    );
  }
}

function closedError(options: { service?: string; method?: string } = {}): MeshError {
  return new MeshError('FAILED_PRECONDITION', 'the mesh is closed', {
    reason: 'CLOSED',
    ...options,
  });
}
