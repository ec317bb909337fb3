// The public types of a mesh: its configuration and its statistics.

import type { Logger } from '../base/logger.js';
import type { Duration } from '../base/values.js';
import type { DiscoveredService } from '../discovery/provider.js';
import type { IdempotencyConfig } from '../incoming/idempotency-limits.js';
import type { PeerSession } from '../incoming/peers.js';
import type { MonitoringAdapter } from '../monitoring/audit-event.js';
import type { MeshMetrics } from '../monitoring/metrics-collector.js';
import type { CircuitBreakerConfig } from '../resilience/circuit-breaker.js';
import type { RateLimiterConfig } from '../resilience/rate-limiter.js';
import type { RetryPolicyConfig } from '../resilience/retry-policy.js';
import type { SharedQuotaConfig } from '../resilience/shared-quota.js';
import type { BulkheadConfig, ConcurrencyConfig, CoreConfig, SecurityConfig } from './options.js';

/** The services that may read the description of a mesh: its report and its methods. */
export type ObserveOption =
  | boolean
  | {
      /** Service ids, or SPIFFE ids of certificates. */
      readonly from: readonly string[];
    };

/** The configuration of a {@link SecureMesh}. */
export interface MeshConfig extends CoreConfig {
  /** The logger. Default: none. */
  logger?: Logger | undefined;
  /**
   * The services that may read the description of this one: its report, for their admin ports, and by
   * `securestack.describe` the methods that they may call. Others get `PERMISSION_DENIED`. Default: every
   * service under embedded trust, where all belong to one user of one machine; otherwise none.
   */
  observe?: ObserveOption | undefined;
  /** The handling of failing and excessive calls. Default: none. */
  resilience?: {
    /**
     * The quota of each caller, by its verified identity. Requests for unknown methods count too. Requests
     * over the quota get `RESOURCE_EXHAUSTED`, reason `RATE_LIMITED`, with `retryAfterMs`.
     */
    rateLimit?: (RateLimiterConfig & SharedQuotaConfig) | undefined;
    /**
     * The circuit breaker. Each instance of a service has its own breaker; while it is open, the other
     * instances take the calls. If the breakers of all instances are open, calls get `UNAVAILABLE`, reason
     * `CIRCUIT_OPEN`, with `retryAfterMs`.
     */
    circuitBreaker?: Omit<CircuitBreakerConfig, 'isFailure' | 'onStateChange'> | undefined;
    /**
     * The retries of unary calls that provably never ran, or are `idempotent`, within their `timeoutMs`.
     * `budget` is `{ ratio: 0.2, reserve: 10 }` by default.
     */
    retry?: Omit<RetryPolicyConfig, 'retryableErrors' | 'isRetryable'> | undefined;
    /**
     * The time that a call waits while each session with its service carries as many calls as the service
     * accepts at once (`limits.maxConcurrentCalls`), 0 to 1 h. Then it gets `RESOURCE_EXHAUSTED`,
     * reason `CALL_LIMIT`. Default: 1,000.
     */
    queueMs?: Duration | undefined;
    /**
     * Hedging: an `idempotent` unary call that takes longer than most calls of its method gets a second copy at
     * another instance. The first answer counts, and the other copy is cancelled. Default: none. A call whose
     * time is half over gets a second copy in any case, because its instance may have gone silent.
     */
    hedging?:
      | {
          /**
           * A call slower than this share of the calls of its method gets a copy, 0.5 to 0.999. Default:
           * 0.95.
           */
          percentile?: number | undefined;
          /** The most copies per call, in the long run, 0.001 to 1. Default: 0.05. */
          ratio?: number | undefined;
        }
      | false
      | undefined;
    /** The most calls under way at each service that is called, and a queue for more. Default: none. */
    bulkhead?: BulkheadConfig | false | undefined;
    /** An adaptive limit on the requests that this service has under way. Default: none. */
    concurrency?: ConcurrencyConfig | false | undefined;
    /**
     * The limits of the outcomes that this service keeps for idempotency keys. Beyond these limits, calls
     * with a new key get `RESOURCE_EXHAUSTED`, reason `CALL_LIMIT`, with `retryAfterMs`, and do not run.
     */
    idempotency?: IdempotencyConfig | undefined;
  };
  /** Audit entries and metrics. */
  monitoring?: {
    /** Whether the mesh records audit entries and metrics. */
    enabled: boolean;
    /** The adapters for audit entries and metrics. Default: `mesh-audit.log` in `paths.logsDir`, if that is given. */
    adapters?: MonitoringAdapter[] | undefined;
  };
  /** The automatic rotation of this service's RSA key: see `SecureMesh.rotateKeys`. Default: none. */
  rotation?: {
    /**
     * The time between rotations, counted from `initialize()`: milliseconds or a string such as `'30d'`. A
     * failed rotation is logged and retried after at most a minute.
     */
    interval: number | string;
    /** Whether the mesh rotates its key automatically. */
    autoRotate: boolean;
  };
}

/**
 * A configuration in the API of 0.2.0, in which the types allow any number as a size.
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
  /** Requests, items, answers and calls that were refused because there was no room. */
  refused: number;
}

/** The result of {@link SecureMesh.getStats}. */
export interface MeshStats {
  /** This service's id. */
  service: string;
  /** The SHA-256 JWK thumbprint (RFC 7638) of this service's key; `null` before it is initialized. */
  keyThumbprint: string | null;
  /** Sessions that are open now, in both directions. */
  activeSessions: number;
  /** Messages since the creation of the mesh. */
  messages: {
    /** Calls and answers sent. */
    sent: number;
    /** Requests and answers received. */
    received: number;
    /** Calls and requests that ended in an error. */
    failed: number;
  };
  /** The number of services in discovery. */
  services: number;
  /** With a provider of discovery: the state of each called service, by its id. */
  discovery?: Record<string, DiscoveredService>;
  /** The services with an open session. */
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
   * Connections and messages as above. All other metrics are 0 without `monitoring.enabled`.
   */
  metrics: MeshMetrics;
}

/** A request, for {@link SecureMesh.explain}. */
export interface AuthorizationRequest {
  /** The service id of the caller. */
  from: string;
  /** The SPIFFE id of the caller's certificate. Default: none. */
  spiffeId?: string | undefined;
  /** The method. */
  method: string;
  /** The metadata of the request. Default: none. */
  metadata?: Readonly<Record<string, string>> | undefined;
}

/** The decision about a request, with its reason. */
export interface AuthorizationExplanation {
  /** Whether the policy permits it. A handler's `allow` may still refuse it. */
  allowed: boolean;
  /** The rule that decides: its `name`, or its place as in `rules[3]`; `null` for the default. */
  rule: string | null;
  /** A sentence about it, for people. */
  why: string;
}

/** The address on which a service listens. */
export interface MeshAddress {
  /** An IP address. */
  host: string;
  /** A port, 1 to 65,535. */
  port: number;
}

/** The result of {@link SecureMesh.healthCheck}. */
export interface MeshHealth {
  /**
   * `healthy` while calls can be made and answered, else `unhealthy`. `degraded` while it starts or drains,
   * while its policy file is broken, while more than nine tenths of `limits.maxMemoryBytes` are held, and
   * while its key directory keeps new services out: `details.keyDirectoryFault` has the cause, the path and
   * the repair. It is also `degraded` while there is a `details.certificateProblem`: the files of the
   * certificate are not in use, or the certificate or a revocation list ends soon or has ended, and while `details.servicesStale` names services whose source of
   * instances has been away for longer than `discovery.maxStaleMs`.
   */
  status: 'healthy' | 'degraded' | 'unhealthy';
  /** The number of services in discovery. */
  services: number;
  /** Details. */
  details: {
    /** The state of the mesh. */
    state: 'new' | 'starting' | 'ready' | 'draining' | 'closing' | 'closed';
    /** The address on which the mesh listens. */
    address: MeshAddress | null;
    /** Set while little of `limits.maxMemoryBytes` is left. */
    degraded?: string;
    /** The policy in force; absent without `authorization`, and while the mesh does not run. */
    authorization?: {
      /** Whether denials take effect. */
      mode: 'enforce' | 'audit';
      /** The number of rules. */
      rules: number;
      /** The policy file; `null` for a policy in the options. */
      file: string | null;
      /**
       * The fault of the policy file; `null` if there is none. The previous policy is in force during a
       * fault.
       */
      problem: string | null;
    };
    /** The core's figures, while the mesh runs. */
    [figure: string]: any;
  };
}
