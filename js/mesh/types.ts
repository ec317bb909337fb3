// The public shapes of a mesh: its configuration, its statistics.

import type { Logger } from '../base/logger.js';
import type { Duration } from '../base/values.js';
import type { IdempotencyConfig } from '../incoming/idempotency-limits.js';
import type { PeerSession } from '../incoming/peers.js';
import type { MonitoringAdapter } from '../monitoring/audit-event.js';
import type { MeshMetrics } from '../monitoring/metrics-collector.js';
import type { CircuitBreakerConfig } from '../resilience/circuit-breaker.js';
import type { RateLimiterConfig } from '../resilience/rate-limiter.js';
import type { RetryPolicyConfig } from '../resilience/retry-policy.js';

/**
 * Where a service is found, and by which key it is known. One that only calls,
 * and does not listen, has a `publicKey` and neither `host` nor `port`.
 */
export interface ServiceConfig {
  /** The service's id. The same id may occur more than once: several instances. */
  id: string;
  /** Host name or address. */
  host?: string | undefined;
  /** TCP port, 1…65535. */
  port?: number | undefined;
  /**
   * The service's RSA public key, PEM (SPKI). With it the service is trusted
   * by this key and no other; without it, by the shared or the embedded secret.
   */
  publicKey?: string | undefined;
  /** Whatever there is to know of it. */
  metadata?: Record<string, string> | undefined;
  /** @deprecated Has no effect. */
  lastHealthCheck?: Date | undefined;
  /** @deprecated Has no effect. */
  status?: 'healthy' | 'unhealthy' | 'unknown' | undefined;
}

/** Bounds on what one mesh holds and accepts. */
export interface MeshLimits {
  /** The largest payload, either way, in bytes. Default: 4 MiB. */
  maxMessageBytes?: number | undefined;
  /** The most calls in flight on one session, each way. Default: 1,024. */
  maxConcurrentCalls?: number | undefined;
  /** The most calls this mesh has in flight in all. Default: 16,384. */
  maxPendingCalls?: number | undefined;
  /** The most sessions accepted in all. Default: 10,000. */
  maxSessions?: number | undefined;
  /** The most sessions accepted from one service. Default: 64. */
  maxSessionsPerPeer?: number | undefined;
  /** The most handshakes under way in all. Default: 256. */
  maxPendingHandshakes?: number | undefined;
  /** The most handshakes under way from one address. Default: 64. */
  maxPendingHandshakesPerAddress?: number | undefined;
  /** The most TCP connections accepted. Default: 12,000. */
  maxConnections?: number | undefined;
  /** The time a connection has for its handshake, in ms. Default: 10,000. */
  handshakeTimeoutMs?: number | undefined;
  /** The time a call has unless it says otherwise, in ms. Default: 10,000. */
  callTimeoutMs?: number | undefined;
}

/** How keys, tokens and sessions are made. */
export interface SecurityConfig {
  /** RSA key size in bits. Default: 4096. */
  rsaKeySize?: 2048 | 4096 | undefined;
  /** AES key size in bits. Default: 256. */
  aesKeySize?: 128 | 192 | 256 | undefined;
  /**
   * The secret shared by all services of the mesh, at least 32 bytes.
   * Environment: `SECURE_MESH_JWT_SECRET`. Default: one made at the first use and
   * kept in the key directory, which only services of the same user on the
   * same machine can read.
   */
  jwtSecret?: string | undefined;
  /**
   * This service's RSA key, instead of one that is made and kept in the key directory: replicas share
   * it, and a new disk does not make a new service. PEM (PKCS#8 or PKCS#1), or the absolute path of a
   * file with it, as a container's secret is one (`docs/guides/containers.md` says which files are
   * taken). It is written nowhere and shown nowhere, and `rotateKeys()` does not replace it.
   * Environment: `SECURE_MESH_PRIVATE_KEY`, also as one line with `\\n` for the ends of lines.
   */
  privateKey?: string | undefined;
  /** How long a token is valid, 1 s to 1 day. Default: `'1h'`. */
  jwtExpiration?: Duration | undefined;
  /** How long an unused session lives, in ms, or as text. Default: 3,600,000, an hour. */
  sessionTimeout?: Duration | undefined;
  /** How long a session lives, used or not, in ms, or as text. Default: a day. */
  sessionLifetimeMs?: Duration | undefined;
  /** @deprecated Use `paths.keysDir`. */
  keysDir?: string | undefined;
  /**
   * Whether a peer that shows another key than the one it was first seen with
   * is refused (`'enforce'`, the default) or accepted as long as it knows the
   * secret (`'ignore'`).
   */
  peerKeys?: 'enforce' | 'ignore' | undefined;
}

/** How a mesh is set up: the argument of {@link SecureMesh}. */
export interface MeshConfig {
  /** Unique service identifier: letters, digits, `.`, `_`, `-`. */
  serviceId: string;
  /**
   * gRPC server port; 0 for any free one. Environment: `SECURE_MESH_PORT`. Left out, this
   * mesh only calls and nothing is listened on.
   */
  port?: number | undefined;
  /**
   * The address to listen on. Environment: `SECURE_MESH_HOST`. Default: loopback while
   * nothing is said about trust, all interfaces with a secret or a pinned key.
   */
  host?: string | undefined;
  /** Keys, tokens, sessions. */
  security?: SecurityConfig | undefined;
  /** The services that can be called. */
  discovery?: {
    /** A list of them, with their addresses. */
    services?: ServiceConfig[] | undefined;
  };
  /** Bounds on what the mesh holds and accepts. */
  limits?: MeshLimits | undefined;
  /** Where log entries go. Default: nowhere. */
  logger?: Logger | undefined;

  /** Directories. */
  paths?: {
    /** @deprecated The protocol is built in: this is ignored, with a warning to the logger. */
    protoFile?: string | undefined;
    /**
     * The directory for this service's key pair and the keys of known peers.
     * Environment: `SECURE_MESH_KEYS_DIR`. Default: `secure-stack-mesh` in the
     * user's state directory (`XDG_STATE_HOME`, `~/.local/state`).
     */
    keysDir?: string | undefined;
    /** The directory for the audit log, where `monitoring` has no adapters. */
    logsDir?: string | undefined;
    /** The directory for metrics beside that log. Default: they are not kept. */
    metricsDir?: string | undefined;
  };
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
  /** `healthy` while calls can be made and answered, `degraded` while it starts or drains, else `unhealthy`. */
  status: 'healthy' | 'degraded' | 'unhealthy';
  /** How many services discovery knows. */
  services: number;
  /** What was found, in detail. */
  details: {
    /** Where the mesh is in its life. */
    state: 'new' | 'starting' | 'ready' | 'draining' | 'closing' | 'closed';
    /** Where it listens. */
    address: MeshAddress | null;
    /** The core's own figures, while it runs. */
    [figure: string]: any;
  };
}
