// Figures about a service, for people and for Prometheus.

import type { NativeMetrics } from '../addon.js';
import { invalidArgument } from '../base/arguments.js';
import { wrapNative, type MeshErrorCode } from '../base/errors.js';
import { native } from '../base/native.js';
import { checkText } from '../base/values.js';

/** The figures of a {@link MetricsCollector} since its creation or reset. */
export interface MeshMetrics {
  /** Connections. */
  connections: {
    /** Attempted. */
    total: number;
    /** Open now. */
    active: number;
    /** Failed attempts. */
    failed: number;
  };
  /** Messages. */
  messages: {
    /** Sent. */
    sent: number;
    /** Received. */
    received: number;
    /** Failed. */
    failed: number;
  };
  /** The latencies of calls in milliseconds; 0 without calls. */
  performance: {
    /** The mean. */
    avgLatency: number;
    /** The longest. */
    maxLatency: number;
    /** The shortest. */
    minLatency: number;
  };
  /** Requests by the decision of their quota. */
  rateLimiting: {
    /** Within their quota. */
    allowed: number;
    /** Over their quota. */
    blocked: number;
  };
  /** The number of state changes of circuit breakers, by new state. */
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
  /** The method that was called. */
  method: string;
  /** The latency in milliseconds. */
  latencyMs: number;
  /** The code of a failed call. */
  code?: MeshErrorCode | undefined;
}

/**
 * Counts the events of a service. It keeps sums and histograms, never individual values, so its memory is
 * bounded.
 */
export class MetricsCollector {
  #native: NativeMetrics = makeMetrics();

  /** Records an attempt to connect and its success. */
  recordConnection(success: boolean): void {
    this.#native.connection(Boolean(success));
  }

  /** Records the end of a connection. */
  recordConnectionClosed(): void {
    this.#native.connectionClosed();
  }

  /** Records a sent message. */
  recordMessageSent(): void {
    this.#native.sent();
  }

  /** Records a received message. */
  recordMessageReceived(): void {
    this.#native.received();
  }

  /** Records a failed message. */
  recordMessageFailed(): void {
    this.#native.failed();
  }

  /**
   * Records the latency of a call.
   *
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: the latency is not a number of milliseconds from 0
   */
  recordLatency(latencyMs: number): void {
    checkLatency(latencyMs);
    wrapNative(() => this.#native.latency(latencyMs));
  }

  /** Records a request within its quota. */
  recordRateLimitAllowed(): void {
    this.#native.quota(true);
  }

  /** Records a request over its quota. */
  recordRateLimitBlocked(): void {
    this.#native.quota(false);
  }

  /**
   * Records the new state of a circuit breaker.
   *
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: the state is unknown
   */
  recordCircuitBreakerState(state: 'closed' | 'open' | 'half_open'): void {
    checkText('state', state);
    wrapNative(() => this.#native.circuit(state));
  }

  /**
   * Records the end of a call. Calls are counted by service, method and code; beyond 500 pairs of service and
   * method, all others are counted as `other`.
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

  /** Resets all figures to zero. */
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
