// The monitoring of a mesh: audit entries and metrics.

import { join } from 'node:path';
import { checkKeys } from '../base/arguments.js';
import type { MeshError } from '../base/errors.js';
import type { SafeLogger } from '../base/logger.js';
import { cancelTimer, every } from '../base/timers.js';
import { TimeoutManager } from '../resilience/timeout-manager.js';
import type { Occasion, Signer } from './audit-chain.js';
import type { MonitoringAdapter } from './audit-event.js';
import { AuditLogger, checkAdapters } from './audit-logger.js';
import { FileAdapter } from './file-adapter.js';
import { makeMetrics, readMetrics, type MeshMetrics } from './metrics-collector.js';

const MINUTE_MS = 60_000;
/** The timeout of an adapter for metrics, since `cleanup()` waits for the last ones. */
const DELIVERY_MS = 30_000;

type Audited =
  'authorization' | 'circuit_breaker' | 'connection' | 'error' | 'key_rotation' | 'rate_limit';

/** The events of the core that become entries of the audit log, with their types. */
const AUDITED: Readonly<Record<string, Audited>> = {
  'key.rotated': 'key_rotation',
  'secret.rotated': 'key_rotation',
  'handshake.refused': 'connection',
  'record.discarded': 'error',
  'quota.refused': 'rate_limit',
  'request.denied': 'authorization',
  'policy.changed': 'authorization',
  'policy.broken': 'authorization',
  'circuit.changed': 'circuit_breaker',
};

/** The part of a mesh's configuration for monitoring. */
interface MonitoringConfig {
  readonly serviceId: string;
  readonly monitoring?:
    { readonly enabled: boolean; readonly adapters?: MonitoringAdapter[] | undefined } | undefined;
  readonly paths?:
    { readonly logsDir?: string | undefined; readonly metricsDir?: string | undefined } | undefined;
}

/** Records the events of a mesh, if monitoring is enabled. */
export class Monitoring {
  readonly #serviceId: string;
  readonly #adapters: readonly MonitoringAdapter[];
  readonly #audit: AuditLogger;
  /** The figures, most of which the core counts. */
  readonly native = makeMetrics();
  readonly #logger: SafeLogger;
  readonly #limit = new TimeoutManager({
    timeout: DELIVERY_MS,
    errorMessage: 'the adapter has not taken the figures in time',
  });
  #timer: NodeJS.Timeout | undefined;

  private constructor(serviceId: string, adapters: MonitoringAdapter[], logger: SafeLogger) {
    this.#serviceId = serviceId;
    this.#adapters = adapters;
    this.#logger = logger;
    const onError = (error: MeshError): void =>
      logger.warn('an audit entry was not delivered', { event: 'audit.failed', error });
    this.#audit = new AuditLogger({ adapters, onError });
  }

  /**
   * Creates the configured monitoring; `undefined` if it is disabled.
   *
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
   */
  static from(config: MonitoringConfig, logger: SafeLogger): Monitoring | undefined {
    const { monitoring, paths } = config;
    if (monitoring === undefined) return undefined;
    checkKeys('monitoring', monitoring, ['enabled', 'adapters']);
    const { enabled, adapters = [] } = monitoring;
    checkAdapters('monitoring.adapters', adapters);
    if (enabled !== true) return undefined;
    const { logsDir, metricsDir } = paths ?? {};
    const files =
      logsDir === undefined
        ? []
        : [
            new FileAdapter(
              join(logsDir, 'mesh-audit.log'),
              metricsDir === undefined ? undefined : join(metricsDir, 'mesh-metrics.log'),
              { chain: true },
            ),
          ];
    // Configured adapters replace the default file.
    return new Monitoring(config.serviceId, adapters.length > 0 ? adapters : files, logger);
  }

  /** Begins to deliver metrics, and to sign the audit log, every minute. */
  start(signer: Signer): void {
    for (const file of this.#files()) FileAdapter.sign(file, signer);
    void this.#checkpoint('checkpoint');
    this.#timer ??= every(MINUTE_MS, () => {
      void this.#deliver();
      void this.#checkpoint('checkpoint');
    }).unref();
  }

  /** Delivers all pending entries and metrics. */
  async stop(): Promise<void> {
    cancelTimer(this.#timer);
    await this.#deliver();
    try {
      await this.#audit.flush();
    } catch (error) {
      this.#logger.warn('an audit adapter could not be flushed', { event: 'audit.failed', error });
    }
    await this.#checkpoint('end');
    for (const file of this.#files()) FileAdapter.sign(file, undefined);
    try {
      await this.#audit.close();
    } catch (error) {
      this.#logger.warn('an audit adapter could not be closed', { event: 'audit.failed', error });
    }
  }

  /** Records a session with a service that has proved its identity. */
  sessionOpened(peer: string): void {
    this.native.connection(true);
    void this.#audit.logConnection(this.#serviceId, peer, true);
  }

  /** Records the end of a session. */
  sessionClosed(): void {
    this.native.connectionClosed();
  }

  /** Records an entry of the core's log, given as JSON. */
  entry(json: string): void {
    const { event, message, fields } = JSON.parse(json) as {
      event: string;
      message: string;
      fields?: Record<string, unknown>;
    };
    const eventType = AUDITED[event];
    if (eventType === undefined) return;
    if (eventType === 'key_rotation' || event === 'policy.changed') {
      void this.#audit.log({
        eventType,
        serviceId: this.#serviceId,
        details: { action: event, success: true, metadata: { ...fields } },
      });
      return;
    }
    if (eventType === 'rate_limit') {
      const caller = String(fields?.['peer'] ?? fields?.['subject']);
      void this.#audit.logRateLimit(this.#serviceId, caller, true);
      return;
    }
    if (eventType === 'circuit_breaker') {
      const { service, state } = fields as { service: string; state: string };
      void this.#audit.logCircuitBreaker(this.#serviceId, service, state);
      return;
    }
    if (eventType === 'connection') {
      // A throttled entry stands for several events.
      for (let left = Number(fields?.['count'] ?? 1); left > 0; left -= 1) {
        this.native.connection(false);
      }
    }
    // The peer is unknown: the id that it claimed is only a detail, not its identity.
    void this.#audit.log({
      eventType,
      serviceId: this.#serviceId,
      details: { action: event, success: false, error: message, metadata: { ...fields } },
    });
  }

  /** The figures. */
  metrics(): MeshMetrics {
    return readMetrics(this.native);
  }

  #files(): FileAdapter[] {
    return this.#adapters.filter((adapter) => adapter instanceof FileAdapter);
  }

  async #checkpoint(occasion: Occasion): Promise<void> {
    for (const file of this.#files()) {
      try {
        await FileAdapter.checkpoint(file, occasion);
      } catch (error) {
        this.#logger.warn('the audit log was not signed', { event: 'audit.failed', error });
      }
    }
  }

  async #deliver(): Promise<void> {
    const metrics = this.metrics();
    const deliver = async (adapter: MonitoringAdapter): Promise<void> => {
      try {
        await this.#limit.execute(() => adapter.logMetrics?.(metrics));
      } catch (error) {
        this.#logger.warn('metrics were not delivered', { event: 'metrics.failed', error });
      }
    };
    await Promise.all(this.#adapters.map(deliver));
  }
}
