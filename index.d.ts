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

/** This package's version. */
declare const version: string;

export { MeshError, version };
export type { MeshErrorCode, MeshErrorOptions };
