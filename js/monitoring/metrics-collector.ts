// Figures about a service, for people and for Prometheus.

import type { NativeMetrics } from '../addon.js';
import { invalidArgument } from '../base/arguments.js';
import { wrapNative, type MeshErrorCode } from '../base/errors.js';
import { native } from '../base/native.js';
import { checkText } from '../base/values.js';

/** What a {@link MetricsCollector} has counted since it was made or reset. */
export interface MeshMetrics {
  /** Connections. */
  connections: {
    /** Attempted. */
    total: number;
    /** Open now. */
    active: number;
    /** That could not be made. */
    failed: number;
  };
  /** Messages. */
  messages: {
    /** Sent. */
    sent: number;
    /** Received. */
    received: number;
    /** That failed. */
    failed: number;
  };
  /** How long calls took, in milliseconds; 0 where there was none. */
  performance: {
    /** The mean. */
    avgLatency: number;
    /** The longest. */
    maxLatency: number;
    /** The shortest. */
    minLatency: number;
  };
  /** Requests that met a quota. */
  rateLimiting: {
    /** Within it. */
    allowed: number;
    /** Beyond it. */
    blocked: number;
  };
  /** How often circuit breakers took a state. */
  circuitBreaker: {
    /** Closed. */
    closed: number;
    /** Opened. */
    open: number;
    /** Became half open. */
    halfOpen: number;
  };
}

/** One call, for {@link MetricsCollector.recordCall}. */
export interface CallRecord {
  /** The service that was called. */
  service: string;
  /** Its method. */
  method: string;
  /** How long it took, in milliseconds. */
  latencyMs: number;
  /** How it failed, if it did. */
  code?: MeshErrorCode | undefined;
}

/**
 * Counts what happens. It keeps sums and histograms, never single values: what
 * it takes in memory has a bound, however long it runs.
 */
export class MetricsCollector {
  #native: NativeMetrics = makeMetrics();

  /** A connection was made (`true`), or could not be. */
  recordConnection(success: boolean): void {
    this.#native.connection(Boolean(success));
  }

  /** A connection is over. */
  recordConnectionClosed(): void {
    this.#native.connectionClosed();
  }

  /** A message was sent. */
  recordMessageSent(): void {
    this.#native.sent();
  }

  /** A message was received. */
  recordMessageReceived(): void {
    this.#native.received();
  }

  /** A message failed. */
  recordMessageFailed(): void {
    this.#native.failed();
  }

  /**
   * A call took this long.
   *
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: it is no number of milliseconds from 0
   */
  recordLatency(latencyMs: number): void {
    checkLatency(latencyMs);
    wrapNative(() => this.#native.latency(latencyMs));
  }

  /** A request was within its quota. */
  recordRateLimitAllowed(): void {
    this.#native.quota(true);
  }

  /** A request was beyond its quota. */
  recordRateLimitBlocked(): void {
    this.#native.quota(false);
  }

  /**
   * A circuit breaker took a state.
   *
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: there is no such state
   */
  recordCircuitBreakerState(state: 'closed' | 'open' | 'half_open'): void {
    checkText('state', state);
    wrapNative(() => this.#native.circuit(state));
  }

  /**
   * A call of a method ended. Calls are counted by service, method and code;
   * beyond 500 pairs of service and method, together as `other`.
   *
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
   */
  recordCall({ service, method, latencyMs, code }: CallRecord): void {
    checkText('service', service);
    checkText('method', method);
    checkLatency(latencyMs);
    wrapNative(() => this.#native.call(service, method, code ?? null, latencyMs));
  }

  /** The figures as they are now. */
  getMetrics(): MeshMetrics {
    return readMetrics(this.#native);
  }

  /**
   * The figures in the OpenMetrics text format, for Prometheus to scrape. Send it as
   * `application/openmetrics-text; version=1.0.0; charset=utf-8`.
   */
  toPrometheus(): string {
    return this.#native.toText();
  }

  /** Begins at zero. */
  reset(): void {
    this.#native = makeMetrics();
  }
}

/** The figures of a native collector as they are now. */
export function readMetrics(metrics: NativeMetrics): MeshMetrics {
  const now = metrics.snapshot();
  return {
    connections: {
      total: now.connections,
      active: now.connectionsActive,
      failed: now.connectionsFailed,
    },
    messages: { sent: now.sent, received: now.received, failed: now.failed },
    performance: {
      avgLatency: now.avgLatency,
      maxLatency: now.maxLatency,
      minLatency: now.minLatency,
    },
    rateLimiting: { allowed: now.allowed, blocked: now.blocked },
    circuitBreaker: { closed: now.closed, open: now.open, halfOpen: now.halfOpen },
  };
}

/** A native collector, with all figures at zero. */
export function makeMetrics(): NativeMetrics {
  return new (native().NativeMetrics)();
}

function checkLatency(latencyMs: unknown): void {
  if (typeof latencyMs === 'number' && latencyMs >= 0) return;
  throw invalidArgument(
    `latencyMs must be a number of milliseconds from 0, got ${String(latencyMs)}`,
  );
}
