// Generated from js/ by scripts/types.mjs. Do not edit.
/** The sixteen error codes of gRPC, by their canonical names. */
type MeshErrorCode = 'CANCELLED' | 'UNKNOWN' | 'INVALID_ARGUMENT' | 'DEADLINE_EXCEEDED' | 'NOT_FOUND' | 'ALREADY_EXISTS' | 'PERMISSION_DENIED' | 'RESOURCE_EXHAUSTED' | 'FAILED_PRECONDITION' | 'ABORTED' | 'OUT_OF_RANGE' | 'UNIMPLEMENTED' | 'INTERNAL' | 'UNAVAILABLE' | 'DATA_LOSS' | 'UNAUTHENTICATED';
/** What a {@link MeshError} can say beyond its code and message. */
interface MeshErrorOptions {
    /**
     * Which failure exactly: a stable upper-case word, as `reason` in
     * `google.rpc.ErrorInfo`. Default: the code.
     */
    reason?: string;
    /** Whether the same call can succeed later. Default: true for `UNAVAILABLE`, else false. */
    retryable?: boolean;
    /** How long to wait before trying again makes sense, in milliseconds. */
    retryAfterMs?: number;
    /** Details for the caller: anything `JSON.stringify` can encode. */
    data?: unknown;
    /** The service that was called. */
    service?: string;
    /** The method that was called. */
    method?: string;
    /** How many times the call was tried. */
    attempts?: number;
    /** Whether the error was made by the peer. Default: false. */
    remote?: boolean;
    /** Finds the error in the log of the service where it occurred. */
    errorId?: string;
    /** The error behind this one. It never leaves the process. */
    cause?: unknown;
}
/**
 * Every error this package throws or rejects with.
 *
 * A handler throws one to answer with exactly that code, reason, message and
 * data; whatever else a handler throws, its caller gets `INTERNAL`, reason
 * `HANDLER`, with an `errorId` and nothing of the original.
 *
 * `instanceof MeshError` also holds for errors of another copy of the package.
 *
 * @example
 * ```js
 * mesh.handle('orders.get', ({ id }) => {
 *   throw new MeshError('NOT_FOUND', 'no such order', { data: { id } });
 * });
 * ```
 */
declare class MeshError extends Error {
    /** What kind of failure. */
    readonly code: MeshErrorCode;
    /** Which failure exactly: a stable upper-case word. */
    readonly reason: string;
    /** Whether the same call can succeed later. */
    readonly retryable: boolean;
    /** How long to wait before trying again makes sense, in milliseconds, where that is known. */
    readonly retryAfterMs?: number;
    /** The service that was called. */
    readonly service?: string;
    /** The method that was called. */
    readonly method?: string;
    /** How many times the call was tried. */
    readonly attempts?: number;
    /** What the handler gave its caller to know. */
    readonly data?: unknown;
    /** Whether the error was made by the peer. */
    readonly remote: boolean;
    /** Finds the error in the log of the service where it occurred. */
    readonly errorId?: string;
    /**
     * @param code one of the sixteen gRPC codes
     * @param message what went wrong, for people. It is sent to the caller when a handler throws it.
     * @throws TypeError when the code is not one of the sixteen
     */
    constructor(code: MeshErrorCode, message: string, options?: MeshErrorOptions);
    /** Whether `value` is a `MeshError`, of this copy of the package or another. */
    static [Symbol.hasInstance](value: unknown): boolean;
    /**
     * A `MeshError` that says what `error` says: itself if it is one, else made
     * from the `code`, `reason` and `retryAfterMs` the addon puts on its errors.
     * Anything else becomes `INTERNAL`.
     */
    static from(error: unknown): MeshError;
    /** The public facts, without stack and cause. */
    toJSON(): Record<string, unknown>;
}

/**
 * What a handler knows about the call it answers: who calls, how much time is
 * left, and whether the answer is still wanted.
 */
declare class Context {
    #private;
    /** The method that was called. */
    readonly method: string;
    /** Who calls: the verified identity. */
    readonly caller: Caller;
    /** Which try of its caller this is, from 1. */
    readonly attempt: number;
    /** Names the request in logs: the session and a number. */
    get requestId(): string;
    /** What the caller sent beside the input. */
    get metadata(): Readonly<Record<string, string>>;
    /** Set entries here to send them beside the result. */
    get responseMetadata(): Record<string, string>;
    /** The W3C trace context the caller sent, if it did. */
    get traceparent(): string | undefined;
    /**
     * Aborted when the answer is no longer wanted: the caller cancelled, the
     * deadline passed, the peer was lost, or the mesh stops. Its `reason` is a
     * {@link MeshError} that says which. Pass it on to whatever takes time.
     */
    get signal(): AbortSignal;
    /** The time left for the answer, in ms, never below 0; `Infinity` without a deadline. */
    timeoutMs(): number;
    /**
     * Calls another service on behalf of this request: the call is cancelled
     * with it and has no more time than it.
     *
     * @throws MeshError as {@link SecureMeshClient.call}
     */
    call<TInput = unknown, TResult = unknown>(service: string, method: string, input?: TInput, options?: CallOptions): Promise<TResult>;
    /** A client whose calls are made on behalf of this request, as {@link Context.call} does. */
    connect(service: string): SecureMeshClient;
}

/** A duration: milliseconds, or text such as `'500ms'`, `'30s'`, `'15m'`, `'1h'`, `'7d'`. */
type Duration = number | string;
/** Where a service is found, and by which key it is known. */
interface ServiceConfig {
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
    publicKey?: string | undefined;
    /** Whatever there is to know of it. */
    metadata?: Record<string, string> | undefined;
    /** @deprecated Has no effect. */
    lastHealthCheck?: Date | undefined;
    /** @deprecated Has no effect. */
    status?: 'healthy' | 'unhealthy' | 'unknown' | undefined;
}
/**
 * Where log entries go. `console` is one. Nothing is logged without a logger,
 * and this package never prints.
 */
interface Logger {
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
interface MeshLimits {
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
interface SecurityConfig {
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
interface MeshConfig {
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
        /** The directory for log files. */
        logsDir?: string | undefined;
        /** The directory for metrics files. */
        metricsDir?: string | undefined;
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
        adapters?: unknown[] | undefined;
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
type SecureMeshConfig = MeshConfig;
/** What can be said about one call. */
interface CallOptions {
    /** Cancels the call, on both sides, when aborted. */
    signal?: AbortSignal | undefined;
    /** How long the call may take, in ms, 1…4,294,967,295. Default: 10,000. */
    timeoutMs?: number | undefined;
    /** Whether running the method twice does no harm, so that it may be tried again. Default: false. */
    idempotent?: boolean | undefined;
    /** Facts beside the input, for handlers' `ctx.metadata`. */
    metadata?: Record<string, string> | undefined;
}
/** How a method is served. */
interface HandlerOptions {
    /** The longest a request may take here, in ms, even if its caller would wait longer. */
    timeoutMs?: number | undefined;
    /** The services that may call it; others get `PERMISSION_DENIED`. Default: every authenticated one. */
    allow?: readonly string[] | undefined;
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
type Handler<TInput = any, TResult = unknown> = (input: TInput, context: Context) => TResult | Promise<TResult>;
/** How a peer proved who it is. */
type Trust = 'shared-secret' | 'embedded' | 'pinned' | 'pinned+secret';
/** Who is calling: always the verified identity, never a claimed one. */
interface Caller {
    /** The caller's service id. */
    readonly serviceId: string;
    /** The session the call came on. */
    readonly sessionId: string;
    /** How the caller proved who it is. */
    readonly trust: Trust;
    /** The claims of the caller's token. */
    readonly claims: Readonly<Record<string, unknown>>;
}
/** A session with another service. */
interface PeerSession {
    /** The service at the other end: the verified identity. */
    readonly serviceId: string;
    /** Names the session, on both sides. */
    readonly sessionId: string;
    /** Whether the other side opened it. */
    readonly inbound: boolean;
    /** How the other side proved who it is. */
    readonly trust: Trust;
    /** The key exchange that made the session's keys. */
    readonly suite: string;
    /** The size of its AES keys, in bits. */
    readonly aesKeySize: number;
}
/** What {@link SecureMesh.getStats} tells. */
interface MeshStats {
    /** This service's id. */
    service: string;
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
    /** @deprecated Use `activeSessions` and `messages`. */
    metrics: {
        /** Sessions. */
        connections: {
            /** Open now. */
            active: number;
        };
        /** As in {@link MeshStats.messages}. */
        messages: {
            /** Calls made and answers given. */
            sent: number;
            /** Requests and answers received. */
            received: number;
            /** Calls and requests that ended in an error. */
            failed: number;
        };
    };
}
/** What {@link SecureMesh.healthCheck} tells. */
interface HealthStatus {
    /** `healthy` while calls can be made and answered, `degraded` while it starts or drains, else `unhealthy`. */
    status: 'healthy' | 'degraded' | 'unhealthy';
    /** How many services discovery knows. */
    services: number;
    /** What was found, in detail. */
    details: {
        /** Where the mesh is in its life. */
        state: 'new' | 'starting' | 'ready' | 'draining' | 'closing' | 'closed';
        /** Where it listens. */
        address: {
            host: string;
            port: number;
        } | null;
        /** The core's own figures, while it runs. */
        [figure: string]: unknown;
    };
}

/**
 * Calls one service. Made by {@link SecureMesh.connect}; making one costs
 * nothing, and the first call establishes the session.
 */
declare class SecureMeshClient {
    #private;
    /**
     * A client with a mesh of its own, as 0.2.0 had it.
     *
     * @deprecated Use {@link SecureMesh.connect}.
     * @param serviceId the id of this process
     * @param targetServiceId the id of the service to call
     * @param address `host:port`
     * @param keysDir the key directory; default as for {@link SecurityConfig.keysDir}
     * @param protoPath ignored: the protocol is built in
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT` or `CONFIG`
     */
    constructor(serviceId: string, targetServiceId: string, address: string, keysDir?: string, protoPath?: string);
    /** The id of the service that is called. */
    get serviceId(): string;
    /**
     * Makes an encrypted, authenticated call and resolves with the handler's
     * result. The input is any JSON value, or a `Uint8Array` to send bytes; it
     * is taken as it is now, whatever is done to it afterwards.
     *
     * @param method the name under which the service has its handler
     * @throws MeshError what the handler threw, exactly, with `remote` true; or `DEADLINE_EXCEEDED`
     *   when the time ran out, `CANCELLED` when the signal was aborted, `UNAVAILABLE` when the
     *   service cannot be reached, `UNAUTHENTICATED` when one side could not prove who it is,
     *   `UNIMPLEMENTED` (`METHOD_NOT_FOUND`), `NOT_FOUND` (`UNKNOWN_SERVICE`), `INVALID_ARGUMENT`
     *   (`PAYLOAD`) for an input that cannot be sent, `RESOURCE_EXHAUSTED` (`TOO_LARGE`, `CALL_LIMIT`),
     *   `FAILED_PRECONDITION` (`NOT_INITIALIZED`, `CLOSED`)
     */
    call<TInput = unknown, TResult = unknown>(method: string, input?: TInput, options?: CallOptions): Promise<TResult>;
    /**
     * Waits until calls can be made.
     *
     * @deprecated The first call does what is needed.
     */
    connect(): Promise<void>;
    /**
     * Sends text to the service's `sendMessage` handler.
     *
     * @deprecated Use {@link SecureMeshClient.call}.
     */
    sendMessage(data: string): Promise<string>;
    /**
     * Gives up the client.
     *
     * @deprecated Use {@link SecureMesh.cleanup}.
     */
    disconnect(): void;
}

declare const asyncDispose: typeof Symbol.asyncDispose;
/**
 * A service of the mesh. It answers the methods it has handlers for, and calls
 * other services; every call is encrypted, and both sides have proved who
 * they are.
 *
 * The process lives on while a call is pending, and while the mesh listens
 * and has a handler; else it exits by itself, `cleanup` or not.
 *
 * @example
 * ```js
 * const mesh = new SecureMesh({ serviceId: 'orders', port: 50051 });
 * mesh.handle('orders.get', async ({ id }, ctx) => find(id, ctx.caller.serviceId));
 * await mesh.initialize();
 * ```
 */
declare class SecureMesh {
    #private;
    /**
     * Checks the configuration; nothing is opened, read or made yet.
     *
     * @throws MeshError `INVALID_ARGUMENT`, reason `CONFIG` (or `ID_SYNTAX`, `WEAK_SECRET`, `BAD_KEY`),
     *   naming the option by its path; `FAILED_PRECONDITION`, reason `ADDON`, when this platform has no
     *   binary
     */
    constructor(config: MeshConfig);
    /**
     * Loads or makes this service's keys and starts to listen. Making a
     * 4096-bit key takes a second or so, off the event loop. Doing it again, or
     * twice at once, does it once; after a failure it can be tried again.
     *
     * @throws MeshError `UNAVAILABLE` (`LISTEN`) when the port is taken; `FAILED_PRECONDITION`
     *   (`KEYDIR_…`) when the key directory is not safe or not usable, saying which file and what to
     *   do; `FAILED_PRECONDITION` (`CLOSED`) after `cleanup`
     */
    initialize(): Promise<void>;
    /**
     * A client for a service. Nothing is sent before its first call; clients
     * are kept, so the same service has the same one.
     *
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, when the id is no text
     */
    connect(serviceId: string): SecureMeshClient;
    /**
     * Answers calls of `method`. Handlers can be added before and after
     * {@link SecureMesh.initialize}.
     *
     * @throws MeshError `ALREADY_EXISTS` when the method has one; `INVALID_ARGUMENT`, reason `ARGUMENT`
     */
    handle<TInput = any, TResult = unknown>(method: string, handler: Handler<TInput, TResult>): this;
    /** Answers calls of `method` under conditions. */
    handle<TInput = any, TResult = unknown>(method: string, options: HandlerOptions, handler: Handler<TInput, TResult>): this;
    /** Where this service listens; `null` before it is initialized, and when it does not listen. */
    address(): {
        host: string;
        port: number;
    } | null;
    /**
     * This service's public key as PEM (SPKI): what others put into their `publicKey`.
     *
     * @throws MeshError `FAILED_PRECONDITION`, reason `NOT_INITIALIZED`, before it is initialized
     */
    publicKey(): string;
    /** Current statistics. */
    getStats(): MeshStats;
    /** Whether this service can be called and can call. Never rejects. */
    healthCheck(): Promise<HealthStatus>;
    /**
     * Stops in good order: takes no new calls, and waits for those under way.
     * When the time is up the rest is broken off, as by {@link SecureMesh.cleanup}.
     *
     * @param options.timeoutMs how long to wait at most, in ms. Default: 10,000.
     */
    drain(options?: {
        timeoutMs?: number;
    }): Promise<void>;
    /**
     * Stops at once. Calls still pending are rejected with `CANCELLED` or
     * `UNAVAILABLE`, reason `CLOSED`; the signals of requests being answered are
     * aborted. Doing it again, or while it is being done, changes nothing.
     */
    cleanup(): Promise<void>;
    /** The same as {@link SecureMesh.cleanup}, for `await using`. */
    [asyncDispose](): Promise<void>;
    /**
     * Forgets the client of a service.
     *
     * @deprecated Sessions are closed when they are idle, and by {@link SecureMesh.cleanup}.
     */
    disconnect(serviceId: string): Promise<void>;
}

/** This package's version. */
declare const version: string;

export { Context, MeshError, SecureMesh, SecureMeshClient, version };
export type { CallOptions, Caller, Duration, Handler, HandlerOptions, HealthStatus, Logger, MeshConfig, MeshErrorCode, MeshErrorOptions, MeshLimits, MeshStats, PeerSession, SecureMeshConfig, SecurityConfig, ServiceConfig, Trust };
