// The public shapes of a mesh: its configuration, its statistics.

import type { Logger } from '../base/logger.js';
import type { IdempotencyConfig } from '../incoming/idempotency-limits.js';
import type { PeerSession } from '../incoming/peers.js';
import type { MonitoringAdapter } from '../monitoring/audit-event.js';
import type { MeshMetrics } from '../monitoring/metrics-collector.js';
import type { CircuitBreakerConfig } from '../resilience/circuit-breaker.js';
import type { RateLimiterConfig } from '../resilience/rate-limiter.js';
import type { RetryPolicyConfig } from '../resilience/retry-policy.js';
import type { CoreConfig, SecurityConfig } from './options.js';

/** How a mesh is set up: the argument of {@link SecureMesh}. */
export interface MeshConfig extends CoreConfig {
  /** Where log entries go. Default: nowhere. */
  logger?: Logger | undefined;
  /** What is done when calls fail or are too many. Default: nothing of it. */
  resilience?: {
    /**
     * Requests each caller may make here, by its verified identity, those for unknown methods
     * included. Requests beyond get `RESOURCE_EXHAUSTED`, reason `RATE_LIMITED`, with `retryAfterMs`.
     */
    rateLimit?: RateLimiterConfig | undefined;
    /**
     * When an instance of a service that fails is left alone. Each instance has a breaker of its
     * own, and the others take its calls. When no instance is left, calls get `UNAVAILABLE`, reason
     * `CIRCUIT_OPEN`, with `retryAfterMs`.
     */
    circuitBreaker?: Omit<CircuitBreakerConfig, 'isFailure' | 'onStateChange'> | undefined;
    /**
     * How calls are tried again that provably never ran, or are `idempotent`, within their
     * `timeoutMs`. Unary calls only. `budget` is `{ ratio: 0.2, reserve: 10 }` by default.
     */
    retry?: Omit<RetryPolicyConfig, 'retryableErrors' | 'isRetryable'> | undefined;
    /**
     * How outcomes of calls with an idempotency key are kept here. Beyond these limits, calls with a
     * new key get `RESOURCE_EXHAUSTED`, reason `CALL_LIMIT`, with `retryAfterMs`, before they run.
     */
    idempotency?: IdempotencyConfig | undefined;
  };
  /** Audit entries and metrics. */
  monitoring?: {
    /** Whether anything is recorded. */
    enabled: boolean;
    /** Where it goes. Default: `mesh-audit.log` in `paths.logsDir`, if that is given. */
    adapters?: MonitoringAdapter[] | undefined;
  };
  /** How this service's RSA key is replaced by itself: see `SecureMesh.rotateKeys`. Default: never. */
  rotation?: {
    /**
     * The time between rotations, counted from `initialize()`: milliseconds or `'30d'`. A rotation
     * that fails is logged and tried again, after a minute at most.
     */
    interval: number | string;
    /** Whether the key is replaced without being asked. */
    autoRotate: boolean;
  };
}

/**
 * A configuration in the shape of 0.2.0, where sizes are any number until the program runs.
 *
 * @deprecated Use {@link MeshConfig}.
 */
export interface SecureMeshConfig extends Omit<MeshConfig, 'security'> {
  /** As in {@link MeshConfig}. */
  security?: Omit<SecurityConfig, 'rsaKeySize' | 'aesKeySize'> & {
    /** Bits of the RSA key: 2048 or 4096. Default: 4096. */
    rsaKeySize?: number | undefined;
    /** Bits of the AES keys: 128, 192 or 256. Default: 256. */
    aesKeySize?: number | undefined;
  };
}

/** The memory that a mesh holds for peers and calls: frames, requests, items, answers, own inputs. */
export interface MemoryStats {
  /** Bytes that may be held: `limits.maxMemoryBytes`. */
  limitBytes: number;
  /** Bytes held now. */
  usedBytes: number;
  /** The most that were held at once. */
  peakBytes: number;
  /** Requests, items, answers and calls that were refused for want of room. */
  refused: number;
}

/** What {@link SecureMesh.getStats} tells. */
export interface MeshStats {
  /** This service's id. */
  service: string;
  /** The SHA-256 JWK thumbprint (RFC 7638) of this service's key; `null` before it is initialized. */
  keyThumbprint: string | null;
  /** Sessions that are open now, in both directions. */
  activeSessions: number;
  /** Messages since the mesh was made. */
  messages: {
    /** Calls made and answers given. */
    sent: number;
    /** Requests and answers received. */
    received: number;
    /** Calls and requests that ended in an error. */
    failed: number;
  };
  /** How many services discovery knows. */
  services: number;
  /** The services there is a session with. */
  connectedServices: string[];
  /** The sessions, oldest first. */
  peers: PeerSession[];
  /** The memory that is held for peers and calls, within `limits.maxMemoryBytes`. 0 before it is initialized. */
  memory: MemoryStats;
  /** @deprecated Use `activeSessions`. */
  sessions: {
    /** Sessions that are open now. */
    activeSessions: number;
  };
  /**
   * Connections and messages as above. The rest is counted with `monitoring.enabled`, and 0 without.
   */
  metrics: MeshMetrics;
}

/** Where a service listens. */
export interface MeshAddress {
  /** An IP address. */
  host: string;
  /** A port, 1 to 65,535. */
  port: number;
}

/** What {@link SecureMesh.healthCheck} tells. */
export interface MeshHealth {
  /**
   * `healthy` while calls can be made and answered; `degraded` while it starts or drains, and while more than
   * nine tenths of `limits.maxMemoryBytes` are held; else `unhealthy`.
   */
  status: 'healthy' | 'degraded' | 'unhealthy';
  /** How many services discovery knows. */
  services: number;
  /** What was found, in detail. */
  details: {
    /** Where the mesh is in its life. */
    state: 'new' | 'starting' | 'ready' | 'draining' | 'closing' | 'closed';
    /** Where it listens. */
    address: MeshAddress | null;
    /** Set while little of `limits.maxMemoryBytes` is left. */
    degraded?: string;
    /** The core's own figures, while it runs. */
    [figure: string]: any;
  };
}
