// Generated from js/ by scripts/types.mjs. Do not edit.
/** What `await using` calls. Node has had the symbol since 18.18; a sandbox may lack it. */
declare const asyncDispose: typeof Symbol.asyncDispose;

/** The sixteen error codes of gRPC, by their canonical names. */
type MeshErrorCode = 'CANCELLED' | 'UNKNOWN' | 'INVALID_ARGUMENT' | 'DEADLINE_EXCEEDED' | 'NOT_FOUND' | 'ALREADY_EXISTS' | 'PERMISSION_DENIED' | 'RESOURCE_EXHAUSTED' | 'FAILED_PRECONDITION' | 'ABORTED' | 'OUT_OF_RANGE' | 'UNIMPLEMENTED' | 'INTERNAL' | 'UNAVAILABLE' | 'DATA_LOSS' | 'UNAUTHENTICATED';
/**
 * How many messages go each way: one and one; many and one; one and many; many
 * and many. The words are gRPC's.
 */
type CallKind = 'unary' | 'clientStream' | 'serverStream' | 'bidiStream';

/** What is sent one after the other. */
type Items<T = unknown> = AsyncIterable<T> | Iterable<T>;
/** What can be said about one call. */
interface CallOptions {
    /** Cancels the call, on both sides, when aborted. */
    signal?: AbortSignal | undefined;
    /** How long the call may take, in ms, above 0. Default: 10,000, or `limits.callTimeoutMs`. */
    timeoutMs?: number | undefined;
    /** Whether running the method twice does no harm, so that it may be tried again. Default: false. */
    idempotent?: boolean | undefined;
    /**
     * Names what this call does, so that it is done once however often it is
     * asked for: the service keeps the outcome for 10 minutes and gives it to
     * every later call with the same key, method and input. 1…128 visible ASCII
     * characters; a UUID is one. Implies `idempotent`. Unary calls only.
     */
    idempotencyKey?: string | undefined;
    /**
     * Facts beside the input, for handlers' `ctx.metadata`: names of letters,
     * digits, `.`, `_` and `-`, at most 64; in all at most 8,000 bytes as JSON.
     * `traceparent`, `tracestate` and `x-request-id` mean what they mean in HTTP.
     */
    metadata?: Record<string, string> | undefined;
    /** Takes what the handler set in `ctx.responseMetadata`, before the call resolves. What it throws rejects the call. */
    onResponseMetadata?: ((metadata: Readonly<Record<string, string>>) => void) | undefined;
    /**
     * Whether a call made by a handler has nothing to do with the request it
     * answers: it does not inherit deadline, cancellation, trace and request id.
     * Default: false.
     */
    detached?: boolean | undefined;
}
/** A call on its way out, as client middleware sees it. */
interface OutgoingCall {
    /** The service that is called. */
    readonly service: string;
    /** The method that is called. */
    readonly method: string;
    /** Its kind. */
    readonly kind: CallKind;
    /** The input; for `clientStream` and `bidiStream` the iterable of items. Can be replaced before `next()`. */
    input: unknown;
    /** This call's own copy of the options, with what it inherits; can be changed before `next()`. */
    readonly options: CallOptions & {
        /** What is sent beside the input, by lower-case names. */
        metadata: Record<string, string>;
    };
}
/**
 * Runs around the calls a mesh makes, by the same rules as {@link Middleware}.
 */
type ClientMiddleware = (call: OutgoingCall, next: () => Promise<unknown>) => unknown;

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
 * `HANDLER`, with an `errorId` and nothing of the original. So it does when the
 * handler lets through what one of its own calls failed with.
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

/** Anything that implements Standard Schema, version 1. */
interface StandardSchema<TInput = unknown, TOutput = TInput> {
    /** What the standard asks for. */
    readonly '~standard': {
        /** The standard's version. */
        readonly version: 1;
        /** Who made the library. */
        readonly vendor: string;
        /** Checks a value. */
        readonly validate: (value: unknown) => SchemaResult<TOutput> | Promise<SchemaResult<TOutput>>;
        /** What it takes and makes, for the compiler only. */
        readonly types?: {
            /** What it takes. */
            readonly input: TInput;
            /** What it makes. */
            readonly output: TOutput;
        } | undefined;
    };
}
/** What a schema says about a value. */
type SchemaResult<TOutput> = {
    /** The value as the schema makes it. */
    readonly value: TOutput;
    /** Nothing is wrong. */
    readonly issues?: undefined;
} | {
    /** What is wrong with the value; at least one thing. */
    readonly issues: readonly SchemaIssue[];
};
/** What is wrong with a value. */
interface SchemaIssue {
    /** For people. */
    readonly message: string;
    /** Where: property names and indices, or objects that hold one. */
    readonly path?: readonly (PropertyKey | {
        /** The property's name or the index. */
        readonly key: PropertyKey;
    })[] | undefined;
}
/** What a schema takes: what its caller writes. `unknown` without a schema. */
type SchemaInput<T> = T extends StandardSchema ? NonNullable<T['~standard']['types']>['input'] : unknown;
/** What a schema makes: what its handler reads. `unknown` without a schema. */
type SchemaOutput<T> = T extends StandardSchema ? NonNullable<T['~standard']['types']>['output'] : unknown;
/** An entry of `data.issues` of an error with the reason `VALIDATION`. */
interface ValidationIssue {
    /** Where in the input, from the outside in; empty for the input itself. */
    path: (string | number)[];
    /** What is wrong, as the schema says it. */
    message: string;
}

/** An error a method can answer with. Its name is the `reason`. */
interface ErrorDefinition {
    /** One of the sixteen gRPC codes. */
    readonly code: MeshErrorCode;
    /** What went wrong, for people. Default: the name. */
    readonly message?: string | undefined;
    /** A Standard Schema of `error.data`. Default: it has none. */
    readonly data?: StandardSchema | undefined;
    /** Whether the same call can succeed later. Default: true for `UNAVAILABLE`, else false. */
    readonly retryable?: boolean | undefined;
}
/** Errors by their names, which are upper-case words: `OUT_OF_STOCK`. */
type ErrorMap = Readonly<Record<string, ErrorDefinition>>;
/** A {@link MeshError} whose reason and data are known to the compiler. */
interface DeclaredError<TReason extends string, TData> extends MeshError {
    readonly reason: TReason;
    readonly data: TData;
}
/** The union of the errors of a map, as their receiver sees them. */
type DeclaredErrors<TErrors extends ErrorMap> = {
    [K in keyof TErrors & string]: DeclaredError<K, DataOf<TErrors[K]>>;
}[keyof TErrors & string];
type DataOf<T extends ErrorDefinition | undefined> = T extends {
    data: infer S extends StandardSchema;
} ? SchemaOutput<S> : undefined;
/** What one error of a declared kind says beyond its data. */
interface DeclaredErrorOptions {
    /** What went wrong, for people. Default: what is declared. */
    message?: string | undefined;
    /** How long to wait before trying again makes sense, in milliseconds. */
    retryAfterMs?: number | undefined;
    /** The error behind this one. It never leaves the process. */
    cause?: unknown;
}
/** Makes errors of a map: `throw ctx.errors.OUT_OF_STOCK({ sku })`. */
type ErrorFactories<TErrors extends ErrorMap> = {
    readonly [K in keyof TErrors & string]: TErrors[K] extends {
        /** The schema of its data. */
        data: infer S extends StandardSchema;
    } ? (data: SchemaInput<S>, options?: DeclaredErrorOptions) => DeclaredError<K, SchemaInput<S>> : (data?: undefined, options?: DeclaredErrorOptions) => DeclaredError<K, undefined>;
};

type OptionalSchema = StandardSchema | undefined;
/** What is said about a method of a contract. */
interface ProcedureDefinition<TInput extends OptionalSchema = OptionalSchema, TOutput extends OptionalSchema = OptionalSchema, TErrors extends ErrorMap = ErrorMap> {
    /** A Standard Schema of the input, or of each item the client sends. */
    readonly input?: TInput;
    /** A Standard Schema of the result, or of each item the service sends. */
    readonly output?: TOutput;
    /** The errors its callers can expect, by their names. */
    readonly errors?: TErrors;
    /** Whether running it twice does no harm, so that its calls may be tried again. Default: false. */
    readonly idempotent?: boolean | undefined;
    /**
     * Whether its callers check what they receive against `output`, and get what the schema makes of
     * it. JSON has no dates: with `z.coerce.date()` a caller then gets a `Date`, where it would get a
     * text; with `z.date()` the call fails. Default: false.
     */
    readonly checkOutput?: boolean | undefined;
}
/** A method of a contract. Made by {@link unary} and its like. */
interface Procedure<TKind extends CallKind = CallKind, TInput extends OptionalSchema = OptionalSchema, TOutput extends OptionalSchema = OptionalSchema, TErrors extends ErrorMap = ErrorMap> extends ProcedureDefinition<TInput, TOutput, TErrors> {
    /** How it is called. */
    readonly kind: TKind;
}
/** The methods of a contract, by their names. Made by {@link unary} and its like. */
type Procedures = Readonly<Record<string, {
    /** Which sides are streams. */
    readonly kind: CallKind;
}>>;
/** What a service offers. Made by {@link defineContract}. */
interface Contract<TProcedures extends Procedures = Procedures> {
    /** The first part of its methods' names, and the id of the service unless another is named. */
    readonly name: string;
    /** Its methods. */
    readonly procedures: TProcedures;
}
/** The errors a method declares, as its caller sees them. */
type ErrorsOf<T> = T extends {
    /** What the method declares. */
    readonly errors?: infer E;
} ? NonNullable<E> extends ErrorMap ? DeclaredErrors<NonNullable<E>> : never : never;
type Make<K extends CallKind> = <const TInput extends OptionalSchema = undefined, const TOutput extends OptionalSchema = undefined, const TErrors extends ErrorMap = {}>(definition?: ProcedureDefinition<TInput, TOutput, TErrors>) => Procedure<K, TInput, TOutput, TErrors>;
/**
 * A method that takes one input and answers with one result.
 *
 * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, naming what is wrong
 */
declare const unary: Make<'unary'>;
/** A method that takes one input and answers with many items. Throws as {@link unary}. */
declare const serverStream: Make<'serverStream'>;
/** A method that takes many items and answers with one result. Throws as {@link unary}. */
declare const clientStream: Make<'clientStream'>;
/** A method that takes many items and answers with many. Throws as {@link unary}. */
declare const bidiStream: Make<'bidiStream'>;
/**
 * What a service offers, for both sides: {@link SecureMesh.implement} and
 * {@link SecureMesh.connect}. Its methods are named `name.method`.
 *
 * @example
 * ```js
 * export const orders = defineContract('orders', {
 *   create: unary({ input: NewOrder, output: Order }),
 *   watch: serverStream({ input: Filter, output: OrderEvent }),
 * });
 * ```
 * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, naming what is wrong
 */
declare function defineContract<const TProcedures extends Procedures>(name: string, procedures: TProcedures): Contract<TProcedures>;

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
     * Calls a method that answers with many items. Leaving the loop cancels it
     * on the other side.
     *
     * @example
     * ```js
     * for await (const event of client.serverStream('orders.watch', { since })) { … }
     * ```
     * @param method the name under which the service has its handler
     * @throws MeshError as {@link SecureMeshClient.call}, from the iterator; `UNIMPLEMENTED`
     *   (`CALL_KIND`) when the method is of another kind
     */
    serverStream<TInput = unknown, TItem = unknown>(method: string, input?: TInput, options?: CallOptions): AsyncIterableIterator<TItem>;
    /**
     * Sends many items, and resolves with the one result.
     *
     * @param method the name under which the service has its handler
     * @param items what to send; no faster than the other side takes it
     * @throws MeshError as {@link SecureMeshClient.call}; `UNIMPLEMENTED` (`CALL_KIND`) when the method
     *   is of another kind
     */
    clientStream<TItem = unknown, TResult = unknown>(method: string, items: AsyncIterable<TItem> | Iterable<TItem>, options?: CallOptions): Promise<TResult>;
    /**
     * Sends many items and receives many, in whatever order the two sides like.
     *
     * @param method the name under which the service has its handler
     * @param items what to send; no faster than the other side takes it
     * @throws MeshError as {@link SecureMeshClient.serverStream}
     */
    bidiStream<TInput = unknown, TOutput = unknown>(method: string, items: AsyncIterable<TInput> | Iterable<TInput>, options?: CallOptions): AsyncIterableIterator<TOutput>;
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

/** A promise of a call whose declared errors the compiler knows. */
interface CallPromise<TResult, TError = never> extends Promise<TResult> {
    /** For the compiler only; it is never there. */
    readonly '~error'?: TError;
}
/** What {@link safe} resolves with. */
type SafeResult<TResult, TError = never> = {
    /** The call was answered. */
    readonly ok: true;
    /** Its result. */
    readonly data: TResult;
    /** Nothing went wrong. */
    readonly error?: undefined;
} | SafeFailure<TError> | {
    /** The call failed. */
    readonly ok: false;
    /** The error is none that the contract declares: the service, or the way to it, has failed. */
    readonly declared: false;
    /** Why. */
    readonly error: MeshError;
};
type SafeFailure<TError> = [TError] extends [never] ? never : {
    /** The call failed. */
    readonly ok: false;
    /** The error is one that the contract declares; its reason says which. */
    readonly declared: true;
    /** Which of the declared errors it is. */
    readonly error: TError;
};
/**
 * The outcome of a call as a value. It never rejects.
 *
 * @example
 * ```js
 * const result = await safe(client.create(order));
 * if (result.ok) return result.data;
 * if (result.declared && result.error.reason === 'OUT_OF_STOCK') return substitute(result.error.data);
 * throw result.error;
 * ```
 */
declare function safe<TResult, TError = never>(promise: CallPromise<TResult, TError> | Promise<TResult>): Promise<SafeResult<TResult, TError>>;
/**
 * Whether an error that was caught is one a method of a contract declares.
 *
 * @example
 * ```js
 * if (isDeclaredError(orders.procedures.create, error) && error.reason === 'OUT_OF_STOCK') { … }
 * ```
 */
declare function isDeclaredError<TErrors extends ErrorMap>(procedure: {
    readonly errors?: TErrors;
}, error: unknown): error is DeclaredErrors<TErrors>;

/** What is passed for `T`: it can be left out where it may be `undefined`. */
type InputArguments<T> = undefined extends T ? [input?: T, options?: CallOptions] : [input: T, options?: CallOptions];
type ClientMethod<T> = T extends Procedure<infer K, infer I, infer O, infer E> ? {
    unary: (...args: InputArguments<SchemaInput<I>>) => CallPromise<SchemaOutput<O>, DeclaredErrors<E>>;
    serverStream: (...args: InputArguments<SchemaInput<I>>) => AsyncIterableIterator<SchemaOutput<O>>;
    clientStream: (items: Items<SchemaInput<I>>, options?: CallOptions) => CallPromise<SchemaOutput<O>, DeclaredErrors<E>>;
    bidiStream: (items: Items<SchemaInput<I>>, options?: CallOptions) => AsyncIterableIterator<SchemaOutput<O>>;
}[K] : never;
/** A service, with a function for each method of its contract. */
type ContractClient<T extends Contract> = {
    readonly [K in keyof T['procedures']]: ClientMethod<T['procedures'][K]>;
};
/** Which service a client of a contract calls. */
interface ConnectOptions {
    /** The service's id. Default: the contract's name. */
    service?: string | undefined;
}

/**
 * What a handler knows about the call it answers: who calls, how much time is
 * left, and whether the answer is still wanted.
 */
declare class Context<TErrors extends ErrorMap = {}> {
    #private;
    /** The method that was called. */
    readonly method: string;
    /** How it was called. */
    readonly kind: CallKind;
    /** Who calls: the verified identity. */
    readonly caller: Caller;
    /** Which try of its caller this is, from 1. */
    readonly attempt: number;
    /** Makes the errors this method declares, by their names: `throw ctx.errors.OUT_OF_STOCK({ sku })`. */
    readonly errors: ErrorFactories<TErrors>;
    /** Names the request in logs: what the caller sent as `x-request-id`, else the session and a number. */
    get requestId(): string;
    /** What the caller sent beside the input. */
    get metadata(): Readonly<Record<string, string>>;
    /** Set entries here to send them beside the result. */
    get responseMetadata(): Record<string, string>;
    /** The W3C trace context the caller sent, if it sent one that is well formed. */
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
     * with it, has no more time than it, and continues its trace and request id.
     *
     * @throws MeshError as {@link SecureMeshClient.call}
     */
    call<TInput = unknown, TResult = unknown>(service: string, method: string, input?: TInput, options?: CallOptions): Promise<TResult>;
    /** A client of a contract, whose calls are made on behalf of this request. */
    connect<T extends Contract>(contract: T, options?: ConnectOptions): ContractClient<T>;
    /** A client whose calls are made on behalf of this request, as {@link Context.call} does. */
    connect(service: string): SecureMeshClient;
}

/** What a handler allows, and what is done around it. */
interface HandlerPolicy {
    /** The longest a request may take here, in ms, even if its caller would wait longer. */
    timeoutMs?: number | undefined;
    /** The services that may call it; others get `PERMISSION_DENIED`. Default: every authenticated one. */
    allow?: readonly string[] | undefined;
    /** Middleware around this handler, inside of the mesh's own, outermost first. */
    use?: readonly Middleware[] | undefined;
}
/** How a method is served. */
interface HandlerOptions<TInput extends StandardSchema | undefined = StandardSchema | undefined, TOutput extends StandardSchema | undefined = StandardSchema | undefined, TErrors extends ErrorMap = ErrorMap, TKind extends CallKind | undefined = CallKind | undefined> extends HandlerPolicy {
    /**
     * The kind of call it answers; others get `UNIMPLEMENTED`, reason
     * `CALL_KIND`. Default: whatever kind it is called with, but a generator
     * function answers `serverStream` and `bidiStream` only.
     */
    kind?: TKind;
    /**
     * A Standard Schema (zod, valibot, arktype and others) of the input, or of
     * each item that arrives. The handler gets what it makes of it; a caller who
     * sends anything else gets `INVALID_ARGUMENT`, reason `VALIDATION`, with
     * `data.issues`.
     */
    input?: TInput;
    /**
     * A Standard Schema of the result, or of each item that is sent. A result
     * that does not fit is this service's fault: its caller gets `INTERNAL`, and
     * the issues are logged.
     */
    output?: TOutput;
    /** The errors its callers can expect: the handler makes them by `ctx.errors`. */
    errors?: TErrors;
    /**
     * Whether running it twice does no harm. Outcomes are not kept for
     * idempotency keys then. Default: false.
     */
    idempotent?: boolean | undefined;
}
/**
 * Answers a method's calls. What it returns, or resolves with, is the result:
 * a JSON value, `undefined`, or a `Uint8Array` that arrives as one. What it
 * throws is the error: a `MeshError` arrives as thrown, anything else as
 * `INTERNAL` with an `errorId`, the original going to the logger only.
 *
 * @param input what the caller sent; unchecked, unless the handler has an `input` schema
 * @param context who calls, how much time is left, and so on
 */
type Handler<TInput = any, TResult = unknown, TErrors extends ErrorMap = {}> = (input: TInput, context: Context<TErrors>) => TResult | Promise<TResult>;
/**
 * A handler whose kind of call is known, and what it reads and answers with;
 * of items, if there are many. Without a kind it may answer with either.
 */
type HandlerOf<TKind extends CallKind | undefined, TInput, TOutput, TErrors extends ErrorMap = {}> = (input: TKind extends 'clientStream' | 'bidiStream' ? AsyncIterable<TInput> : TInput, context: Context<TErrors>) => MaybePromise<TKind extends 'unary' | 'clientStream' ? TOutput : TKind extends 'serverStream' | 'bidiStream' ? Items<TOutput> : TOutput | Items<TOutput>>;
type MaybePromise<T> = T | Promise<T>;
/**
 * Runs around handlers. `next()` runs what is inside, once, and resolves with
 * its result or rejects with its error; for a stream it resolves with
 * `undefined` when the stream is over.
 *
 * What a middleware returns is the answer. Returning `undefined` leaves the
 * answer as it is: `await next()` as the last line is enough. Without a call
 * of `next()` the handler does not run, and what is returned is the answer.
 * What it throws is treated as if the handler had thrown it.
 */
type Middleware = (context: Context, next: () => Promise<unknown>) => unknown;

type ProcedureHandler<T> = T extends Procedure<infer K, infer I, infer O, infer E> ? HandlerOf<K, SchemaOutput<I>, SchemaInput<O>, E> : never;
/** A handler for each method of a contract. */
type Implementation<T extends Contract> = {
    [K in keyof T['procedures']]: ProcedureHandler<T['procedures'][K]>;
};
/** What the handlers of a contract allow, and what is done around them. */
interface ImplementOptions<T extends Contract = Contract> extends HandlerPolicy {
    /** For single methods; what is said here wins. */
    methods?: {
        [K in keyof T['procedures']]?: HandlerPolicy;
    } | undefined;
}

/** A router of `@lemur-bookstores/secure-stack-core`, as `router().query(…).mutation(…)` makes it. */
interface RouterLike {
    /** Its procedures, by their names. */
    getRoutes(): ReadonlyMap<string, RouteLike>;
    /** What it runs around them. */
    getMiddlewares?(): readonly unknown[];
}
/** A procedure of a {@link RouterLike}. */
interface RouteLike {
    /** `query` and `mutation` are unary calls, `subscription` is a server stream. */
    readonly type: string;
    /** Its schemas and its handler, which gets `{ input, ctx }`. */
    readonly config: {
        /** The schema of its inputs. */
        readonly input?: unknown;
        /** The schema of its results. */
        readonly output?: unknown;
        /** What answers it. */
        readonly handler: (call: any) => unknown;
    };
}
/** Routers by their names, which become the first parts of their methods' names. */
interface RouterTree {
    readonly [name: string]: RouterLike | RouterTree;
}

/**
 * Where log entries go: `console`, a logger of pino or winston, or anything with
 * these methods. Nothing is logged without a logger, and this package never
 * prints.
 *
 * Each method gets a message and the fields. A logger of pino, and of bunyan,
 * is known by its `child` and its numeric levels, and gets them the other way
 * round, as it wants them; fields named `error` also come as `err`, which
 * those loggers know how to write. With winston and with JSON in mind an error
 * among the fields is given as an object with its name, message, stack and code,
 * where the logger is not `console`.
 */
interface Logger {
    /**
     * What helps to find a fault.
     *
     * @param fields further facts; never secrets
     */
    debug?(message: string, fields?: Record<string, unknown>): void;
    /**
     * What is as it should be.
     *
     * @param fields further facts; never secrets
     */
    info?(message: string, fields?: Record<string, unknown>): void;
    /**
     * What is not, and was dealt with.
     *
     * @param fields further facts; never secrets
     */
    warn?(message: string, fields?: Record<string, unknown>): void;
    /**
     * What somebody has to look at.
     *
     * @param fields further facts; never secrets
     */
    error?(message: string, fields?: Record<string, unknown>): void;
}

/** One entry of the audit log. */
interface MeshAuditEvent {
    /** Unique name. */
    id: string;
    /** When it happened. */
    timestamp: Date;
    /** What it is about: one of these words, or any other of the application's. */
    eventType: 'connection' | 'message' | 'key_rotation' | 'rate_limit' | 'circuit_breaker' | 'authorization' | 'error' | 'system' | (string & {});
    /** The service that reports it. */
    serviceId: string;
    /** The other side. */
    targetServiceId?: string;
    /** How it went. */
    details: {
        /** What was done. */
        action?: string;
        /** Whether it succeeded. */
        success: boolean;
        /** How long it took, in milliseconds. */
        duration?: number;
        /** How many messages. */
        messageCount?: number;
        /** Why it failed. */
        error?: string;
        /** Further facts; never secrets. */
        metadata?: Record<string, any>;
    };
}
/** Where audit entries and metrics go. */
interface MonitoringAdapter {
    /** Delivers an entry: resolves when it is delivered, rejects when it cannot be. */
    logEvent(event: MeshAuditEvent): Promise<void>;
    /** Delivers figures. */
    logMetrics?(metrics: any): Promise<void>;
    /** Delivers whatever it still holds. */
    flush?(): Promise<void>;
    /** Delivers whatever it still holds, and lets go of files and connections. */
    close?(): Promise<void>;
}

/** Settings of an {@link AuditLogger}. */
interface AuditLoggerConfig {
    /** Where entries go: to each of them. */
    adapters: MonitoringAdapter[];
    /** Whether anything is logged. Default: true. */
    enabled?: boolean | undefined;
    /** The most entries that wait for one adapter. Beyond, new ones are dropped and counted. Default: 10,000. */
    maxQueue?: number | undefined;
    /** How long an adapter may take for one entry: milliseconds or `'10s'`. Default: 30,000. */
    adapterTimeoutMs?: number | string | undefined;
    /**
     * Told of each entry that an adapter did not take: reason `AUDIT_DELIVERY`, with the adapter's
     * error as `cause`, or `AUDIT_LIMIT`. Default: nobody is told.
     */
    onError?: ((error: MeshError, event: MeshAuditEvent) => void) | undefined;
}
/** Figures about an {@link AuditLogger}. */
interface AuditLoggerStats {
    /** Entries that wait for an adapter now. */
    queued: number;
    /** Entries an adapter has taken. */
    delivered: number;
    /** Entries an adapter has refused, or not taken in time. */
    failed: number;
    /** Entries dropped because too many waited. */
    dropped: number;
}
/**
 * Writes the audit log: connections, key rotations, refused requests and
 * whatever else somebody may have to account for.
 *
 * Each adapter gets every entry, in order, one at a time; a slow or broken one
 * does not hold up the others. Logging never rejects for an adapter's sake.
 *
 * @example
 * ```js
 * const audit = new AuditLogger({ adapters: [new FileAdapter('/var/log/orders/audit.log')] });
 * await audit.logConnection('orders', 'stock', true);
 * await audit.close();
 * ```
 */
declare class AuditLogger {
    #private;
    /** @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: a setting is missing, misspelt or out of range */
    constructor(config: AuditLoggerConfig);
    /**
     * Logs an entry. Resolves when every adapter has taken or refused it; there
     * is no need to wait for that.
     *
     * @throws MeshError (as a rejection) `INVALID_ARGUMENT`, reason `ARGUMENT`: it is no audit entry
     */
    log(event: Omit<MeshAuditEvent, 'id' | 'timestamp'>): Promise<void>;
    /** A connection was made, or could not be. */
    logConnection(serviceId: string, targetServiceId: string, success: boolean, error?: string): Promise<void>;
    /** Messages were exchanged; `duration` in milliseconds. */
    logMessage(serviceId: string, targetServiceId: string, messageCount: number, duration: number): Promise<void>;
    /** A key was rotated, or could not be. */
    logKeyRotation(serviceId: string, success: boolean, error?: string): Promise<void>;
    /** A client met its quota. */
    logRateLimit(serviceId: string, clientId: string, blocked: boolean): Promise<void>;
    /** A circuit breaker changed its state. */
    logCircuitBreaker(serviceId: string, targetServiceId: string, state: string, error?: string): Promise<void>;
    /** Resolves when every entry logged until now has been taken or refused, and adapters hold none back. */
    flush(): Promise<void>;
    /** {@link flush}, then closes the adapters. Entries logged afterwards still go to them. */
    close(): Promise<void>;
    /** Figures of all adapters together. */
    getStats(): AuditLoggerStats;
}

/** Settings of a {@link KeyRotation}. */
interface KeyRotationConfig {
    /** The time between rotations: milliseconds or `'30d'`. */
    rotationInterval: number | string;
    /** Whether keys are rotated without being asked. Default: false. */
    autoRotate?: boolean | undefined;
    /**
     * Told of each new key. The fingerprint is that of its public half: the SHA-256 JWK thumbprint
     * (RFC 7638), as `CryptoManager.getThumbprint` gives it; empty where the keys have no
     * `getThumbprint`. What it throws is for {@link onError}.
     */
    onRotation?: ((newKeyFingerprint: string) => void) | undefined;
    /** Told when a rotation that nobody asked for fails. It is tried again, after a minute at most. */
    onError?: ((error: Error) => void) | undefined;
}
/** Whose key a {@link KeyRotation} replaces. */
interface RotatesKeys {
    /** Replaces the key. */
    rotate(): Promise<unknown> | unknown;
    /** The thumbprint of the key in use (RFC 7638). Without it `onRotation` gets an empty text. */
    getThumbprint?(): string;
}
/**
 * What 0.2.0 asked of its keys. A session key that is made replaces nothing: such a rotation
 * fails, with the object's own error or with `FAILED_PRECONDITION`.
 *
 * @deprecated Give the object a `rotate()`.
 */
interface MakesSessionKeys {
    /** Makes a key, which 0.2.0 then threw away. */
    generateSessionKey(): unknown;
}
/**
 * Replaces keys in time. A mesh does it by itself, as its option `rotation` says.
 *
 * The key of a {@link CryptoManager}: afterwards it encrypts nothing,
 * signs nothing and shows nothing with the former one, which only still opens
 * what was encrypted to it, until the next rotation.
 *
 * Its timer does not keep the process alive.
 *
 * @example
 * ```js
 * const rotation = new KeyRotation('orders', crypto, { rotationInterval: '30d', autoRotate: true });
 * ```
 */
declare class KeyRotation {
    #private;
    /**
     * @param serviceId whose key it is, for the audit log
     * @param cryptoManager whose key is replaced: a `CryptoManager`, initialized before the first
     *   rotation, or any other object with a `rotate()`
     * @param auditLogger gets an entry for each rotation, successful or not; an `AuditLogger`, or any
     *   other object with its `logKeyRotation`. What it throws is for `config.onError`
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: a setting is missing, misspelt or out of range
     */
    constructor(serviceId: string, cryptoManager: RotatesKeys | MakesSessionKeys, config: KeyRotationConfig, auditLogger?: Pick<AuditLogger, 'logKeyRotation'>);
    /**
     * Replaces the key now. When that is being done already, it resolves with it.
     * The next automatic rotation is a whole interval later.
     *
     * @throws MeshError (as a rejection) what `CryptoManager.rotate` throws; the key is then the former one
     */
    rotate(): Promise<void>;
    /** Begins automatic rotation, the first a whole interval from now; without effect where it has begun. */
    start(): void;
    /** Ends automatic rotation. `rotate` still works. */
    stop(): void;
    /** The same as {@link stop}. */
    destroy(): void;
}

/** How outcomes of calls with an idempotency key are kept: `resilience.idempotency`. */
interface IdempotencyConfig {
    /** How long an outcome is kept, 1 second to 1 day. Default: `'10m'`. */
    ttl?: number | string | undefined;
    /** The most keys known at a time, 100 to 10,000,000. Default: 100,000. */
    maxKeys?: number | undefined;
    /** The most bytes that keys and outcomes take, at least 1 MiB. Default: 64 MiB. */
    maxBytes?: number | undefined;
    /**
     * The share of `maxKeys` and of `maxBytes` that one calling service may use, 0.01 to 1.
     * Default: 0.25.
     */
    callerShare?: number | undefined;
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

/** What a {@link MetricsCollector} has counted since it was made or reset. */
interface MeshMetrics {
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
interface CallRecord {
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
declare class MetricsCollector {
    #private;
    /** A connection was made (`true`), or could not be. */
    recordConnection(success: boolean): void;
    /** A connection is over. */
    recordConnectionClosed(): void;
    /** A message was sent. */
    recordMessageSent(): void;
    /** A message was received. */
    recordMessageReceived(): void;
    /** A message failed. */
    recordMessageFailed(): void;
    /**
     * A call took this long.
     *
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: it is no number of milliseconds from 0
     */
    recordLatency(latencyMs: number): void;
    /** A request was within its quota. */
    recordRateLimitAllowed(): void;
    /** A request was beyond its quota. */
    recordRateLimitBlocked(): void;
    /**
     * A circuit breaker took a state.
     *
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: there is no such state
     */
    recordCircuitBreakerState(state: 'closed' | 'open' | 'half_open'): void;
    /**
     * A call of a method ended. Calls are counted by service, method and code;
     * beyond 500 pairs of service and method, together as `other`.
     *
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
     */
    recordCall({ service, method, latencyMs, code }: CallRecord): void;
    /** The figures as they are now. */
    getMetrics(): MeshMetrics;
    /**
     * The figures in the OpenMetrics text format, for Prometheus to scrape. Send it as
     * `application/openmetrics-text; version=1.0.0; charset=utf-8`.
     */
    toPrometheus(): string;
    /** Begins at zero. */
    reset(): void;
}

/** What a {@link CircuitBreaker} does with calls. */
declare enum CircuitState {
    /** All are made. */
    CLOSED = "closed",
    /** None is. */
    OPEN = "open",
    /** Only a few are, to find out whether it is well again. */
    HALF_OPEN = "half_open"
}
/** Settings of a {@link CircuitBreaker}. */
interface CircuitBreakerConfig {
    /** Failures within `monitoringPeriod` that open it. */
    failureThreshold: number;
    /** Successes that close it again. While half open, no more calls than these are let through. */
    successThreshold: number;
    /** How long it stays open: milliseconds or `'30s'`. */
    timeout: number | string;
    /** The sliding window failures are counted in: milliseconds or `'1m'`. Default: 60,000. */
    monitoringPeriod?: number | string | undefined;
    /**
     * The share of the window's calls that must have failed besides, 0 to 1, so that a few failures
     * of a busy service do not cut it off. Default: 0.5.
     */
    failureRate?: number | undefined;
    /**
     * Whether an error is a failure of what is protected. Default: one that is no {@link MeshError},
     * and `UNAVAILABLE`, `DEADLINE_EXCEEDED`, `INTERNAL`, `UNKNOWN`. An error of the caller's making is
     * none, and neither is a message that somebody has tampered with. `undefined` is for what says
     * nothing either way; `false` for an answer that is an error.
     */
    isFailure?: ((error: unknown) => boolean | undefined) | undefined;
    /** Told of each change. What it throws is ignored. */
    onStateChange?: ((state: CircuitState) => void) | undefined;
}
/**
 * Makes calls as long as enough of them succeed. After `failureThreshold`
 * failures within `monitoringPeriod` it opens: for `timeout` nothing is called,
 * and callers are told at once. Then it is half open: `successThreshold` calls
 * are let through, and no more at once. If they succeed it closes, if one fails
 * it opens anew.
 *
 * @example
 * ```js
 * const breaker = new CircuitBreaker({ failureThreshold: 5, successThreshold: 2, timeout: 30_000 });
 * const stock = await breaker.execute(() => fetchStock());
 * ```
 */
declare class CircuitBreaker {
    #private;
    /** @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: a setting is missing, misspelt or out of range */
    constructor(config: CircuitBreakerConfig);
    /**
     * Calls `fn`, if calls are made at present, and resolves or rejects as it does.
     *
     * @throws MeshError `UNAVAILABLE`, reason `CIRCUIT_OPEN`, with `retryAfterMs`: `fn` was not called
     */
    execute<T>(fn: () => Promise<T> | T): Promise<T>;
    /** The state. An open breaker whose `timeout` has passed is open until it is asked. */
    getState(): CircuitState;
    /** Closes it and forgets all failures. */
    reset(): void;
}

/** Settings of a {@link RateLimiter}. */
interface RateLimiterConfig {
    /** Requests in a window. */
    maxRequests: number;
    /** The window: milliseconds or `'1m'`. */
    windowMs: number | string;
    /** How long a client that asks for too much is refused at least. Default: 0, only while its quota is used up. */
    blockDuration?: number | string | undefined;
    /**
     * The most clients remembered at once. For a new one, the one nearest to a full quota is
     * forgotten. Default: 10,000.
     */
    maxKeys?: number | undefined;
}
/** What {@link RateLimiter.check} says. */
interface RateLimitResult {
    /** Whether the request is within the quota. */
    allowed: boolean;
    /** How many more would be allowed now. */
    remaining: number;
    /** When the whole quota is there again. */
    resetTime: Date;
    /** Whole seconds to wait, as in the header `Retry-After`, where the request is not allowed. */
    retryAfter?: number;
    /** The same in milliseconds. */
    retryAfterMs?: number;
}
/**
 * Bounds the requests of each client. A quota refills steadily, not at the edge
 * of a window, so nobody gets two windows' worth at once (GCRA, ITU-T I.371).
 *
 * Give it ids that have been verified: by a claimed one, anybody can use up
 * somebody else's quota.
 *
 * @example
 * ```js
 * const limiter = new RateLimiter({ maxRequests: 100, windowMs: 60_000 });
 * const { allowed, retryAfterMs } = limiter.check(ctx.caller.serviceId);
 * ```
 */
declare class RateLimiter {
    #private;
    /** @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: a setting is missing, misspelt or out of range */
    constructor(config: RateLimiterConfig);
    /**
     * Takes a request off a client's quota, if that allows it.
     *
     * @param clientId 1 to 1,024 bytes of text
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
     */
    check(clientId: string): RateLimitResult;
    /** {@link check}, as a promise: the shape of 0.2.0. */
    checkLimit(clientId: string): Promise<RateLimitResult>;
    /** Gives a client its whole quota back. */
    reset(clientId: string): void;
    /** How many clients are remembered. */
    get size(): number;
    /** Forgets all clients. There is no timer to stop. */
    destroy(): void;
}

/** Settings of a {@link RetryPolicy}. */
interface RetryPolicyConfig {
    /** Tries in all, 1 to 100. */
    maxAttempts: number;
    /** The longest delay after the first try: milliseconds or `'1s'`. Default: 100. */
    initialDelay?: number | string | undefined;
    /** The longest delay of all. Default: 30,000, or `initialDelay` if that is longer. */
    maxDelay?: number | string | undefined;
    /** How much longer delays may be from try to try, 1 to 100. Default: 2. */
    backoffMultiplier?: number | undefined;
    /**
     * The errors worth another try: their `code`, `reason` or `name`, or a part of their message.
     * Default: a {@link MeshError} that says it is `retryable`; of other errors all but those that
     * show a mistake in the program (`TypeError` and the like) or that it was cancelled (`AbortError`).
     */
    retryableErrors?: readonly string[] | undefined;
    /** Decides instead of `retryableErrors`. */
    isRetryable?: ((error: unknown, attempt: number) => boolean) | undefined;
    /** Whether delays are chosen at random up to their length, or are exactly as long. Default: true. */
    jitter?: boolean | undefined;
    /**
     * Bounds the retries of all `execute` together: at most `ratio` retries a call in the long run,
     * and `reserve` at once. Default: no bound but `maxAttempts`.
     */
    budget?: {
        /** Retries a call, in the long run; 0 to 1 or so. */
        ratio: number;
        /** Retries at once. Default: 10. */
        reserve?: number | undefined;
    } | undefined;
}
/** What can be said about one {@link RetryPolicy.execute}. */
interface RetryOptions {
    /** Ends the waiting, and the trying, when aborted. */
    signal?: AbortSignal | undefined;
}
/**
 * Calls a function until it succeeds, as often as allowed, with growing delays
 * of random length between the tries: callers that failed together do not come
 * back together.
 *
 * It cannot know whether a try that failed has done its work nevertheless. Use
 * it for what may be done twice.
 *
 * @example
 * ```js
 * const retry = new RetryPolicy({ maxAttempts: 3, initialDelay: 100 });
 * const page = await retry.execute(() => fetchPage());
 * ```
 */
declare class RetryPolicy {
    #private;
    /** @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: a setting is missing, misspelt or out of range */
    constructor(config: RetryPolicyConfig);
    /**
     * Calls `fn` until it succeeds, and resolves as it does.
     *
     * @param fn is given the number of the try, from 1
     * @throws what the last try threw, or the signal's reason
     */
    execute<T>(fn: (attempt: number) => Promise<T> | T, options?: RetryOptions): Promise<T>;
}

/** A duration: milliseconds, or text such as `'500ms'`, `'30s'`, `'15m'`, `'1h'`, `'7d'`. */
type Duration = number | string;

/**
 * The options that the core reads: a service's name, where it listens, and the sections about
 * trust, discovery and limits.
 */
interface CoreConfig {
    /** The service's name: letters, digits, `.`, `_`, `-`; 128 characters at most. */
    serviceId: string;
    /**
     * The port to listen on; 0 lets the system choose one. Environment: `SECURE_MESH_PORT`. Default:
     * nothing is listened on: the mesh only calls.
     */
    port?: number | undefined;
    /**
     * The address to listen on. Environment: `SECURE_MESH_HOST`. Default: loopback without security
     * options, all interfaces with a secret or a pinned key.
     */
    host?: string | undefined;
    /** Keys, tokens, sessions. */
    security?: SecurityConfig | undefined;
    /** The services that can be called. */
    discovery?: DiscoveryConfig | undefined;
    /** Who may call what here. */
    authorization?: AuthorizationConfig | undefined;
    /** Bounds on what the mesh holds and accepts. */
    limits?: MeshLimits | undefined;
    /** Directories. */
    paths?: PathsConfig | undefined;
}
/** How keys, tokens and sessions are made. */
interface SecurityConfig {
    /** The size of the RSA key in bits. Default: 4096. */
    rsaKeySize?: 2048 | 4096 | undefined;
    /** The size of the AES keys in bits. Default: 256. */
    aesKeySize?: 128 | 192 | 256 | undefined;
    /**
     * The secret shared by all services of the mesh: at least 32 bytes, 8 of them different, and no
     * short pattern repeated. Environment: `SECURE_MESH_JWT_SECRET`. Default: one made at the first
     * use and kept in the key directory, which only services of the same user on the same machine can
     * read.
     */
    jwtSecret?: string | undefined;
    /**
     * This service's RSA key, so that replicas share it and a new disk does not make a new service:
     * PEM (PKCS#8 or PKCS#1), or the absolute path of a file with it. The guide to containers says
     * which files are accepted. The key is neither stored nor logged, and `rotateKeys()` does not
     * replace it. The variable may hold it in one line with `\n` for the ends of lines. Environment:
     * `SECURE_MESH_PRIVATE_KEY`. Default: one that is made, and kept in the key directory.
     */
    privateKey?: string | undefined;
    /**
     * How long a token is valid, 1 s to 1 day. Environment: `SECURE_MESH_JWT_EXPIRATION`. Default: 1
     * hour.
     */
    jwtExpiration?: Duration | undefined;
    /**
     * How long an idle session stays open, 1 s to 30 days. Environment:
     * `SECURE_MESH_SESSION_TIMEOUT`. Default: 1 hour.
     */
    sessionTimeout?: Duration | undefined;
    /** How long a session lasts until it is replaced, busy or not, 1 s to 30 days. Default: 1 day. */
    sessionLifetimeMs?: Duration | undefined;
    /**
     * Whether a peer whose key is not the one it was first seen with is refused (`'enforce'`) or
     * accepted as long as it knows the secret (`'ignore'`). Pins always hold. Default: `'enforce'`.
     */
    peerKeys?: 'enforce' | 'ignore' | undefined;
    /** @deprecated Use `paths.keysDir`. */
    keysDir?: string | undefined;
}
/** Where services are. */
interface DiscoveryConfig {
    /** The services that can be called, with their addresses. Default: none. */
    services?: ServiceConfig[] | undefined;
}
/**
 * Where a service is found, and by which key it is known. A service that only calls, and does not
 * listen, has a `publicKey` and neither `host` nor `port`.
 */
interface ServiceConfig {
    /** The service's id. The same id may occur more than once: several instances. */
    id: string;
    /** Host name or address. */
    host?: string | undefined;
    /** TCP port, 1…65535. */
    port?: number | undefined;
    /**
     * The service's RSA public key, PEM (SPKI). With it the service is trusted by this key and no
     * other; without it, by the shared or the embedded secret.
     */
    publicKey?: string | undefined;
    /** Further facts about the service. */
    metadata?: Record<string, string> | undefined;
    /** @deprecated Has no effect. */
    lastHealthCheck?: Date | undefined;
    /** @deprecated Has no effect. */
    status?: 'healthy' | 'unhealthy' | 'unknown' | undefined;
}
/**
 * Which service may call which method here. Without it every service that has a session may call
 * every method, as far as the handler's `allow` permits.
 */
interface AuthorizationConfig {
    /**
     * The decision about a request that no rule matches. Default: `'deny'` once there is a rule, else
     * `'allow'`.
     */
    default?: 'deny' | 'allow' | undefined;
    /**
     * Whether a denial takes effect (`'enforce'`) or is only logged, audited and counted (`'audit'`).
     * Default: `'enforce'`.
     */
    mode?: 'enforce' | 'audit' | undefined;
    /**
     * The rules, at most 10,000. A request is permitted if a rule matches it and no rule with `deny`
     * does. Default: none.
     */
    rules?: AuthorizationRule[] | undefined;
    /**
     * The absolute path of a policy file, instead of the options above: JSON with the same options, 4
     * MiB at most. The mesh follows its changes. A file that is missing or broken at the start is an
     * error; one that breaks later leaves the previous policy in force and shows in `healthCheck()`.
     */
    file?: string | undefined;
}
/** A rule about requests: who may call what. */
interface AuthorizationRule {
    /**
     * The name of the rule in logs, metrics and errors: letters, digits, spaces, `.`, `_`, `-` and
     * `/`; 128 characters at most. Default: its place, as in `rules[3]`.
     */
    name?: string | undefined;
    /**
     * The callers: service ids, SPIFFE ids, SPIFFE ids that end in `/*` for everything below, or
     * `'*'` for every caller.
     */
    from: readonly string[];
    /** The methods: names, names that end in `.*` for everything below, or `'*'` for every method. */
    to: readonly string[];
    /**
     * Methods that this rule does not match, in the form of `to`. Other rules may still match them.
     * Default: none.
     */
    except?: readonly string[] | undefined;
    /** Further conditions, all of which must hold. Default: none. */
    when?: AuthorizationConditions | undefined;
    /**
     * Whether the rule denies what it matches. A denial outweighs every rule that permits. Default:
     * false.
     */
    deny?: boolean | undefined;
}
/** The further conditions of a rule. */
interface AuthorizationConditions {
    /**
     * Metadata that the request must carry, with exactly these values. The caller states its
     * metadata; nothing proves it.
     */
    metadata: Record<string, string>;
}
/** Directories. */
interface PathsConfig {
    /** @deprecated The protocol is built in: this is ignored, with a warning to the logger. */
    protoFile?: string | undefined;
    /**
     * The directory for this service's key pair, the embedded secret and the keys of known peers.
     * Environment: `SECURE_MESH_KEYS_DIR`. Default: `secure-stack-mesh` in the user's state directory
     * (`XDG_STATE_HOME`, `~/.local/state`).
     */
    keysDir?: string | undefined;
    /** The directory for the audit log, where `monitoring` has no adapters. */
    logsDir?: string | undefined;
    /** The directory for metrics beside that log. Default: they are not kept. */
    metricsDir?: string | undefined;
}
/** Bounds on what one mesh holds and accepts: on everything that a peer can make grow. */
interface MeshLimits {
    /** The largest payload, either way, in bytes. Default: 4 MiB. */
    maxMessageBytes?: number | undefined;
    /** The most calls in flight on one session, each way. Default: 1,024. */
    maxConcurrentCalls?: number | undefined;
    /** The most calls this mesh has in flight in all. Default: 16,384. */
    maxPendingCalls?: number | undefined;
    /**
     * The most calls in a chain, each made by the handler of the previous one, 1…254. It ends a
     * circle of services that call one another: `CALL_DEPTH`, with the path. Default: 64.
     */
    maxCallDepth?: number | undefined;
    /** The most sessions accepted in all. Default: 10,000. */
    maxSessions?: number | undefined;
    /** The most sessions accepted from one service. Default: 64. */
    maxSessionsPerPeer?: number | undefined;
    /**
     * The most handshakes in progress. Four times as many streams may wait for their first message.
     * Default: 256.
     */
    maxPendingHandshakes?: number | undefined;
    /** The most handshakes in progress from one address. Default: 64. */
    maxPendingHandshakesPerAddress?: number | undefined;
    /**
     * The most TCP connections accepted. A quarter, at most 2,048, may have no session, and are
     * evicted for newcomers. Default: 12,000.
     */
    maxConnections?: number | undefined;
    /** The time a connection has for its handshake, or for a health check, in ms. Default: 10 s. */
    handshakeTimeoutMs?: number | undefined;
    /** The time a call has unless it says otherwise, in ms. Default: 10 s. */
    callTimeoutMs?: number | undefined;
}

/** How a mesh is set up: the argument of {@link SecureMesh}. */
interface MeshConfig extends CoreConfig {
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
interface SecureMeshConfig extends Omit<MeshConfig, 'security'> {
    /** As in {@link MeshConfig}. */
    security?: Omit<SecurityConfig, 'rsaKeySize' | 'aesKeySize'> & {
        /** Bits of the RSA key: 2048 or 4096. Default: 4096. */
        rsaKeySize?: number | undefined;
        /** Bits of the AES keys: 128, 192 or 256. Default: 256. */
        aesKeySize?: number | undefined;
    };
}
/** What {@link SecureMesh.getStats} tells. */
interface MeshStats {
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
/** A request, for {@link SecureMesh.explain}. */
interface AuthorizationRequest {
    /** The service id of the caller. */
    from: string;
    /** The SPIFFE id of the caller's certificate. Default: it has shown none. */
    spiffeId?: string | undefined;
    /** The method. */
    method: string;
    /** The metadata of the request. Default: none. */
    metadata?: Readonly<Record<string, string>> | undefined;
}
/** The decision about a request, with its reason. */
interface AuthorizationExplanation {
    /** Whether the policy permits it. A handler's `allow` may still refuse it. */
    allowed: boolean;
    /** The rule that decides: its `name`, or its place as in `rules[3]`; `null` for the default. */
    rule: string | null;
    /** A sentence about it, for people. */
    why: string;
}
/** Where a service listens. */
interface MeshAddress {
    /** An IP address. */
    host: string;
    /** A port, 1 to 65,535. */
    port: number;
}
/** What {@link SecureMesh.healthCheck} tells. */
interface MeshHealth {
    /**
     * `healthy` while calls can be made and answered, `degraded` while it starts or drains, or its
     * policy file is broken, else `unhealthy`.
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
        /** The policy in force; absent without `authorization`, and while the mesh does not run. */
        authorization?: {
            /** Whether denials take effect. */
            mode: 'enforce' | 'audit';
            /** The number of rules. */
            rules: number;
            /** The policy file; `null` for a policy in the options. */
            file: string | null;
            /** The fault of the policy file; `null` if there is none. The previous policy is in force meanwhile. */
            problem: string | null;
        };
        /** The core's own figures, while it runs. */
        [figure: string]: any;
    };
}

/** How the mesh's secret is replaced. */
interface RotateMeshSecretOptions {
    /**
     * How long the former secret is accepted, and offered to peers that refuse the new one:
     * milliseconds or `'15m'`. 0 ends it at once. Default: `'24h'`.
     */
    graceMs?: number | string;
}

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
     * @throws MeshError as above
     * @deprecated The shape of 0.2.0. Use a {@link MeshConfig}.
     */
    constructor(config: SecureMeshConfig);
    /**
     * Loads or makes this service's keys and starts to listen. Making a
     * 4096-bit key takes a second or so, off the event loop. Doing it again, or
     * twice at once, does it once; after a failure it can be tried again.
     *
     * @throws MeshError `FAILED_PRECONDITION`: reason `LISTEN` when the port is taken; `KEYDIR_…` when
     *   the key directory is not safe or not usable, saying which file and what to do; `CLOSED` after
     *   `cleanup`
     */
    initialize(): Promise<void>;
    /**
     * A client with a function for each method of a contract, typed by it.
     *
     * @example
     * ```js
     * const client = mesh.connect(orders);
     * const order = await client.create({ sku: 'A-1' }, { timeoutMs: 800 });
     * ```
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
     */
    connect<T extends Contract>(contract: T, options?: ConnectOptions): ContractClient<T>;
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
     * @throws MeshError `ALREADY_EXISTS` when the method has one; `INVALID_ARGUMENT`, reason `ARGUMENT`;
     *   `FAILED_PRECONDITION`, reason `CLOSED`, once the mesh is closing
     */
    handle<TInput = any, TResult = unknown>(method: string, handler: Handler<TInput, TResult>): this;
    /**
     * Answers calls of `method`, of one kind, under conditions, checking what is
     * received and sent: see {@link HandlerOptions}. Throws as above.
     */
    handle<TInput extends StandardSchema | undefined = undefined, TOutput extends StandardSchema | undefined = undefined, const TErrors extends ErrorMap = {}, TKind extends CallKind | undefined = undefined>(method: string, options: HandlerOptions<TInput, TOutput, TErrors, TKind>, handler: HandlerOf<TKind, TInput extends StandardSchema ? SchemaOutput<TInput> : any, SchemaInput<TOutput>, TErrors>): this;
    /** The same, for a handler whose types are written out. */
    handle<TInput = any, TResult = unknown>(method: string, options: HandlerOptions<undefined, undefined>, handler: Handler<TInput, TResult>): this;
    /**
     * Answers the methods of a contract, all of them.
     *
     * @example
     * ```js
     * mesh.implement(orders, {
     *   async create(input, ctx) {
     *     if (!(await inStock(input.sku))) throw ctx.errors.OUT_OF_STOCK({ sku: input.sku });
     *     return save(input);
     *   },
     * });
     * ```
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, when a handler is missing or is for no
     *   method of the contract; `ALREADY_EXISTS` when one of them has a handler. None is added then.
     */
    implement<T extends Contract>(contract: T, handlers: Implementation<T>, options?: ImplementOptions<T>): this;
    /**
     * Answers the procedures of a router of `@lemur-bookstores/secure-stack-core`:
     * queries and mutations as unary calls, subscriptions as server streams, each
     * with the router's schemas and middleware. A handler's `ctx` is the
     * {@link Context}.
     *
     * @example
     * ```js
     * mesh.mount({ product: router().query('get', { handler: ({ input, ctx }) => find(input.id) }) });
     * await client.call('product.get', { id: 7 });
     * ```
     * @param router a router, or routers by the first parts of their methods' names, as deep as you like
     * @param policy what all of them allow
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`; `ALREADY_EXISTS`. None is added then.
     */
    mount(router: RouterLike | RouterTree, policy?: HandlerPolicy): this;
    /** The same, with a name before the names of its methods. */
    mount(name: string, router: RouterLike | RouterTree, policy?: HandlerPolicy): this;
    /**
     * Puts a middleware around every handler, those added before and after,
     * inside of the middleware that is there.
     *
     * @example
     * ```js
     * mesh.use(async (ctx, next) => {
     *   const start = performance.now();
     *   try {
     *     return await next();
     *   } finally {
     *     log(ctx.method, ctx.caller.serviceId, performance.now() - start);
     *   }
     * });
     * ```
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, when it is no function
     */
    use(middleware: Middleware): this;
    /**
     * Puts a middleware around every call this mesh makes, inside of the
     * middleware that is there. It can change the input and the options before
     * `next()`, and the result after.
     *
     * @example
     * ```js
     * mesh.useClient((call, next) => {
     *   call.options.metadata.tenant = 't1';
     *   return next();
     * });
     * ```
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, when it is no function
     */
    useClient(middleware: ClientMiddleware): this;
    /** Where this service listens; `null` before it is initialized, and when it does not listen. */
    address(): MeshAddress | null;
    /**
     * This service's public key as PEM (SPKI): what others put into their `publicKey`.
     *
     * @throws MeshError `FAILED_PRECONDITION`, reason `NOT_INITIALIZED`, before it is initialized
     */
    publicKey(): string;
    /**
     * Replaces this service's RSA key: a new one is made, which takes a second or so off the event
     * loop, and stored in the key directory before it is used. New sessions show it, with a statement
     * of the former key that it is its successor; peers that remember the former one then remember
     * the new one. Sessions under way end with the calls they carry, and no call is lost.
     *
     * A peer that **pins** the former key (`publicKey`) refuses the new one until it pins that. A peer
     * that misses two rotations, or shares no session in between, has to accept the key by hand; the
     * error says how. Of several processes of one service that share a key directory rotate one and
     * then each of the others: those take the new key over.
     *
     * @returns the new key's SHA-256 JWK thumbprint (RFC 7638), also in {@link MeshStats.keyThumbprint}
     * @throws MeshError `FAILED_PRECONDITION`, reason `NOT_INITIALIZED`, before it is initialized;
     *   reason `KEYDIR_…` when the key cannot be stored: the key is then the former one
     */
    rotateKeys(): Promise<string>;
    /**
     * Uses another mesh secret (`security.jwtSecret`) from now on. For the time of grace peers that
     * still have the former one are served, and called, as before: services change it one after the
     * other, in any order, without a failed call. Then the former secret is refused with the reason
     * `SECRET_RETIRED`, and sessions end with the calls they carry.
     *
     * It is not stored: give it to the configuration as well, for the next start.
     *
     * @param secret at least 32 bytes, new here
     * @param options.graceMs milliseconds or `'15m'`, a year at most. No previous secret outlives it, whatever an
     *   earlier rotation promised: with 0 only the new secret counts. Default: `'24h'`.
     * @throws MeshError `INVALID_ARGUMENT`, reason `WEAK_SECRET`, or `ARGUMENT` when it is or was in use
     *   here; `FAILED_PRECONDITION`, reason `ARGUMENT` without `security.jwtSecret`, `NOT_INITIALIZED`
     *   before it is initialized
     */
    rotateSecret(secret: string, options?: RotateMeshSecretOptions): Promise<void>;
    /**
     * Explains which rule of `authorization` decides about a request, and why. It looks at the policy
     * in force, not at the handler's `allow`, and records nothing.
     *
     * @example
     * ```js
     * mesh.explain({ from: 'gateway', method: 'orders.delete' });
     * // { allowed: false, rule: null, why: "no rule matches orders.delete of gateway; the default is 'deny'" }
     * ```
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT` or `ID_SYNTAX`; `FAILED_PRECONDITION`,
     *   reason `NOT_INITIALIZED`, before it is initialized
     */
    explain(request: AuthorizationRequest): AuthorizationExplanation;
    /** Current statistics. */
    getStats(): MeshStats;
    /** Whether this service can be called and can call. Never rejects. */
    healthCheck(): Promise<MeshHealth>;
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
     * Stops at once. Calls still pending are rejected with `CANCELLED`, reason
     * `CLOSED`; the signals of requests being answered are aborted. Doing it
     * again, or while it is being done, changes nothing.
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

/**
 * Answers the calls of a {@link SecureMeshClient}, as 0.2.0 had it. Unless it
 * is given a handler for them, messages are answered with `Echo: ` and their
 * text.
 *
 * @deprecated Use {@link SecureMesh.handle}.
 * @example
 * ```js
 * const server = new SecureMeshServer('orders');
 * await server.start(50051);
 * ```
 */
declare class SecureMeshServer {
    #private;
    /**
     * @param serviceId the id of this service
     * @param keysDir the key directory; default as for `paths.keysDir`
     * @param rateLimitConfig the requests each caller may make; default: any number
     * @param _protoPath ignored: the protocol is built in
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
     */
    constructor(serviceId: string, keysDir?: string, rateLimitConfig?: RateLimiterConfig, _protoPath?: string);
    /**
     * Answers calls of `method`; of `sendMessage`, instead of the echo.
     *
     * @throws MeshError `FAILED_PRECONDITION`, reason `ARGUMENT`: the server has been started
     */
    handle(method: string, handler: Handler): this;
    /**
     * Begins to listen.
     *
     * @param port 1…65535, or 0 for any free one, which {@link address} tells
     * @throws MeshError (as a rejection) as {@link SecureMesh.initialize}, and for a wrong setting as the
     *   constructor of {@link SecureMesh}; `ALREADY_EXISTS`, reason `ARGUMENT`: it has been started
     */
    start(port: number): Promise<void>;
    /** Where it listens; `null` while it does not. */
    address(): MeshAddress | null;
    /** Stops at once. It can be started again. */
    stop(): void;
    /** The same as {@link stop}, and resolves when it is done. */
    close(): Promise<void>;
}

/** Prints audit entries and metrics, a line each, with everything visible that could deceive a reader. */
declare class ConsoleAdapter implements MonitoringAdapter {
    /** Prints an entry. */
    logEvent(event: MeshAuditEvent): Promise<void>;
    /** Prints figures. */
    logMetrics(metrics: any): Promise<void>;
}

/**
 * What can be encrypted, signed or authenticated: a string as its UTF-8 bytes,
 * bytes as they are, anything else as `JSON.stringify` writes it.
 */
type CryptoData = string | Uint8Array | ArrayBuffer | object | number | boolean | null;

/**
 * An envelope: data encrypted to one RSA key and signed by another. It holds
 * strings and a number only, so it survives JSON. The format is specified in
 * `docs/envelope.md`.
 */
interface EncryptedData {
    /** The format's version: 1. */
    version: number;
    /** AES-GCM ciphertext, base64. */
    encryptedData: string;
    /** The wrapped secret, base64. */
    encryptedKey: string;
    /** 96-bit nonce, base64. */
    iv: string;
    /** 128-bit tag, base64. */
    authTag: string;
    /** HMAC-SHA256 over all of the above, hexadecimal. */
    hmac: string;
    /** The sender's RSASSA-PSS signature over all of that, base64. */
    signature: string;
}
/** An envelope as 0.2.0 wrote it. */
type LegacyEncryptedData = Omit<EncryptedData, 'version' | 'signature'>;
/** Options of {@link CryptoManager.decrypt}. */
interface DecryptOptions {
    /**
     * Reads an envelope of 0.2.0 instead. Nothing in it says who made it; read it
     * to encrypt it anew. Default: false.
     */
    legacy?: boolean;
}

/** An RSA key pair in PEM. */
interface KeyPair {
    /** The public half: a `PUBLIC KEY` block (SPKI). */
    publicKey: string;
    /** The private half: a `PRIVATE KEY` block (PKCS#8). Whoever has it is the service. */
    privateKey: string;
}
/** The size of an RSA key in bits. */
type RsaKeySize = 2048 | 3072 | 4096;
/**
 * Keeps RSA key pairs in a directory of mode 0700, in files of mode 0600 that
 * appear whole or not at all. File names are hashes of the names given here.
 *
 * The directory is opened when it is first needed. If other users have access
 * to it or to a file in it, if it belongs to another user, or is a symbolic
 * link, the methods throw `FAILED_PRECONDITION` with reason `KEYDIR_MODE`,
 * `KEYDIR_OWNER` or `KEYDIR_TYPE`, and a message that says how to repair it;
 * `KEYDIR_CORRUPT` for a damaged file, `KEYDIR_IO` for what the operating
 * system refuses.
 *
 * Names follow the rules for service ids: 1 to 128 ASCII letters, digits, `.`,
 * `_` and `-`, beginning and ending with a letter or digit. Another name throws
 * `INVALID_ARGUMENT`, reason `ID_SYNTAX`.
 *
 * Each method blocks for as long as the file system takes, and for seconds
 * where a key is made; its `…Async` twin does the same off the event loop.
 */
declare class KeyManager {
    #private;
    /**
     * Nothing is read or made yet.
     *
     * @param keyDir the directory. Default: `SECURE_MESH_KEYS_DIR`, or
     *   `secure-stack-mesh` in the user's state directory; never below the
     *   working directory.
     * @param keySize bits of the keys: 2048, 3072 or 4096. Default: 4096 for new
     *   keys, and stored ones may have any size. With a size, a stored key of
     *   another one throws `FAILED_PRECONDITION`, reason `KEYDIR_KEY_SIZE`.
     */
    constructor(keyDir?: string, keySize?: RsaKeySize);
    /** Makes a key pair and stores it nowhere. 4096 bits take seconds: prefer {@link generateKeyPairAsync}. */
    generateKeyPair(): KeyPair;
    /** {@link generateKeyPair}, off the event loop. */
    generateKeyPairAsync(): Promise<KeyPair>;
    /**
     * Stores a key pair under `name`, in place of one that is there; or, if only
     * `publicKey` is given, another service's public key, which then stays.
     *
     * @throws MeshError `INVALID_ARGUMENT`, reason `BAD_KEY`: not RSA keys in PEM
     *   of 2048 to 4096 bits with exponent 65537, or not halves of one pair.
     *   `UNAUTHENTICATED`, reason `PEER_KEY_CHANGED`: another public key is
     *   stored under `name`. `RESOURCE_EXHAUSTED`, reason `KEYDIR_FULL`: 4096
     *   public keys are stored.
     */
    saveKeyPair(name: string, keyPair: Partial<KeyPair>): void;
    /** {@link saveKeyPair}, off the event loop. */
    saveKeyPairAsync(name: string, keyPair: Partial<KeyPair>): Promise<void>;
    /**
     * The key pair stored under `name`, or `null`. Where only another service's
     * public key is stored, `privateKey` is empty.
     */
    loadKeyPair(name: string): KeyPair | null;
    /** {@link loadKeyPair}, off the event loop. */
    loadKeyPairAsync(name: string): Promise<KeyPair | null>;
    /**
     * The key pair stored under `name`, made when there is none. Processes that
     * do this together get the same one.
     */
    getOrCreateKeyPair(name: string): KeyPair;
    /** {@link getOrCreateKeyPair}, off the event loop. */
    getOrCreateKeyPairAsync(name: string): Promise<KeyPair>;
}

/** The size of an AES key in bits. */
type AesKeySize = 128 | 192 | 256;
/** Options of {@link CryptoManager}. */
interface CryptoManagerOptions {
    /** Bits of the RSA key: 2048, 3072 or 4096. Default: 4096, or those of the stored key. */
    rsaKeySize?: RsaKeySize;
    /** Bits of the AES key of each envelope: 128, 192 or 256. Default: 256. */
    aesKeySize?: AesKeySize;
    /**
     * The directory to keep the key in, for `initialize(serviceId)`. Default:
     * `SECURE_MESH_KEYS_DIR`, or `secure-stack-mesh` in the user's state
     * directory.
     */
    keysDir?: string;
    /** Where to get the key from, instead of `keysDir`. */
    keyManager?: KeyManager | Pick<KeyManager, 'getOrCreateKeyPair'>;
}
/**
 * Encrypts, decrypts, signs and verifies with one RSA key pair.
 *
 * `encrypt` makes an envelope: a fresh AES-GCM key per message, wrapped with
 * RSA-OAEP-SHA256, all of it under an HMAC-SHA256 and the sender's RSA-PSS
 * signature. `decrypt` with the sender's public key proves who sent it.
 *
 * `initialize()` makes the key off the event loop. A synchronous method called
 * before it is done waits for it; one called without it throws
 * `FAILED_PRECONDITION`, reason `NOT_INITIALIZED`. RSA takes up to a few
 * milliseconds per operation; the `…Async` twins spend them off the event loop.
 *
 * Public keys are RSA keys in PEM of 2048 to 4096 bits with the exponent 65537.
 * Others throw `INVALID_ARGUMENT`, reason `BAD_KEY`.
 *
 * @example
 * ```js
 * const crypto = new CryptoManager({ rsaKeySize: 4096, aesKeySize: 256 });
 * await crypto.initialize();
 * const encrypted = crypto.encrypt(data, recipientPublicKey);
 * const decrypted = crypto.decrypt(encrypted, senderPublicKey);
 * ```
 */
declare class CryptoManager {
    #private;
    /**
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: an option is
     *   unknown or has an impossible value.
     */
    constructor(options?: CryptoManagerOptions);
    /**
     * @throws MeshError as above
     * @deprecated The shape of 0.2.0, where the size is any number until the program runs.
     */
    constructor(options?: Omit<CryptoManagerOptions, 'aesKeySize'> & {
        /** Bits of the AES keys: 128, 192 or 256. Default: 256. */
        aesKeySize?: number | undefined;
    });
    /**
     * Makes the key pair, in memory; or, for a service id, loads it from the key
     * directory, where it is made the first time. Resolves when the key is
     * there. Calling it again changes nothing, unless the last time failed.
     *
     * @param serviceId whose key to load. `KeyManager` says what is asked of the
     *   key directory and how it fails.
     */
    initialize(serviceId?: string): Promise<void>;
    /** This side's public key, PEM (SPKI): what others encrypt to and verify with. */
    getPublicKey(): string;
    /** The public key's SHA-256 JWK thumbprint (RFC 7638), base64url: its name. */
    getThumbprint(): string;
    /**
     * Encrypts `data` to the owner of `recipientPublicKey` and signs it.
     *
     * @returns an envelope for {@link decrypt}
     * @throws MeshError `INVALID_ARGUMENT`, reason `BAD_KEY` or `ARGUMENT`
     */
    encrypt(data: CryptoData, recipientPublicKey: string): EncryptedData;
    /** {@link encrypt}, off the event loop. `data` may change as soon as this returns. */
    encryptAsync(data: CryptoData, recipientPublicKey: string): Promise<EncryptedData>;
    /**
     * Opens an envelope that was encrypted to this key, or to the one before
     * {@link rotate}, and that the owner of `senderPublicKey` signed.
     *
     * @returns the bytes that were encrypted; `.toString()` gives the string,
     *   `JSON.parse` the object
     * @throws MeshError `INVALID_ARGUMENT`, reason `DECRYPT_FAILED`: it is not
     *   for this key, not from this sender, or damaged; deliberately it is not
     *   told which. Reason `ENVELOPE_FORMAT`: a member is malformed.
     */
    decrypt(encrypted: EncryptedData, senderPublicKey: string): Buffer;
    /**
     * Opens an envelope **without proof of who made it**: whoever has this public
     * key may have.
     *
     * @deprecated Give the sender's public key too.
     */
    decrypt(encrypted: EncryptedData): Buffer;
    /** Opens an envelope of 0.2.0, without proof of who made it. */
    decrypt(encrypted: LegacyEncryptedData, senderPublicKey: undefined, options: {
        legacy: true;
    }): Buffer;
    /** {@link decrypt}, off the event loop. */
    decryptAsync(...args: [
        encrypted: EncryptedData | LegacyEncryptedData,
        senderPublicKey?: string,
        options?: DecryptOptions
    ]): Promise<Buffer>;
    /** A fresh random AES key of `aesKeySize` bits. */
    generateSessionKey(): Buffer;
    /**
     * Encrypts a few bytes, such as a key, with RSA-OAEP-SHA256 alone. It says
     * nothing about the sender.
     *
     * @param data at most 446 bytes for a key of 4096 bits, 190 for one of 2048;
     *   `INVALID_ARGUMENT`, reason `TOO_LARGE`, beyond
     * @returns base64
     */
    encryptWithPublicKey(data: CryptoData, publicKey: string): string;
    /** {@link encryptWithPublicKey}, off the event loop. */
    encryptWithPublicKeyAsync(data: CryptoData, publicKey: string): Promise<string>;
    /**
     * Decrypts what {@link encryptWithPublicKey} made for this key.
     *
     * @throws MeshError `INVALID_ARGUMENT`, reason `DECRYPT_FAILED`
     */
    decryptWithPrivateKey(encryptedData: string): Buffer;
    /** {@link decryptWithPrivateKey}, off the event loop. */
    decryptWithPrivateKeyAsync(encryptedData: string): Promise<Buffer>;
    /**
     * Signs `data`: RSASSA-PSS with SHA-256 and a salt of 32 bytes, over
     * `"secure-stack-mesh/data/v1"`, a zero byte, and the data. Because of what
     * comes first, a signature made here is never that of a token or an envelope.
     *
     * @returns base64
     */
    sign(data: CryptoData): string;
    /** {@link sign}, off the event loop. */
    signAsync(data: CryptoData): Promise<string>;
    /**
     * Whether `signature` is what {@link sign} of the owner of `publicKey` made
     * for `data`.
     */
    verify(data: CryptoData, signature: string, publicKey: string): boolean;
    /** {@link verify}, off the event loop. */
    verifyAsync(data: CryptoData, signature: string, publicKey: string): Promise<boolean>;
    /**
     * HMAC-SHA256 (RFC 2104) of `data`.
     *
     * @param key at least 16 bytes; 32 random ones are right. A string counts as
     *   its UTF-8 bytes.
     * @returns 64 hexadecimal digits
     * @throws MeshError `INVALID_ARGUMENT`, reason `WEAK_SECRET`: a shorter key
     */
    hmac(data: CryptoData, key: string | Uint8Array): string;
    /** Whether `hmac` is what {@link CryptoManager.hmac} makes of `data`, compared in constant time. */
    verifyHmac(data: CryptoData, hmac: string, key: string | Uint8Array): boolean;
    /** Both halves of the key, PEM. The private one is now yours to protect. */
    exportKeyPair(): KeyPair;
    /**
     * Makes `keyPair` the current key, as {@link rotate} does with a fresh one.
     * Without `initialize()` before, it takes its place.
     *
     * @param keyPair `privateKey` in PEM, PKCS#8 or PKCS#1; `publicKey`, if
     *   given, must belong to it
     * @throws MeshError `INVALID_ARGUMENT`, reason `BAD_KEY`
     */
    importKeyPair(keyPair: Partial<KeyPair> & Pick<KeyPair, 'privateKey'>): void;
    /**
     * Makes a fresh key the current one, off the event loop, and stores it if
     * `initialize` was given a service id. The former key still opens what was
     * encrypted to it, until the next rotation: encrypt that anew.
     *
     * @returns the new public key, PEM, for those who encrypt or verify
     */
    rotate(): Promise<string>;
}

/** Settings of a {@link FileAdapter}. */
interface FileAdapterOptions {
    /** The size in bytes at which a file is put aside and a new one begun. Default: 10 MiB. */
    maxBytes?: number | undefined;
    /** How many files put aside are kept: `audit.log.1`, the newest, and so on. Default: 5. */
    maxFiles?: number | undefined;
}
/**
 * Appends audit entries to a file, a line of JSON each; metrics to another, if
 * one is given. A line is written whole or not at all, however the process
 * ends: what was cut off is closed by a line's end at the next start.
 *
 * Files are made for their owner only (0600, directories 0700); a symbolic link
 * is refused, and so is a directory that everybody may write to, or a file of
 * another user's: they could be replaced, read or deleted. A full one is put
 * aside, and the oldest of those deleted.
 */
declare class FileAdapter implements MonitoringAdapter {
    #private;
    /**
     * @param filePath the file for entries. Default: `mesh-audit.log` in `SECURE_MESH_LOGS_DIR`, or in
     *   `secure-stack-mesh/logs` of the user's state directory; never below the working directory
     * @param metricsFilePath the file for metrics. Default: they are not kept
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
     */
    constructor(filePath?: string, metricsFilePath?: string, options?: FileAdapterOptions);
    /**
     * Appends an entry.
     *
     * @throws MeshError (as a rejection) `FAILED_PRECONDITION`, reason `AUDIT_DELIVERY`: the file cannot
     *   be written; the message names it and says why
     */
    logEvent(event: MeshAuditEvent): Promise<void>;
    /** Appends figures, if there is a file for them. */
    logMetrics(metrics: any): Promise<void>;
    /** Resolves when everything is on the disk. */
    flush(): Promise<void>;
    /** {@link flush}, then closes the files. They are opened anew when they are needed. */
    close(): Promise<void>;
}

/** How a part of a service is. */
type HealthStatus = 'healthy' | 'degraded' | 'unhealthy';
/** What a {@link HealthCheck} found. */
interface HealthCheckResult {
    /** How it is. */
    status: HealthStatus;
    /** What was found, in detail; never secrets. */
    details?: Record<string, any>;
    /** When. */
    timestamp: Date;
}
/** Asks one part how it is. */
interface HealthCheck {
    /** Its name; a later check of the same name takes its place. */
    name: string;
    /** Asks. One that rejects, or takes too long, has found it unhealthy. */
    check(): Promise<HealthCheckResult>;
}
/** Settings of a {@link HealthMonitor}. */
interface HealthMonitorOptions {
    /** How long a check may take: milliseconds or `'2s'`. Default: 5,000. */
    timeoutMs?: number | string | undefined;
}
/**
 * Runs health checks, all at once, again and again, and keeps what they found
 * last. Its timer does not keep the process alive.
 *
 * @example
 * ```js
 * const monitor = new HealthMonitor(10_000);
 * monitor.registerCheck({ name: 'db', check: async () => ({ status: await ping(), timestamp: new Date() }) });
 * monitor.start();
 * ```
 */
declare class HealthMonitor {
    #private;
    /**
     * @param checkIntervalMs the time between the end of one round and the next. Default: 30,000.
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
     */
    constructor(checkIntervalMs?: number | string, options?: HealthMonitorOptions);
    /** Adds a check. It is run from the next round on. */
    registerCheck(check: HealthCheck): void;
    /** Runs every check once. While a round is under way, it resolves with that one. Never rejects. */
    runChecks(): Promise<void>;
    /** Runs the checks now and after each interval. */
    start(): void;
    /** Ends what {@link start} began. Results stay. */
    stop(): void;
    /**
     * The worst that the checks found last. One that has not been run yet counts
     * as `degraded`: nothing is known. Without checks: `healthy`.
     */
    getOverallStatus(): HealthStatus;
    /** What each check found last, by name. */
    getResults(): Record<string, HealthCheckResult>;
}

/** What sends requests for an {@link HttpAdapter}. */
interface HttpClient {
    /** Resolves when the server has accepted the data, rejects when it has not. */
    post(url: string, data: any, headers?: Record<string, string>): Promise<any>;
}
/** How an {@link HttpAdapter} shows who it is. */
interface HttpAuth {
    /**
     * `bearer` with `token`, `basic` with `username` and `password`, `api-key` with `apiKey` in the
     * header `headerName` (default: `X-API-Key`), or `custom` with `customHeader`.
     */
    type: 'bearer' | 'basic' | 'api-key' | 'custom';
    /** The token of `bearer`. */
    token?: string;
    /** The name of `basic`. */
    username?: string;
    /** The password of `basic`. */
    password?: string;
    /** The key of `api-key`. */
    apiKey?: string;
    /** The header of `api-key`. */
    headerName?: string;
    /** The header of `custom`. */
    customHeader?: {
        /** Its name. */
        name: string;
        /** Its value. */
        value: string;
    };
}
/** Settings of an {@link HttpAdapter}. */
interface HttpAdapterConfig {
    /** Sends the requests. Default: `fetch`, which follows no redirects. */
    client?: HttpClient;
    /**
     * Where entries go: an `http:` or `https:` URL. A user and a password in it are sent as `basic` does,
     * to this URL alone, and no error shows them.
     */
    endpoint: string;
    /** Where metrics go. Default: nowhere. */
    metricsEndpoint?: string;
    /** Further headers. */
    headers?: Record<string, string>;
    /** How it shows who it is. */
    auth?: HttpAuth;
    /** What is sent of an entry. Default: the entry, with everything visible that could deceive a reader. */
    mapEvent?: (event: MeshAuditEvent) => any;
    /** What is sent of metrics. Default: they, and `timestamp`. */
    mapMetrics?: (metrics: any) => any;
    /** Told of what could not be sent; then nothing rejects. */
    onError?: (error: Error, event: MeshAuditEvent | any) => void;
    /**
     * Entries sent in one request. With 1 an entry is sent by itself, as an object; with more an array of
     * them is, and `logEvent` does not wait for it. Default: 1.
     */
    batchSize?: number;
    /** The longest an entry waits for its batch to fill: milliseconds or `'5s'`. Default: 1,000. */
    flushIntervalMs?: number | string;
    /** How long a request may take: milliseconds or `'10s'`. Default: 10,000. */
    timeoutMs?: number | string;
    /** How requests are tried again. Default: 3 tries. */
    retry?: RetryPolicyConfig;
    /** The most entries that wait. Beyond, they are refused with `AUDIT_LIMIT`. Default: 10,000. */
    maxBuffer?: number;
}
/**
 * Posts audit entries as JSON, in order, one request at a time, with a time
 * limit and retries. An entry can arrive twice when an answer is lost; its `id`
 * tells.
 */
declare class HttpAdapter implements MonitoringAdapter {
    #private;
    /** @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: a setting is missing, misspelt or out of range */
    constructor(config: HttpAdapterConfig);
    /**
     * Sends an entry, or puts it into the batch.
     *
     * @throws MeshError (as a rejection, without `onError`) `UNAVAILABLE`, reason `AUDIT_DELIVERY`: it
     *   could not be sent. `RESOURCE_EXHAUSTED`, reason `AUDIT_LIMIT`: `maxBuffer` entries wait
     */
    logEvent(event: MeshAuditEvent): Promise<void>;
    /** Sends figures, if there is an endpoint for them. */
    logMetrics(metrics: any): Promise<void>;
    /**
     * Resolves when everything logged until now has been sent.
     *
     * @throws MeshError (as a rejection, without `onError`) `UNAVAILABLE`, reason `AUDIT_DELIVERY`: a batch
     *   since the last time could not be
     */
    flush(): Promise<void>;
    /** The same as {@link flush}. */
    close(): Promise<void>;
}

/** How a {@link JWTManager} signs. */
interface JWTManagerOptions {
    /**
     * The secret all services that check each other's tokens share: at least 32
     * random bytes, as bytes or as text (UTF-8). Make one with
     * `node -e "console.log(require('node:crypto').randomBytes(32).toString('base64url'))"`.
     * A shorter one is accepted, see {@link JWTManager.weakSecret}; an empty one is not.
     * Default: a random one, known to this object alone.
     */
    secret?: string | Uint8Array;
    /** Who the tokens are for (`aud`), the same wherever they are checked. Default: `'secure-stack-mesh'`. */
    audience?: string;
    /** How long a token lives: milliseconds or `'15m'`. Default: `'1h'`. */
    expiresIn?: number | string;
}
/** Which token is acceptable; what is left out is not compared. */
interface ExpectedToken {
    /** The service that must have made it (`iss`). */
    serviceId?: string;
    /** The session it must belong to (`sid`). */
    sessionId?: string;
}
/** How a secret is replaced. */
interface RotateSecretOptions {
    /** The new secret, as in {@link JWTManagerOptions.secret}. Default: a random one. */
    secret?: string | Uint8Array;
    /**
     * How long tokens signed with the former secret still count, in milliseconds;
     * 0 ends them at once. Default: as long as a token lives, so that every token
     * out there lives to its own end.
     */
    graceMs?: number;
}
/** The claims of a token (RFC 7519); times are seconds since 1970. */
interface TokenPayload {
    /** Issuer: the service that made the token. */
    iss: string;
    /** Subject: the same service. */
    sub: string;
    /** Audience: who the token is for. */
    aud: string;
    /** Session id. */
    sid?: string;
    /** Issued at. */
    iat?: number;
    /** Not valid before. */
    nbf?: number;
    /** Expires at: from this second on the token is invalid. */
    exp?: number;
    /** The token's unique name. */
    jti?: string;
    /** The same as `iss`. */
    serviceId: string;
    /** The same as `sid`. */
    sessionId?: string;
    /** Further claims, in a payload that {@link JWTManager.decodeToken} returned. */
    [claim: string]: any;
}
/** Where the RSA keys of services are kept, for the shape of 0.2.0; `KeyManager` is one. */
interface KeyPairSource {
    /** This service's own pair, PEM, made if there is none. */
    getOrCreateKeyPair(name: string): KeyPair;
    /** Another service's key, PEM. Only the public half is looked at; `null` if it is not known. */
    loadKeyPair(name: string): Pick<KeyPair, 'publicKey'> | null;
}
/**
 * Makes and checks tokens: JWT (RFC 7519) in the strict reading of RFC 8725.
 *
 * Signed with HS256 under a shared secret. Whoever knows the secret can make
 * a token in any service's name: it proves membership, not which member. The
 * algorithm and the type are pinned, `iss` and `sub` are the sender, `aud` is
 * one text, and a header that points anywhere (`jku`, `x5u`, `jwk`, `crit`…)
 * is refused. A token also names the secret it was signed with (`kid`), by a
 * digest, so that {@link rotateSecret} disturbs nobody.
 *
 * @example
 * ```js
 * const jwt = new JWTManager({ secret: process.env.JWT_SECRET });
 * const token = jwt.generateToken('orders', 'session-1', '15m');
 * const { serviceId, sessionId } = jwt.verifyToken(token);
 * ```
 */
declare class JWTManager {
    #private;
    /**
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: the secret is empty, or an option is
     *   misspelt or of another type
     */
    constructor(options?: JWTManagerOptions);
    /**
     * Tokens signed with the service's own RSA key (PS256) and checked with the
     * sender's public key.
     *
     * @param serviceId this service
     * @param keyManager asked for this service's pair at the first token made, and for a sender's
     *   public key at the first token of that sender; both are kept from then on
     * @deprecated The shape of 0.2.0. Use `new JWTManager({ secret })`, or let `SecureMesh`
     *   authenticate calls: it binds each token to a session and a key.
     */
    constructor(serviceId: string, keyManager: KeyPairSource);
    /**
     * Whether the secret has fewer than 32 bytes. Such a secret can be found by
     * trying, given a single token; `SecureMesh` refuses one.
     */
    get weakSecret(): boolean;
    /**
     * Makes a token.
     *
     * @param serviceId the service that makes it: `iss` and `sub`
     * @param sessionId the session it belongs to: `sid`, 1 to 128 bytes
     * @param expiresIn how long it lives: milliseconds or `'15m'`, at least a second. Default: `'1h'`,
     *   or what the constructor was given
     * @throws MeshError `INVALID_ARGUMENT`: `serviceId` is outside the allowed alphabet (reason
     *   `ID_SYNTAX`), or another argument is wrong (reason `ARGUMENT`)
     */
    generateToken(serviceId: string, sessionId: string, expiresIn?: number | string): string;
    /**
     * @param targetServiceId the service it is for: `aud`
     * @param expiresIn how long it lives. Default: `'1h'`
     * @throws MeshError `INVALID_ARGUMENT`: the id (reason `ID_SYNTAX`), `expiresIn` (reason
     *   `ARGUMENT`) or the private key (reason `BAD_KEY`) is unusable
     * @deprecated The shape of 0.2.0, for a manager made with a service id and a key manager.
     */
    generateToken(targetServiceId: string, expiresIn?: number | string): string;
    /**
     * Checks form, signature, times and claims of a token, in this order.
     *
     * The clocks may differ by 30 s for a token to count as issued; it ends
     * exactly when it says.
     *
     * @param expected who must have made it, and for which session. A text is the service's id. What is
     *   given must be there: `null` and `undefined` are refused, as an argument and as a property, so
     *   that a name that is missing by mistake does not become "whoever it was"
     * @throws MeshError `UNAUTHENTICATED` with one of the reasons `JWT_FORMAT`, `JWT_HEADER`,
     *   `JWT_ALG`, `JWT_TYP`, `JWT_SIG`, `SECRET_RETIRED`, `JWT_ISS`, `JWT_AUD`, `JWT_SID`, `JWT_EXP`,
     *   `JWT_NBF`, `CLOCK_SKEW`. `INVALID_ARGUMENT`, reason `ARGUMENT`: `expected` lacks what it names
     */
    verifyToken(token: string, expected?: ExpectedToken): TokenPayload;
    /**
     * @param sourceServiceId the service that must have made it, by whose public key it is checked
     * @throws MeshError `UNAUTHENTICATED`, as above; reason `UNKNOWN_PEER` when the key manager has no
     *   key of that service. `INVALID_ARGUMENT`, reason `BAD_KEY`, when it has an unusable one
     * @deprecated The shape of 0.2.0, for a manager made with a service id and a key manager.
     */
    verifyToken(token: string, sourceServiceId: string): TokenPayload;
    /**
     * Signs with another secret from now on. Tokens signed with the former one
     * count until `graceMs` are over; then they are refused with the reason
     * `SECRET_RETIRED`. The same limit ends the grace of every earlier rotation: with `graceMs: 0`
     * only the new secret counts. At most 8 previous secrets are kept at once.
     *
     * @throws MeshError `INVALID_ARGUMENT`: the secret is empty, or is or was in use here.
     *   `FAILED_PRECONDITION`: this manager signs with an RSA key
     */
    rotateSecret(options?: RotateSecretOptions): void;
    /**
     * Reads a token **without checking who made it**: for logs and debugging,
     * never for a decision.
     *
     * @returns the claims, or `null` if it is no JWT
     */
    decodeToken(token: string): TokenPayload | null;
    /**
     * Whether a token's time is over, or it says none or is no JWT. Its
     * signature is not checked: `false` does not mean that it is good.
     */
    isTokenExpired(token: string): boolean;
    /** When a token says it expires, unchecked; `null` if it says nothing or is no JWT. */
    getTokenExpiration(token: string): Date | null;
}

/** How long sessions live and how many there may be. */
interface SessionManagerOptions {
    /** How long a session lives without a message: milliseconds or `'1h'`. Default: `3600000`. */
    timeout?: number | string;
    /** How long it lives at most, however busy: milliseconds or `'24h'`. Default: `86400000`. */
    maxLifetime?: number | string;
    /** The most sessions at once. Default: 10,000. */
    maxSessions?: number;
}
/** A session; times are milliseconds since 1970, as `Date.now()` counts. */
interface Session {
    /** 128 random bits, as 32 hexadecimal digits. */
    readonly id: string;
    /** The service it was made for. */
    readonly serviceId: string;
    /** The other side, where it was given. */
    readonly peerServiceId?: string;
    /** When it began. */
    readonly createdAt: number;
    /** When its last message was tracked; at first, when it began. */
    readonly lastActivity: number;
    /** When it ends if nothing happens until then. */
    readonly expiresAt: number;
    /** How many messages were tracked. */
    readonly messageCount: number;
    /** What was given to `createSession`. */
    readonly metadata?: Record<string, any>;
    /**
     * The key given to `createSession`, as it was given: a `Uint8Array`; `undefined` where none was. Not
     * enumerable, so that it is not printed.
     *
     * @deprecated The shape of 0.2.0. The keys of a mesh's sessions never leave its native part.
     */
    readonly sessionKey: any;
}
/** Figures about a {@link SessionManager}. */
interface SessionStats {
    /** Sessions alive. */
    activeSessions: number;
    /** Sessions begun since the manager was made. */
    totalSessions: number;
    /** Of these, ended by a limit. */
    expiredSessions: number;
    /** Of these, ended by `invalidateSession`. */
    invalidatedSessions: number;
    /** Messages tracked. */
    totalMessages: number;
}
/**
 * Keeps track of sessions: who, since when, how many messages.
 *
 * A session ends when no message was tracked for `timeout`, and after
 * `maxLifetime` in any case. Looking one up never prolongs it. Ended sessions
 * are removed by themselves; the timer for it does not keep the process alive.
 *
 * @example
 * ```js
 * const sessions = new SessionManager({ timeout: 3600000 });
 * const session = sessions.createSession('service1', 'service2');
 * sessions.trackMessage(session.id);
 * ```
 */
declare class SessionManager {
    #private;
    /** @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: an option is misspelt or out of range */
    constructor(options?: SessionManagerOptions);
    /**
     * @param defaultTTL how long a session lives without a message, in milliseconds
     * @deprecated The shape of 0.2.0. Use `new SessionManager({ timeout })`.
     */
    constructor(defaultTTL?: number);
    /**
     * Begins a session between two services.
     *
     * @param metadata kept with the session as it is
     * @throws MeshError `INVALID_ARGUMENT`, reason `ID_SYNTAX`: an id is outside the allowed alphabet.
     *   `RESOURCE_EXHAUSTED`, reason `SESSION_LIMIT`: there are `maxSessions` alive; none of them is
     *   ever pushed out
     */
    createSession(serviceId: string, peerServiceId?: string, metadata?: Record<string, unknown>): Session;
    /**
     * @param sessionKey kept with the session as it is, not copied
     * @deprecated The shape of 0.2.0. Use `createSession(serviceId, peerServiceId, metadata)`; the
     *   keys of a mesh's sessions never leave its native part.
     */
    createSession(serviceId: string, sessionKey: Uint8Array, metadata?: Record<string, unknown>): Session;
    /** The session, if it is alive. Looking at it does not prolong it. */
    getSession(id: string): Session | undefined;
    /** The newest live session in which the service is either side. */
    getSessionByServiceId(serviceId: string): Session | undefined;
    /** The sessions alive, oldest first. */
    listSessions(): Session[];
    /**
     * Counts a message and prolongs the session by its `timeout`, up to its
     * `maxLifetime`. Call it once a message has been authenticated.
     *
     * @returns how many messages the session has had
     * @throws MeshError `NOT_FOUND`, reason `SESSION_NOT_FOUND`: there is none of this id, or no longer.
     *   `FAILED_PRECONDITION`, reason `SESSION_EXPIRED`: it has just ended
     */
    trackMessage(id: string): number;
    /** Ends a session. Returns whether there was one. */
    invalidateSession(id: string): boolean;
    /** Removes the sessions that have ended, which also happens by itself. Returns how many. */
    cleanupExpiredSessions(): number;
    /** Figures as of now. */
    getStats(): SessionStats;
}

/** Whether an instance can be used, as far as anybody has found out. */
type ServiceStatus = 'healthy' | 'unhealthy' | 'unknown';
/** One instance of a service. */
interface ServiceInfo {
    /** Service id: 1 to 128 ASCII letters, digits, `.`, `_` and `-`. Several instances may share it. */
    id: string;
    /** DNS name, IPv4 or IPv6 address. */
    host: string;
    /** TCP port, 1…65535. */
    port: number;
    /** The service's RSA public key, PEM. Kept as it is; a mesh checks a key when it uses it. */
    publicKey?: string;
    /** Whatever you want to know about the instance: texts by name. */
    metadata?: Record<string, string>;
    /** Its health. Default, when registering: what is known already, else `'unknown'`. */
    status?: ServiceStatus;
    /** When its health was last found out. Set by the registry. */
    lastHealthCheck?: Date;
}
/** Which instance of a service, where there are several. */
interface InstanceAddress {
    /** As it was registered. */
    host: string;
    /** As it was registered. */
    port: number;
}
/** What has changed in a registry. */
interface DiscoveryChange {
    /** A new instance or new facts about one; one that is gone; another health. */
    type: 'registered' | 'removed' | 'health';
    /** The instance, after the change. */
    service: ServiceInfo;
}
/** How health is checked. */
interface CheckHealthOptions {
    /** How long to wait for an answer, in milliseconds or as `'2s'`. Default: 2,000. */
    timeoutMs?: number | string;
}
/** What a health check has found. */
interface ServiceHealth {
    /** The service's id. */
    id: string;
    /** `'healthy'` if at least one instance is. */
    status: 'healthy' | 'unhealthy';
    /** Each instance, with why it is unhealthy. */
    instances: (ServiceInfo & {
        /** Why it is unhealthy. */
        error?: string;
    })[];
}
/** What 0.2.0 called a discovery; {@link StaticDiscovery} is one. */
interface ServiceDiscovery {
    /** Adds or replaces an instance. */
    registerService(service: ServiceInfo): Promise<void>;
    /** One instance of the service. */
    getService(serviceId: string): Promise<ServiceInfo | undefined>;
    /** Every instance of every service. */
    listServices(): Promise<ServiceInfo[]>;
    /** Sets the health of a service. */
    updateServiceHealth(serviceId: string, status: 'healthy' | 'unhealthy'): Promise<void>;
}
/**
 * Knows where services are because it was told.
 *
 * An id may have several instances, told apart by host and port; `lookup`
 * takes them in turn and leaves out those known to be unhealthy.
 *
 * @example
 * ```js
 * const discovery = new StaticDiscovery();
 * discovery.register({ id: 'orders', host: 'localhost', port: 50051 });
 * const service = discovery.lookup('orders');
 * ```
 */
declare class StaticDiscovery implements ServiceDiscovery {
    #private;
    /**
     * @param services registered at once
     * @throws MeshError as {@link register}, with the path, as in `services[1].port`
     */
    constructor(services?: readonly ServiceInfo[]);
    /**
     * Adds an instance, or replaces what is known about the one at this host and
     * port.
     *
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: a field is missing, misspelt or wrong;
     *   the message has its path. Reason `ID_SYNTAX`: the id is outside the allowed alphabet
     */
    register(service: ServiceInfo): void;
    /**
     * The instance whose turn it is among those not known to be unhealthy;
     * `undefined` if there is none, or no such service.
     */
    lookup(serviceId: string): ServiceInfo | undefined;
    /** All instances of a service, whatever their health, in the order they were registered. */
    lookupAll(serviceId: string): ServiceInfo[];
    /**
     * Finds out whether the instances of a service can be connected to (TCP), and
     * keeps the outcome as their health. That something listens does not prove
     * that it is the service: a call does.
     *
     * @throws MeshError (as a rejection) `NOT_FOUND`, reason `UNKNOWN_SERVICE`: no such service
     */
    checkHealth(serviceId: string, options?: CheckHealthOptions): Promise<ServiceHealth>;
    /**
     * Calls `listener` after each change, in the call that made it.
     *
     * @returns a function that ends it
     */
    watch(listener: (change: DiscoveryChange) => void): () => void;
    /**
     * As {@link register}.
     *
     * @deprecated The shape of 0.2.0. Use `register`.
     */
    registerService(service: ServiceInfo): Promise<void>;
    /**
     * As {@link lookup}, and an unhealthy instance where there is no other.
     *
     * @deprecated The shape of 0.2.0. Use `lookup` or `lookupAll`.
     */
    getService(serviceId: string): Promise<ServiceInfo | undefined>;
    /** Every instance of every service, ordered by id. */
    listServices(): Promise<ServiceInfo[]>;
    /** Every instance that is not known to be unhealthy, ordered by id. */
    getHealthyServices(): Promise<ServiceInfo[]>;
    /**
     * Sets the health of one instance, or of all of them.
     *
     * @throws MeshError (as a rejection) `NOT_FOUND`, reason `UNKNOWN_SERVICE`: no such service or instance
     */
    updateServiceHealth(serviceId: string, status: ServiceStatus, instance?: InstanceAddress): Promise<void>;
    /** Removes one instance, or all of them. Resolves to whether there was any. */
    removeService(serviceId: string, instance?: InstanceAddress): Promise<boolean>;
}

/** Settings of a {@link TimeoutManager}. */
interface TimeoutConfig {
    /** How long an operation may take: milliseconds or `'5s'`. */
    timeout: number | string;
    /** What the error says. Default: `Operation timed out after 200ms`, with the time in milliseconds. */
    errorMessage?: string | undefined;
}
/**
 * Bounds how long an operation may take. Its timer is gone as soon as the
 * operation is over, and the operation is told when its time is.
 *
 * @example
 * ```js
 * const limit = new TimeoutManager({ timeout: 2_000 });
 * const page = await limit.execute((signal) => fetch(url, { signal }));
 * ```
 */
declare class TimeoutManager {
    #private;
    /** @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: a setting is missing, misspelt or out of range */
    constructor(config: TimeoutConfig);
    /**
     * Calls `fn`, and resolves or rejects as it does, or when its time is up.
     *
     * @param fn is given a signal that is aborted when its time is up, or `options.signal` is
     * @throws MeshError `DEADLINE_EXCEEDED`, reason `DEADLINE`: its time was up
     */
    execute<T>(fn: (signal: AbortSignal) => Promise<T> | T, options?: {
        signal?: AbortSignal | undefined;
    }): Promise<T>;
}

/** This package's version. */
declare const version: string;

export { AuditLogger, CircuitBreaker, CircuitState, ConsoleAdapter, Context, CryptoManager, FileAdapter, HealthMonitor, HttpAdapter, JWTManager, KeyManager, KeyRotation, MeshError, MetricsCollector, RateLimiter, RetryPolicy, SecureMesh, SecureMeshClient, SecureMeshServer, SessionManager, StaticDiscovery, TimeoutManager, bidiStream, clientStream, defineContract, isDeclaredError, safe, serverStream, unary, version };
export type { AesKeySize, AuditLoggerConfig, AuditLoggerStats, AuthorizationConditions, AuthorizationConfig, AuthorizationExplanation, AuthorizationRequest, AuthorizationRule, CallKind, CallOptions, CallPromise, CallRecord, Caller, CheckHealthOptions, CircuitBreakerConfig, ClientMiddleware, ConnectOptions, Contract, ContractClient, CoreConfig, CryptoData, CryptoManagerOptions, DeclaredError, DeclaredErrorOptions, DeclaredErrors, DecryptOptions, DiscoveryChange, DiscoveryConfig, Duration, EncryptedData, ErrorDefinition, ErrorFactories, ErrorMap, ErrorsOf, ExpectedToken, FileAdapterOptions, Handler, HandlerOf, HandlerOptions, HandlerPolicy, HealthCheck, HealthCheckResult, HealthMonitorOptions, HealthStatus, HttpAdapterConfig, HttpAuth, HttpClient, IdempotencyConfig, ImplementOptions, Implementation, InstanceAddress, Items, JWTManagerOptions, KeyPair, KeyPairSource, KeyRotationConfig, LegacyEncryptedData, Logger, MakesSessionKeys, MeshAddress, MeshAuditEvent, MeshConfig, MeshErrorCode, MeshErrorOptions, MeshHealth, MeshLimits, MeshMetrics, MeshStats, Middleware, MonitoringAdapter, OutgoingCall, PathsConfig, PeerSession, Procedure, ProcedureDefinition, Procedures, RateLimitResult, RateLimiterConfig, RetryOptions, RetryPolicyConfig, RotateMeshSecretOptions, RotateSecretOptions, RotatesKeys, RouteLike, RouterLike, RouterTree, RsaKeySize, SafeResult, SchemaInput, SchemaIssue, SchemaOutput, SchemaResult, SecureMeshConfig, SecurityConfig, ServiceConfig, ServiceDiscovery, ServiceHealth, ServiceInfo, ServiceStatus, Session, SessionManagerOptions, SessionStats, StandardSchema, TimeoutConfig, TokenPayload, Trust, ValidationIssue };
