// Delivers audit entries to adapters.

import { randomUUID } from 'node:crypto';
import { checkKeys, invalidArgument } from '../base/arguments.js';
import { MeshError } from '../base/errors.js';
import { checkCount, checkFunction, checkText, toMillis } from '../base/values.js';
import { TimeoutManager } from '../resilience/timeout-manager.js';
import { keepLine, type MeshAuditEvent, type MonitoringAdapter } from './audit-event.js';

/** Settings of an {@link AuditLogger}. */
export interface AuditLoggerConfig {
  /** The adapters; each of them receives every entry. */
  adapters: MonitoringAdapter[];
  /** Whether entries are logged. Default: true. */
  enabled?: boolean | undefined;
  /**
   * The limit of entries that wait for one adapter. Further entries are dropped and counted. Default: 10,000.
   */
  maxQueue?: number | undefined;
  /** The timeout of an adapter for one entry: milliseconds or a string such as `'10s'`. Default: 30,000. */
  adapterTimeoutMs?: number | string | undefined;
  /**
   * Called for each entry that an adapter did not accept: reason `AUDIT_DELIVERY`, with the adapter's error
   * as `cause`, or `AUDIT_LIMIT`. Default: such entries are only counted.
   */
  onError?: ((error: MeshError, event: MeshAuditEvent) => void) | undefined;
}

/** Figures about an {@link AuditLogger}. */
export interface AuditLoggerStats {
  /** Entries that wait for an adapter now. */
  queued: number;
  /** Entries that an adapter has accepted. */
  delivered: number;
  /** Entries that an adapter has rejected, or not accepted in time. */
  failed: number;
  /** Entries that were dropped because too many waited. */
  dropped: number;
}

const KEYS = ['adapters', 'enabled', 'maxQueue', 'adapterTimeoutMs', 'onError'] as const;

/**
 * Writes the audit log: connections, key rotations, rejected requests and other events that may have to be
 * accounted for.
 *
 * Each adapter receives every entry, in order, one at a time. A slow or broken adapter does not delay the
 * others. Logging never rejects because of an adapter.
 *
 * @example
 * ```js
 * const audit = new AuditLogger({ adapters: [new FileAdapter('/var/log/orders/audit.log')] });
 * await audit.logConnection('orders', 'stock', true);
 * await audit.close();
 * ```
 */
export class AuditLogger {
  readonly #lanes: Lane[];
  readonly #enabled: boolean;

  /** @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: a setting is missing, misspelt or out of range */
  constructor(config: AuditLoggerConfig) {
    checkKeys('config', config, KEYS);
    const { adapters, enabled = true, maxQueue = 10_000, onError } = config;
    checkCount('config.maxQueue', maxQueue);
    if (onError !== undefined) checkFunction('config.onError', onError);
    const timeout = new TimeoutManager({
      timeout: toMillis('config.adapterTimeoutMs', config.adapterTimeoutMs ?? 30_000),
      errorMessage: 'the adapter has not taken the entry in time',
    });
    checkAdapters('config.adapters', adapters);
    this.#enabled = Boolean(enabled);
    this.#lanes = adapters.map((adapter) => new Lane(adapter, maxQueue, timeout, onError));
  }

  /**
   * Logs an entry. Resolves when every adapter has accepted or rejected the entry; callers need not wait for
   * that.
   *
   * @throws MeshError (as a rejection) `INVALID_ARGUMENT`, reason `ARGUMENT`: it is not an audit entry
   */
  async log(event: Omit<MeshAuditEvent, 'id' | 'timestamp'>): Promise<void> {
    if (!this.#enabled) return;
    checkText('event.eventType', event?.eventType);
    const entry: MeshAuditEvent = { ...event, id: randomUUID(), timestamp: new Date() };
    // An entry that cannot be serialised is rejected here, so that its author receives the error.
    keepLine(entry);
    await Promise.all(this.#lanes.map((lane) => lane.add(entry)));
  }

  /** Logs an attempt to connect. */
  logConnection(
    serviceId: string,
    targetServiceId: string,
    success: boolean,
    error?: string,
  ): Promise<void> {
    return this.log({
      eventType: 'connection',
      serviceId,
      targetServiceId,
      details: { success, ...(error === undefined ? {} : { error }) },
    });
  }

  /** Logs exchanged messages; `duration` in milliseconds. */
  logMessage(
    serviceId: string,
    targetServiceId: string,
    messageCount: number,
    duration: number,
  ): Promise<void> {
    return this.log({
      eventType: 'message',
      serviceId,
      targetServiceId,
      details: { success: true, messageCount, duration },
    });
  }

  /** Logs a rotation of a key and its success. */
  logKeyRotation(serviceId: string, success: boolean, error?: string): Promise<void> {
    return this.log({
      eventType: 'key_rotation',
      serviceId,
      details: { success, ...(error === undefined ? {} : { error }) },
    });
  }

  /** Logs the decision of a quota about a client. */
  logRateLimit(serviceId: string, clientId: string, blocked: boolean): Promise<void> {
    return this.log({
      eventType: 'rate_limit',
      serviceId,
      details: {
        success: !blocked,
        action: blocked ? 'blocked' : 'allowed',
        metadata: { clientId },
      },
    });
  }

  /** Logs a state change of a circuit breaker. */
  logCircuitBreaker(
    serviceId: string,
    targetServiceId: string,
    state: string,
    error?: string,
  ): Promise<void> {
    return this.log({
      eventType: 'circuit_breaker',
      serviceId,
      targetServiceId,
      details: {
        success: state === 'closed',
        action: state,
        ...(error === undefined ? {} : { error }),
      },
    });
  }

  /** Resolves when every entry logged until now has been accepted or rejected, and no adapter buffers one. */
  async flush(): Promise<void> {
    await allDone(this.#lanes.map((lane) => lane.flush()));
  }

  /** {@link flush}, then closes the adapters. Entries that are logged afterwards still go to the adapters. */
  async close(): Promise<void> {
    await allDone(this.#lanes.map((lane) => lane.close()));
  }

  /** Figures of all adapters together. */
  getStats(): AuditLoggerStats {
    const stats: AuditLoggerStats = { queued: 0, delivered: 0, failed: 0, dropped: 0 };
    for (const lane of this.#lanes) {
      stats.queued += lane.queued;
      stats.delivered += lane.delivered;
      stats.failed += lane.failed;
      stats.dropped += lane.dropped;
    }
    return stats;
  }
}

/** The queue of entries for one adapter. */
class Lane {
  queued = 0;
  delivered = 0;
  failed = 0;
  dropped = 0;
  #tail: Promise<void> = Promise.resolve();
  readonly #adapter: MonitoringAdapter;
  readonly #maxQueue: number;
  readonly #timeout: TimeoutManager;
  readonly #onError: AuditLoggerConfig['onError'];

  constructor(
    adapter: MonitoringAdapter,
    maxQueue: number,
    timeout: TimeoutManager,
    onError: AuditLoggerConfig['onError'],
  ) {
    this.#adapter = adapter;
    this.#maxQueue = maxQueue;
    this.#timeout = timeout;
    this.#onError = onError;
  }

  add(event: MeshAuditEvent): Promise<void> {
    if (this.queued >= this.#maxQueue) {
      this.dropped += 1;
      const text = `an audit entry was dropped: ${this.#maxQueue} are waiting for the adapter`;
      this.#tell(new MeshError('RESOURCE_EXHAUSTED', text, { reason: 'AUDIT_LIMIT' }), event);
      return Promise.resolve();
    }
    this.queued += 1;
    return (this.#tail = this.#tail.then(() => this.#deliver(event)));
  }

  async flush(): Promise<void> {
    await this.#tail;
    await this.#finish('flush');
  }

  /**
   * An adapter that cannot deliver its entries is closed nevertheless, since it may have files and
   * connections.
   */
  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      await this.#finish('close');
    }
  }

  async #deliver(event: MeshAuditEvent): Promise<void> {
    try {
      await this.#timeout.execute(() => this.#adapter.logEvent(event));
      this.delivered += 1;
    } catch (cause) {
      this.failed += 1;
      this.#tell(undelivered(cause), event);
    } finally {
      this.queued -= 1;
    }
  }

  async #finish(method: 'flush' | 'close'): Promise<void> {
    await this.#timeout.execute(async () => this.#adapter[method]?.());
  }

  #tell(error: MeshError, event: MeshAuditEvent): void {
    try {
      this.#onError?.(error, event);
    } catch {
      // The error of an error handler has no receiver.
    }
  }
}

/**
 * Waits for all promises, and then rejects with the first failure, so that one adapter's failure does not cut
 * another adapter short.
 */
async function allDone(ends: Promise<void>[]): Promise<void> {
  for (const end of await Promise.allSettled(ends)) {
    if (end.status === 'rejected') throw end.reason;
  }
}

/** The adapters of a configuration. */
export function checkAdapters(
  name: string,
  adapters: unknown,
): asserts adapters is MonitoringAdapter[] {
  if (!Array.isArray(adapters)) throw invalidArgument(`${name} must be an array of adapters`);
  adapters.forEach((adapter: Partial<MonitoringAdapter> | null, index) => {
    if (typeof adapter?.logEvent !== 'function') {
      throw invalidArgument(`${name}[${index}] must be an adapter: an object with logEvent`);
    }
  });
}

function undelivered(cause: unknown): MeshError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new MeshError('UNAVAILABLE', `an audit entry was not delivered: ${why}`, {
    reason: 'AUDIT_DELIVERY',
    cause,
  });
}
