// The public shapes: configuration, calls, handlers, statistics.

import type { Context } from './context.js';

/** A duration: milliseconds, or text such as `'500ms'`, `'30s'`, `'15m'`, `'1h'`, `'7d'`. */
export type Duration = number | string;

/** Where a service is found, and by which key it is known. */
export interface ServiceConfig {
  /** The service's id. The same id may occur more than once: several instances. */
  id: string;
  /** Host name or address. */
  host: string;
  /** TCP port, 1…65535. */
  port: number;
  /**
   * The service's RSA public key, PEM (SPKI). With it the service is trusted
   * by this key and no other; without it, by the shared or the embedded secret.
   */
  publicKey?: string;
}

/**
 * Where log entries go. `console` is one. Nothing is logged without a logger,
 * and this package never prints.
 */
export interface Logger {
  /** @param fields further facts; never secrets */
  debug?(message: string, fields?: Record<string, unknown>): void;
  /** @param fields further facts; never secrets */
  info?(message: string, fields?: Record<string, unknown>): void;
  /** @param fields further facts; never secrets */
  warn?(message: string, fields?: Record<string, unknown>): void;
  /** @param fields further facts; never secrets */
  error?(message: string, fields?: Record<string, unknown>): void;
}

/** Bounds on what one mesh holds and accepts. */
export interface MeshLimits {
  /** The largest message, in bytes, after encoding. Default: 4 MiB. */
  maxMessageBytes?: number;
  /** The most sessions at once. Default: 10,000. */
  maxSessions?: number;
  /** The most sessions of one peer at once. Default: 16. */
  maxSessionsPerPeer?: number;
  /** The most handshakes under way at once. Default: 64. */
  maxPendingHandshakes?: number;
  /** The most calls in flight on one session, each way. Default: 1,024. */
  maxCallsInFlight?: number;
}

/** How keys, tokens and sessions are made. */
export interface SecurityConfig {
  /** RSA key size in bits. Default: 4096. */
  rsaKeySize?: 2048 | 3072 | 4096;
  /** AES key size in bits. Default: 256. */
  aesKeySize?: 128 | 192 | 256;
  /**
   * The secret shared by all services of the mesh, at least 32 bytes.
   * Environment: `SECURE_MESH_JWT_SECRET`. Default: one made at the first use and
   * kept in the key directory, which only services of the same user on the
   * same machine can read.
   */
  jwtSecret?: string;
  /** How long a token is valid. Default: `'1h'`. */
  jwtExpiration?: Duration;
  /** How long an unused session lives, in ms. Default: 3,600,000. */
  sessionTimeout?: Duration;
  /**
   * The directory for this service's key pair and the keys of known peers.
   * Environment: `SECURE_MESH_KEYS_DIR`. Default: `secure-stack-mesh` in the
   * user's state directory (`XDG_STATE_HOME`, `~/.local/state`).
   */
  keysDir?: string;
  /**
   * Whether a peer that shows another key than the one it was first seen with
   * is refused (`'enforce'`, the default) or accepted as long as it knows the
   * secret (`'ignore'`).
   */
  peerKeys?: 'enforce' | 'ignore';
}

/** How a mesh is set up: the argument of {@link SecureMesh}. */
export interface MeshConfig {
  /** Unique service identifier: letters, digits, `.`, `_`, `-`. */
  serviceId: string;
  /** gRPC server port; 0 for any free one; left out, nothing is listened on. */
  port?: number;
  /** The address to listen on. Default: `'127.0.0.1'`: this machine only. */
  host?: string;
  /** Keys, tokens, sessions. */
  security?: SecurityConfig;
  /** The services that can be called. */
  discovery?: {
    /** A list of them, with their addresses. */
    services?: ServiceConfig[];
  };
  /** Bounds on what the mesh holds and accepts. */
  limits?: MeshLimits;
  /** Where log entries go. Default: nowhere. */
  logger?: Logger;

  /** Directories, as 0.2.0 had them. */
  paths?: {
    /** @deprecated The protocol is built in: this is ignored, with a warning to the logger. */
    protoFile?: string;
    /** @deprecated Use `security.keysDir`. */
    keysDir?: string;
    /** The directory for log files. */
    logsDir?: string;
    /** The directory for metrics files. */
    metricsDir?: string;
  };
  /** What is done when calls fail or are too many, as 0.2.0 had it. */
  resilience?: {
    /** Requests a caller may make. */
    rateLimit?: {
      /** Requests in a window. */
      maxRequests: number;
      /** The window, in ms. */
      windowMs: number;
    };
    /** When a service that fails is left alone. */
    circuitBreaker?: {
      /** Failures until it opens. */
      failureThreshold: number;
      /** Successes until it closes again. */
      successThreshold: number;
      /** How long it stays open, in ms. */
      timeout: number;
    };
    /** How calls that provably never ran are tried again. */
    retry?: {
      /** Tries in all. */
      maxAttempts: number;
      /** The delay before the second try, in ms. */
      initialDelay: number;
    };
  };
  /** Audit events and metrics, as 0.2.0 had it. */
  monitoring?: {
    /** Whether anything is recorded. */
    enabled: boolean;
    /** Where it goes. */
    adapters?: unknown[];
  };
  /** Key rotation, as 0.2.0 had it. */
  rotation?: {
    /** The time between rotations, in ms. */
    interval: number;
    /** Whether keys are rotated without being asked. */
    autoRotate: boolean;
  };
}

/** @deprecated 0.2.0's name of {@link MeshConfig}. */
export type SecureMeshConfig = MeshConfig;

/** What can be said about one call. */
export interface CallOptions {
  /** Cancels the call, on both sides, when aborted. */
  signal?: AbortSignal;
  /** How long the call may take, in ms, 1…4,294,967,295. Default: 10,000. */
  timeoutMs?: number;
  /** Whether running the method twice does no harm, so that it may be tried again. Default: false. */
  idempotent?: boolean;
  /** Facts beside the input, for handlers' `ctx.metadata`. */
  metadata?: Record<string, string>;
}

/** How a method is served. */
export interface HandlerOptions {
  /** The longest a request may take here, in ms, even if its caller would wait longer. */
  timeoutMs?: number;
  /** The services that may call it; others get `PERMISSION_DENIED`. Default: every authenticated one. */
  allow?: readonly string[];
}

/**
 * Answers a method's calls. What it returns, or resolves with, is the result:
 * a JSON value, `undefined`, or a `Uint8Array` that arrives as one. What it
 * throws is the error: a `MeshError` arrives as thrown, anything else as
 * `INTERNAL` with an `errorId`, the original going to the logger only.
 *
 * @param input what the caller sent; unchecked
 * @param context who calls, how much time is left, and so on
 */
export type Handler<TInput = any, TResult = unknown> = (
  input: TInput,
  context: Context,
) => TResult | Promise<TResult>;

/** How a peer proved who it is. */
export type Trust = 'shared-secret' | 'embedded' | 'pinned' | 'pinned+secret';

/** Who is calling: always the verified identity, never a claimed one. */
export interface Caller {
  /** The caller's service id. */
  readonly serviceId: string;
  /** The session the call came on. */
  readonly sessionId: string;
  /** How the caller proved who it is. */
  readonly trust: Trust;
  /** The claims of the caller's token. */
  readonly claims: Readonly<Record<string, unknown>>;
}

/** What {@link SecureMesh.getStats} tells. */
export interface MeshStats {
  /** This service's id. */
  service: string;
  /** Sessions that are open now, in both directions. */
  activeSessions: number;
  /** Messages since the mesh was initialized. */
  messages: {
    /** Calls and answers sent. */
    sent: number;
    /** Calls and answers received. */
    received: number;
    /** Calls that failed. */
    failed: number;
  };
  /** Services that discovery knows. */
  services: number;
  /** The services there is a session with. */
  connectedServices: string[];
  /** @deprecated Use `activeSessions`. */
  sessions: {
    /** Sessions that are open now. */
    activeSessions: number;
  };
  /** @deprecated Use `messages`. */
  metrics: Record<string, unknown>;
  /** Further numbers. */
  [name: string]: unknown;
}

/** What {@link SecureMesh.healthCheck} tells. */
export interface HealthStatus {
  /** `unhealthy` when no calls can be answered or made, `degraded` when some services cannot be reached. */
  status: 'healthy' | 'degraded' | 'unhealthy';
  /** Services that discovery knows. */
  services: number;
  /** What was found, in detail. */
  details: Record<string, unknown>;
}
