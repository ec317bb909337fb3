// Generated from js/ by scripts/types.mjs. Do not edit.
/** The symbol of the method that `await using` calls. Node has it since 18.18; a sandbox may lack it. */
declare const asyncDispose: typeof Symbol.asyncDispose;

/** The sixteen error codes of gRPC, by their canonical names. */
type MeshErrorCode = 'CANCELLED' | 'UNKNOWN' | 'INVALID_ARGUMENT' | 'DEADLINE_EXCEEDED' | 'NOT_FOUND' | 'ALREADY_EXISTS' | 'PERMISSION_DENIED' | 'RESOURCE_EXHAUSTED' | 'FAILED_PRECONDITION' | 'ABORTED' | 'OUT_OF_RANGE' | 'UNIMPLEMENTED' | 'INTERNAL' | 'UNAVAILABLE' | 'DATA_LOSS' | 'UNAUTHENTICATED';
/**
 * The number of messages in each direction: one and one; many and one; one and
 * many; many and many. The terms are gRPC's.
 */
type CallKind = 'unary' | 'clientStream' | 'serverStream' | 'bidiStream';
/**
 * How much a call matters when its service has too much to do: `sheddable` calls are
 * refused first, and `critical` ones last.
 */
type Priority = 'sheddable' | 'normal' | 'critical';

/** The items of a stream that is sent. */
type Items<T = unknown> = AsyncIterable<T> | Iterable<T>;
/** The options of one call. */
interface CallOptions {
    /** Cancels the call, on both sides, when aborted. */
    signal?: AbortSignal | undefined;
    /** The timeout of the call, in ms, above 0. Default: 10,000, or `limits.callTimeoutMs`. */
    timeoutMs?: number | undefined;
    /** Whether the method is safe to run twice, so that the call may be retried. Default: false. */
    idempotent?: boolean | undefined;
    /**
     * The idempotency key: the service runs the call once and keeps the outcome for 10 minutes. Every later
     * call with the same key, method and input gets this outcome. 1…128 visible ASCII characters, for example a
     * UUID. Implies `idempotent`. Unary calls only.
     */
    idempotencyKey?: string | undefined;
    /**
     * Strings for the handler's `ctx.metadata`. A name has at most 64 letters, digits, `.`, `_` and `-`; the
     * metadata has at most 8,000 bytes as JSON. `traceparent`, `tracestate` and `x-request-id` have their
     * meaning in HTTP.
     */
    metadata?: Record<string, string> | undefined;
    /**
     * Called with the handler's `ctx.responseMetadata` before the call resolves. An error that it throws
     * rejects the call.
     */
    onResponseMetadata?: ((metadata: Readonly<Record<string, string>>) => void) | undefined;
    /**
     * Binds calls to an instance: calls with the same string go to the same instance of the service,
     * from every caller, as long as that instance can be used. For caches; 1…1,024 characters.
     */
    sticky?: string | undefined;
    /**
     * Whether the call gets a second copy at another instance when it takes longer than most calls of its method: see
     * `resilience.hedging`. For `idempotent` unary calls without an
     * `idempotencyKey`. `false` also keeps the call from getting one when half of its time is over, which calls get
     * without `resilience.hedging` too. Default: true with `resilience.hedging`.
     */
    hedge?: boolean | undefined;
    /**
     * How much the call matters when its service, or this one, has too much to do: `'sheddable'` calls are refused
     * first, and `'critical'` ones last. A priority is a request and no right: services trust their callers' word
     * only for the order. Default: the priority of the request on whose behalf the call is made, else `'normal'`.
     */
    priority?: Priority | undefined;
    /**
     * Whether a call made by a handler is independent of the handler's request: it does not inherit deadline,
     * cancellation, trace and request id. Default: false.
     */
    detached?: boolean | undefined;
}
/** A call, as client middleware sees it. */
interface OutgoingCall {
    /** The service that is called. */
    readonly service: string;
    /** The method that is called. */
    readonly method: string;
    /** The kind of call. */
    readonly kind: CallKind;
    /**
     * The input; for `clientStream` and `bidiStream` the iterable of items. A middleware may replace it before
     * `next()`.
     */
    input: unknown;
    /** A copy of the call's options with inherited values; a middleware may change it before `next()`. */
    readonly options: CallOptions & {
        /** The metadata, by lower-case names. */
        metadata: Record<string, string>;
    };
}
/**
 * Runs around the calls that a mesh makes, by the rules of {@link Middleware}.
 */
type ClientMiddleware = (call: OutgoingCall, next: () => Promise<unknown>) => unknown;

/** The properties of a {@link MeshError} in addition to its code and message. */
interface MeshErrorOptions {
    /**
     * The exact failure: a stable upper-case word, as `reason` in `google.rpc.ErrorInfo`. Default: the code.
     */
    reason?: string;
    /** Whether the same call can succeed later. Default: true for `UNAVAILABLE`, else false. */
    retryable?: boolean;
    /** The delay before a sensible retry, in milliseconds. */
    retryAfterMs?: number;
    /** Details for the caller: anything `JSON.stringify` can encode. */
    data?: unknown;
    /** The service that was called. */
    service?: string;
    /** The method that was called. */
    method?: string;
    /** The number of attempts of the call. */
    attempts?: number;
    /** Whether the peer created the error. Default: false. */
    remote?: boolean;
    /** The id of the error in the log of the service where it occurred. */
    errorId?: string;
    /** The original error. It never leaves the process. */
    cause?: unknown;
}
/**
 * Every error this package throws or rejects with.
 *
 * A handler throws a `MeshError` to answer with exactly its code, reason, message and data. For any other
 * error the caller gets `INTERNAL`, reason `HANDLER`, with an `errorId` and no detail of the original. The
 * same holds for the uncaught error of a nested call.
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
    /** The code: the kind of failure. */
    readonly code: MeshErrorCode;
    /** The exact failure: a stable upper-case word. */
    readonly reason: string;
    /** Whether the same call can succeed later. */
    readonly retryable: boolean;
    /** The delay before a sensible retry, in milliseconds, if it is known. */
    readonly retryAfterMs?: number;
    /** The service that was called. */
    readonly service?: string;
    /** The method that was called. */
    readonly method?: string;
    /** The number of attempts of the call. */
    readonly attempts?: number;
    /** The details that the handler gave its caller. */
    readonly data?: unknown;
    /** Whether the peer created the error. */
    readonly remote: boolean;
    /** The id of the error in the log of the service where it occurred. */
    readonly errorId?: string;
    /**
     * @param code one of the sixteen gRPC codes
     * @param message the message, for people. The caller receives it if a handler throws the error.
     * @throws TypeError if the code is not one of the sixteen
     */
    constructor(code: MeshErrorCode, message: string, options?: MeshErrorOptions);
    /** Whether `value` is a `MeshError` of any copy of the package. */
    static [Symbol.hasInstance](value: unknown): boolean;
    /**
     * Converts an error to a `MeshError`. A `MeshError` is returned unchanged; an error of the addon is
     * converted by its `code`, `reason` and `retryAfterMs`; any other error becomes `INTERNAL`.
     */
    static from(error: unknown): MeshError;
    /** The public properties, without stack and cause. */
    toJSON(): Record<string, unknown>;
}

/** Anything that implements Standard Schema, version 1. */
interface StandardSchema<TInput = unknown, TOutput = TInput> {
    /** The property that the standard requires. */
    readonly '~standard': {
        /** The standard's version. */
        readonly version: 1;
        /** The name of the library. */
        readonly vendor: string;
        /** Checks a value. */
        readonly validate: (value: unknown) => SchemaResult<TOutput> | Promise<SchemaResult<TOutput>>;
        /** The types of input and output, for the compiler only. */
        readonly types?: {
            /** The input type. */
            readonly input: TInput;
            /** The output type. */
            readonly output: TOutput;
        } | undefined;
    };
}
/** The result of a validation. */
type SchemaResult<TOutput> = {
    /** The output value. */
    readonly value: TOutput;
    /** Absent if the value is valid. */
    readonly issues?: undefined;
} | {
    /** The faults of the value; at least one. */
    readonly issues: readonly SchemaIssue[];
};
/** A fault of a value. */
interface SchemaIssue {
    /** The message, for people. */
    readonly message: string;
    /** The path: property names and indices, or objects with one as `key`. */
    readonly path?: readonly (PropertyKey | {
        /** The property's name or the index. */
        readonly key: PropertyKey;
    })[] | undefined;
}
/** The input type of a schema, for callers. `unknown` without a schema. */
type SchemaInput<T> = T extends StandardSchema ? NonNullable<T['~standard']['types']>['input'] : unknown;
/** The output type of a schema, for handlers. `unknown` without a schema. */
type SchemaOutput<T> = T extends StandardSchema ? NonNullable<T['~standard']['types']>['output'] : unknown;
/** An entry of `data.issues` of an error with the reason `VALIDATION`. */
interface ValidationIssue {
    /** The path in the input, from the outside in; empty for the input itself. */
    path: (string | number)[];
    /** The message of the schema. */
    message: string;
}

/** A declared error of a method. Its name is the `reason`. */
interface ErrorDefinition {
    /** One of the sixteen gRPC codes. */
    readonly code: MeshErrorCode;
    /** The message, for people. Default: the name. */
    readonly message?: string | undefined;
    /** A Standard Schema of `error.data`. Default: no data. */
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
/** The options of one declared error, in addition to its data. */
interface DeclaredErrorOptions {
    /** The message, for people. Default: the declared message. */
    message?: string | undefined;
    /** The delay before a sensible retry, in milliseconds. */
    retryAfterMs?: number | undefined;
    /** The original error. It never leaves the process. */
    cause?: unknown;
}
/** The functions that create the errors of a map: `throw ctx.errors.OUT_OF_STOCK({ sku })`. */
type ErrorFactories<TErrors extends ErrorMap> = {
    readonly [K in keyof TErrors & string]: TErrors[K] extends {
        /** The schema of the data. */
        data: infer S extends StandardSchema;
    } ? (data: SchemaInput<S>, options?: DeclaredErrorOptions) => DeclaredError<K, SchemaInput<S>> : (data?: undefined, options?: DeclaredErrorOptions) => DeclaredError<K, undefined>;
};

type OptionalSchema = StandardSchema | undefined;
/** The definition of a method of a contract. */
interface ProcedureDefinition<TInput extends OptionalSchema = OptionalSchema, TOutput extends OptionalSchema = OptionalSchema, TErrors extends ErrorMap = ErrorMap> {
    /** A Standard Schema of the input, or of each item the client sends. */
    readonly input?: TInput;
    /** A Standard Schema of the result, or of each item the service sends. */
    readonly output?: TOutput;
    /** The declared errors by their names. */
    readonly errors?: TErrors;
    /** Whether the method is safe to run twice, so that its calls may be retried. Default: false. */
    readonly idempotent?: boolean | undefined;
    /**
     * Whether callers validate results against `output`, and receive the output of the schema. JSON has no
     * dates: with `z.coerce.date()` a caller then gets a `Date` instead of a string; with `z.date()` the call
     * fails. Default: false.
     */
    readonly checkOutput?: boolean | undefined;
}
/**
 * A method of a contract. {@link unary}, {@link serverStream}, {@link clientStream} and {@link bidiStream}
 * create it.
 */
interface Procedure<TKind extends CallKind = CallKind, TInput extends OptionalSchema = OptionalSchema, TOutput extends OptionalSchema = OptionalSchema, TErrors extends ErrorMap = ErrorMap> extends ProcedureDefinition<TInput, TOutput, TErrors> {
    /** The kind of call. */
    readonly kind: TKind;
}
/** The methods of a contract by their names. {@link unary} and its three siblings create them. */
type Procedures = Readonly<Record<string, {
    /** The kind of call. */
    readonly kind: CallKind;
}>>;
/** The methods of a service. {@link defineContract} creates it. */
interface Contract<TProcedures extends Procedures = Procedures> {
    /** The first part of the methods' names, and by default the id of the service. */
    readonly name: string;
    /** The methods. */
    readonly procedures: TProcedures;
}
/** The declared errors of a method, as its caller receives them. */
type ErrorsOf<T> = T extends {
    /** The declared errors. */
    readonly errors?: infer E;
} ? NonNullable<E> extends ErrorMap ? DeclaredErrors<NonNullable<E>> : never : never;
type Make<K extends CallKind> = <const TInput extends OptionalSchema = undefined, const TOutput extends OptionalSchema = undefined, const TErrors extends ErrorMap = {}>(definition?: ProcedureDefinition<TInput, TOutput, TErrors>) => Procedure<K, TInput, TOutput, TErrors>;
/**
 * A method that takes one input and answers with one result.
 *
 * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, naming the fault
 */
declare const unary: Make<'unary'>;
/** A method that takes one input and answers with many items. Throws as {@link unary}. */
declare const serverStream: Make<'serverStream'>;
/** A method that takes many items and answers with one result. Throws as {@link unary}. */
declare const clientStream: Make<'clientStream'>;
/** A method that takes many items and answers with many. Throws as {@link unary}. */
declare const bidiStream: Make<'bidiStream'>;
/**
 * Defines the methods of a service for both sides: {@link SecureMesh.implement} and {@link
 * SecureMesh.connect}. The methods are called `name.method`.
 *
 * @example
 * ```js
 * export const orders = defineContract('orders', {
 *   create: unary({ input: NewOrder, output: Order }),
 *   watch: serverStream({ input: Filter, output: OrderEvent }),
 * });
 * ```
 * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, naming the fault
 */
declare function defineContract<const TProcedures extends Procedures>(name: string, procedures: TProcedures): Contract<TProcedures>;

/**
 * The way in which a peer proved its identity. `'join-token'` is a service without a certificate that asks the
 * built-in authority for its first one; no other handler sees it.
 */
type Trust = 'shared-secret' | 'embedded' | 'pinned' | 'pinned+secret' | 'certificate' | 'join-token';
/** The caller of a request: always the verified identity, never a claimed one. */
interface Caller {
    /** The caller's service id. */
    readonly serviceId: string;
    /** The id of the session of the request. */
    readonly sessionId: string;
    /** The way in which the caller proved its identity. */
    readonly trust: Trust;
    /** The SPIFFE id of the caller's certificate, if it has one. */
    readonly spiffeId?: string | undefined;
    /** The claims of the caller's token. */
    readonly claims: Readonly<Record<string, unknown>>;
}

/**
 * Calls one service. {@link SecureMesh.connect} creates a client, which costs nothing; the first call
 * establishes the session.
 */
declare class SecureMeshClient {
    #private;
    /**
     * Creates a client with its own mesh, as in 0.2.0.
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
     * Makes an encrypted, authenticated call and resolves with the handler's result. The input is any JSON
     * value, or a `Uint8Array` to send bytes. It is encoded before this method returns, so later changes to it
     * have no effect.
     *
     * @param method the name under which the service has its handler
     * @throws MeshError the handler's `MeshError`, with `remote` true; or `DEADLINE_EXCEEDED` when the time ran
     *   out, `CANCELLED` when the signal was aborted, `UNAVAILABLE` when the service cannot be reached,
     *   `UNAUTHENTICATED` when one side could not prove its identity, `UNIMPLEMENTED` (`METHOD_NOT_FOUND`),
     *   `NOT_FOUND` (`UNKNOWN_SERVICE`), `INVALID_ARGUMENT` (`PAYLOAD`) for an input that cannot be sent,
     *   `RESOURCE_EXHAUSTED` (`TOO_LARGE`, `CALL_LIMIT`), `FAILED_PRECONDITION` (`NOT_INITIALIZED`, `CLOSED`)
     */
    call<TInput = unknown, TResult = unknown>(method: string, input?: TInput, options?: CallOptions): Promise<TResult>;
    /**
     * Calls a method that answers with many items. Leaving the loop cancels the call on the other side.
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
     * @param items the items to send; they are read no faster than the other side accepts them
     * @throws MeshError as {@link SecureMeshClient.call}; `UNIMPLEMENTED` (`CALL_KIND`) when the method
     *   is of another kind
     */
    clientStream<TItem = unknown, TResult = unknown>(method: string, items: AsyncIterable<TItem> | Iterable<TItem>, options?: CallOptions): Promise<TResult>;
    /**
     * Sends and receives many items; the two directions are independent.
     *
     * @param method the name under which the service has its handler
     * @param items the items to send; they are read no faster than the other side accepts them
     * @throws MeshError as {@link SecureMeshClient.serverStream}
     */
    bidiStream<TInput = unknown, TOutput = unknown>(method: string, items: AsyncIterable<TInput> | Iterable<TInput>, options?: CallOptions): AsyncIterableIterator<TOutput>;
    /**
     * Waits until calls can be made.
     *
     * @deprecated The first call connects.
     */
    connect(): Promise<void>;
    /**
     * Sends a string to the service's `sendMessage` handler.
     *
     * @deprecated Use {@link SecureMeshClient.call}.
     */
    sendMessage(data: string): Promise<string>;
    /**
     * Closes the client.
     *
     * @deprecated Use {@link SecureMesh.cleanup}.
     */
    disconnect(): void;
}

/** A promise of a call whose declared errors the compiler knows. */
interface CallPromise<TResult, TError = never> extends Promise<TResult> {
    /** For the compiler only; no promise has this property. */
    readonly '~error'?: TError;
}
/** The result of {@link safe}. */
type SafeResult<TResult, TError = never> = {
    /** The call succeeded. */
    readonly ok: true;
    /** The result. */
    readonly data: TResult;
    /** Never set. */
    readonly error?: undefined;
} | SafeFailure<TError> | {
    /** The call failed. */
    readonly ok: false;
    /** The contract does not declare the error: the service, or the way to it, has failed. */
    readonly declared: false;
    /** The error. */
    readonly error: MeshError;
};
type SafeFailure<TError> = [TError] extends [never] ? never : {
    /** The call failed. */
    readonly ok: false;
    /** The contract declares the error; its reason identifies it. */
    readonly declared: true;
    /** The declared error. */
    readonly error: TError;
};
/**
 * Returns the outcome of a call as a value. It never rejects.
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
 * Whether a method of a contract declares a caught error.
 *
 * @example
 * ```js
 * if (isDeclaredError(orders.procedures.create, error) && error.reason === 'OUT_OF_STOCK') { … }
 * ```
 */
declare function isDeclaredError<TErrors extends ErrorMap>(procedure: {
    readonly errors?: TErrors;
}, error: unknown): error is DeclaredErrors<TErrors>;

/** The argument for an input of type `T`, optional if `T` may be `undefined`. */
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
/** The options of a contract's client. */
interface ConnectOptions {
    /** The service's id. Default: the contract's name. */
    service?: string | undefined;
}

/**
 * The facts of a request, for its handler: the verified caller, the remaining time, and whether the answer is
 * still wanted.
 */
declare class Context<TErrors extends ErrorMap = {}> {
    #private;
    /** The method that was called. */
    readonly method: string;
    /** The kind of call. */
    readonly kind: CallKind;
    /** The caller: the verified identity. */
    readonly caller: Caller;
    /** The number of the caller's attempt, from 1. */
    readonly attempt: number;
    /** Creates the errors that this method declares, by name: `throw ctx.errors.OUT_OF_STOCK({ sku })`. */
    readonly errors: ErrorFactories<TErrors>;
    /** The id of the request in logs: the caller's `x-request-id`, else the session's id and a number. */
    get requestId(): string;
    /** The caller's metadata. */
    get metadata(): Readonly<Record<string, string>>;
    /** The metadata of the answer; set entries to send them with the result. */
    get responseMetadata(): Record<string, string>;
    /** The caller's W3C trace context, if it is well formed. */
    get traceparent(): string | undefined;
    /**
     * Aborted when the answer is no longer wanted: the caller cancelled, the deadline passed, the connection
     * was lost, or the mesh is closing. Its `reason` is a {@link MeshError} with the cause. Pass the signal to
     * every operation that takes time.
     */
    get signal(): AbortSignal;
    /** The time left for the answer, in ms, never below 0; `Infinity` without a deadline. */
    timeoutMs(): number;
    /**
     * Calls another service on behalf of this request. The call is cancelled with the request, shares its
     * deadline, and continues its trace and request id.
     *
     * @throws MeshError as {@link SecureMeshClient.call}
     */
    call<TInput = unknown, TResult = unknown>(service: string, method: string, input?: TInput, options?: CallOptions): Promise<TResult>;
    /** Returns a client of a contract, whose calls are made on behalf of this request. */
    connect<T extends Contract>(contract: T, options?: ConnectOptions): ContractClient<T>;
    /** Returns a client whose calls are made on behalf of this request, as by {@link Context.call}. */
    connect(service: string): SecureMeshClient;
}

/** The policy of a handler: its limits, permitted callers and middleware. */
interface HandlerPolicy {
    /** The time limit of a request, in ms, even if its caller would wait longer. */
    timeoutMs?: number | undefined;
    /**
     * The services that may call the method; others get `PERMISSION_DENIED`. Default: every authenticated
     * service.
     */
    allow?: readonly string[] | undefined;
    /** Middleware around this handler, inside that of the mesh, outermost first. */
    use?: readonly Middleware[] | undefined;
}
/** The options of a handler. */
interface HandlerOptions<TInput extends StandardSchema | undefined = StandardSchema | undefined, TOutput extends StandardSchema | undefined = StandardSchema | undefined, TErrors extends ErrorMap = ErrorMap, TKind extends CallKind | undefined = CallKind | undefined> extends HandlerPolicy {
    /**
     * The kind of call that the handler answers; other kinds get `UNIMPLEMENTED`, reason `CALL_KIND`. Default:
     * every kind, except that a generator function answers only `serverStream` and `bidiStream`.
     */
    kind?: TKind;
    /**
     * A Standard Schema (zod, valibot, arktype and others) of the input, or of each item that arrives. The
     * handler receives the output of the schema. An invalid input gets `INVALID_ARGUMENT`, reason `VALIDATION`,
     * with `data.issues`.
     */
    input?: TInput;
    /**
     * A Standard Schema of the result, or of each item that is sent. An invalid result is a fault of this
     * service: the caller gets `INTERNAL`, and the issues are logged.
     */
    output?: TOutput;
    /** The declared errors, which the handler creates with `ctx.errors`. */
    errors?: TErrors;
    /**
     * Whether the method is safe to run twice. If so, no outcomes are kept for idempotency keys. Default: false.
     */
    idempotent?: boolean | undefined;
}
/**
 * Answers the calls of a method. The result is the value that it returns or resolves with: a JSON value,
 * `undefined`, or a `Uint8Array`, which arrives as one. A thrown `MeshError` arrives unchanged. Any other
 * error arrives as `INTERNAL` with an `errorId`, and the original goes to the logger only.
 *
 * @param input the caller's input; unchecked unless the handler has an `input` schema
 * @param context the facts of the request: its caller, the remaining time and so on
 */
type Handler<TInput = any, TResult = unknown, TErrors extends ErrorMap = {}> = (input: TInput, context: Context<TErrors>) => TResult | Promise<TResult>;
/**
 * The type of a handler for a kind of call, with the types of its input and result, or of their items.
 * Without a kind the handler may return a result or items.
 */
type HandlerOf<TKind extends CallKind | undefined, TInput, TOutput, TErrors extends ErrorMap = {}> = (input: TKind extends 'clientStream' | 'bidiStream' ? AsyncIterable<TInput> : TInput, context: Context<TErrors>) => MaybePromise<TKind extends 'unary' | 'clientStream' ? TOutput : TKind extends 'serverStream' | 'bidiStream' ? Items<TOutput> : TOutput | Items<TOutput>>;
type MaybePromise<T> = T | Promise<T>;
/**
 * Runs around handlers. `next()` runs the inner function, once, and resolves with its result or rejects with
 * its error. For a stream it resolves with `undefined` at the end of the stream.
 *
 * The result of a middleware is the answer; `undefined` keeps the inner answer, so `await next()` is enough
 * as the last line. Without a call of `next()` the handler does not run. An error of a middleware is treated
 * like an error of the handler.
 */
type Middleware = (context: Context, next: () => Promise<unknown>) => unknown;

type ProcedureHandler<T> = T extends Procedure<infer K, infer I, infer O, infer E> ? HandlerOf<K, SchemaOutput<I>, SchemaInput<O>, E> : never;
/** A handler for each method of a contract. */
type Implementation<T extends Contract> = {
    [K in keyof T['procedures']]: ProcedureHandler<T['procedures'][K]>;
};
/** The options of a contract's handlers. */
interface ImplementOptions<T extends Contract = Contract> extends HandlerPolicy {
    /** Options of single methods, which take precedence. */
    methods?: {
        [K in keyof T['procedures']]?: HandlerPolicy;
    } | undefined;
}

/** A router of `@lemur-bookstores/secure-stack-core`, such as the result of `router().query(…).mutation(…)`. */
interface RouterLike {
    /** The procedures by their names. */
    getRoutes(): ReadonlyMap<string, RouteLike>;
    /** The middleware around the procedures. */
    getMiddlewares?(): readonly unknown[];
}
/** A procedure of a {@link RouterLike}. */
interface RouteLike {
    /** `query` and `mutation` are unary calls, `subscription` is a server stream. */
    readonly type: string;
    /** The schemas and the handler, which receives `{ input, ctx }`. */
    readonly config: {
        /** The schema of its inputs. */
        readonly input?: unknown;
        /** The schema of its results. */
        readonly output?: unknown;
        /** The handler. */
        readonly handler: (call: any) => unknown;
    };
}
/** Routers by name; the names become the first parts of the methods' names. */
interface RouterTree {
    readonly [name: string]: RouterLike | RouterTree;
}

/** The common properties of the calls of a {@link SecureMesh.scope}. */
interface ScopeOptions {
    /** Cancels the calls: that of an HTTP request whose client may leave, for example. */
    signal?: AbortSignal | undefined;
    /** The time that all of the calls have together, in ms, above 0. Default: no limit but their own. */
    timeoutMs?: number | undefined;
    /** Sent with each of the calls. The metadata of a call itself comes first. */
    metadata?: Readonly<Record<string, string>> | undefined;
    /**
     * The W3C trace context that the calls continue, each with a span of its own. One that is not
     * well formed is left out, since it comes from outside.
     */
    traceparent?: string | undefined;
    /**
     * Names the request in the logs of the services, as `x-request-id`. One that is not 1…128 visible
     * ASCII characters is left out, since it comes from outside.
     */
    requestId?: string | undefined;
}

/**
 * A logger: `console`, a logger of pino or winston, or any object with these methods. Without a logger
 * nothing is logged; this package never prints.
 *
 * Each method receives a message and the fields. A logger of pino or bunyan, recognised by its `child` and
 * its numeric levels, receives the fields first, and a field `error` also as `err`, which those loggers can
 * format. For all loggers except `console`, an error among the fields becomes an object with its name,
 * message, stack and code, because JSON would lose it.
 */
interface Logger {
    /**
     * Details for debugging.
     *
     * @param fields further facts; never secrets
     */
    debug?(message: string, fields?: Record<string, unknown>): void;
    /**
     * A normal event.
     *
     * @param fields further facts; never secrets
     */
    info?(message: string, fields?: Record<string, unknown>): void;
    /**
     * An unusual event that was handled.
     *
     * @param fields further facts; never secrets
     */
    warn?(message: string, fields?: Record<string, unknown>): void;
    /**
     * An event that needs attention.
     *
     * @param fields further facts; never secrets
     */
    error?(message: string, fields?: Record<string, unknown>): void;
}

/** The events of a mesh by their names. */
interface MeshEventMap {
    /** A session was opened or closed. */
    session: {
        /** The change. */
        state: 'opened' | 'closed';
        /** The peer. */
        service: string;
        /** The id of the session, the same on both sides. */
        sessionId: string;
        /** The kind of proof behind the peer's identity, as in `ctx.caller.trust`. */
        trust: string;
    };
    /** The breaker of an instance changed. */
    breaker: {
        /** The service. */
        service: string;
        /** The instance: host and port. */
        target: string;
        /** The new state. */
        state: 'closed' | 'open' | 'half_open';
    };
    /** This service's key, secret or certificate changed, or is about to end. */
    identity: {
        /** The stable name, as in `key.rotated`. */
        what: string;
        /** A sentence. */
        message: string;
    };
    /** A peer, or one of its requests, was refused. */
    refused: {
        /** The peer's id if it has proved it, otherwise its address. */
        subject: string;
        /** The reason, as in `HELLO_MAC`. */
        reason: string;
        /** A sentence. */
        message: string;
        /** The number of refusals that this event stands for. */
        count: number;
    };
    /** A stream has stalled. */
    stall: {
        /** The peer. */
        service: string;
        /** The method. */
        method: string;
        /** The side that does not read. */
        reader: 'peer' | 'application';
        /** The number of bytes that wait. */
        bytes: number;
    };
}
/** A listener of events. */
type MeshListener<K extends keyof MeshEventMap> = (event: MeshEventMap[K]) => void;

/**
 * A check of a dependency. The dependency is healthy if the check returns, or resolves to, anything but `false`.
 * An error describes the fault.
 */
type ReadinessCheck = () => unknown;

/** One entry of the audit log. */
interface MeshAuditEvent {
    /** Unique name. */
    id: string;
    /** The time of the event. */
    timestamp: Date;
    /** The type of the event: one of these words, or one that the application chooses. */
    eventType: 'connection' | 'message' | 'key_rotation' | 'rate_limit' | 'circuit_breaker' | 'authorization' | 'error' | 'system' | (string & {});
    /** The service that reports it. */
    serviceId: string;
    /** The peer. */
    targetServiceId?: string;
    /** The outcome of the event. */
    details: {
        /** The action. */
        action?: string;
        /** Whether the action succeeded. */
        success: boolean;
        /** The duration in milliseconds. */
        duration?: number;
        /** The number of messages. */
        messageCount?: number;
        /** The cause of the failure. */
        error?: string;
        /** Further facts; never secrets. */
        metadata?: Record<string, any>;
    };
}
/** A receiver of audit entries and metrics. */
interface MonitoringAdapter {
    /** Delivers an entry. Resolves when the entry is delivered, rejects if it cannot be. */
    logEvent(event: MeshAuditEvent): Promise<void>;
    /** Delivers metrics. */
    logMetrics?(metrics: any): Promise<void>;
    /** Delivers buffered entries. */
    flush?(): Promise<void>;
    /** Delivers buffered entries, and closes files and connections. */
    close?(): Promise<void>;
}

/** Settings of an {@link AuditLogger}. */
interface AuditLoggerConfig {
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
interface AuditLoggerStats {
    /** Entries that wait for an adapter now. */
    queued: number;
    /** Entries that an adapter has accepted. */
    delivered: number;
    /** Entries that an adapter has rejected, or not accepted in time. */
    failed: number;
    /** Entries that were dropped because too many waited. */
    dropped: number;
}
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
declare class AuditLogger {
    #private;
    /** @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: a setting is missing, misspelt or out of range */
    constructor(config: AuditLoggerConfig);
    /**
     * Logs an entry. Resolves when every adapter has accepted or rejected the entry; callers need not wait for
     * that.
     *
     * @throws MeshError (as a rejection) `INVALID_ARGUMENT`, reason `ARGUMENT`: it is not an audit entry
     */
    log(event: Omit<MeshAuditEvent, 'id' | 'timestamp'>): Promise<void>;
    /** Logs an attempt to connect. */
    logConnection(serviceId: string, targetServiceId: string, success: boolean, error?: string): Promise<void>;
    /** Logs exchanged messages; `duration` in milliseconds. */
    logMessage(serviceId: string, targetServiceId: string, messageCount: number, duration: number): Promise<void>;
    /** Logs a rotation of a key and its success. */
    logKeyRotation(serviceId: string, success: boolean, error?: string): Promise<void>;
    /** Logs the decision of a quota about a client. */
    logRateLimit(serviceId: string, clientId: string, blocked: boolean): Promise<void>;
    /** Logs a state change of a circuit breaker. */
    logCircuitBreaker(serviceId: string, targetServiceId: string, state: string, error?: string): Promise<void>;
    /** Resolves when every entry logged until now has been accepted or rejected, and no adapter buffers one. */
    flush(): Promise<void>;
    /** {@link flush}, then closes the adapters. Entries that are logged afterwards still go to the adapters. */
    close(): Promise<void>;
    /** Figures of all adapters together. */
    getStats(): AuditLoggerStats;
}

/** Settings of a {@link KeyRotation}. */
interface KeyRotationConfig {
    /** The time between rotations: milliseconds or a string such as `'30d'`. */
    rotationInterval: number | string;
    /** Whether keys are rotated automatically. Default: false. */
    autoRotate?: boolean | undefined;
    /**
     * Called after each rotation. The fingerprint is the SHA-256 JWK thumbprint (RFC 7638) of the new public
     * key, as `CryptoManager.getThumbprint` returns it; empty if the object has no `getThumbprint`. An error of
     * this function goes to {@link onError}.
     */
    onRotation?: ((newKeyFingerprint: string) => void) | undefined;
    /** Called after a failed automatic rotation, which is retried after at most a minute. */
    onError?: ((error: Error) => void) | undefined;
}
/** The owner of the key that a {@link KeyRotation} replaces. */
interface RotatesKeys {
    /** Replaces the key. */
    rotate(): Promise<unknown> | unknown;
    /** The thumbprint of the current key (RFC 7638). Without this method `onRotation` gets an empty string. */
    getThumbprint?(): string;
}
/**
 * The interface that 0.2.0 required. A new session key replaces no key: a rotation of such an object fails,
 * with its own error or with `FAILED_PRECONDITION`.
 *
 * @deprecated Give the object a `rotate()`.
 */
interface MakesSessionKeys {
    /** Generates a key, which 0.2.0 discarded. */
    generateSessionKey(): unknown;
}
/**
 * Replaces keys periodically. A mesh has its own rotation, with the option `rotation`.
 *
 * After the rotation of a {@link CryptoManager}, the previous key only opens data that was encrypted to it,
 * until the next rotation. All other operations use the new key.
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
     * @param serviceId the owner of the key, for the audit log
     * @param cryptoManager the object whose key is replaced: a `CryptoManager`, initialized before the first
     *   rotation, or any other object with a `rotate()`
     * @param auditLogger receives an entry for each rotation, successful or not: an `AuditLogger`, or any other
     *   object with its `logKeyRotation`. An error of it goes to `config.onError`
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: a setting is missing, misspelt or out of range
     */
    constructor(serviceId: string, cryptoManager: RotatesKeys | MakesSessionKeys, config: KeyRotationConfig, auditLogger?: Pick<AuditLogger, 'logKeyRotation'>);
    /**
     * Replaces the key now. During a running rotation, it resolves with that one. The next automatic rotation
     * is a full interval later.
     *
     * @throws MeshError (as a rejection) the error of `CryptoManager.rotate`; the previous key then stays in use
     */
    rotate(): Promise<void>;
    /** Begins automatic rotation, the first one a full interval from now. Without effect if it has begun. */
    start(): void;
    /** Ends automatic rotation. `rotate` still works. */
    stop(): void;
    /** The same as {@link stop}. */
    destroy(): void;
}

/** A duration: milliseconds, or a string such as `'500ms'`, `'30s'`, `'15m'`, `'1h'`, `'7d'`. */
type Duration = number | string;

/** The known health of an instance. */
type ServiceStatus = 'healthy' | 'unhealthy' | 'unknown';
/** One instance of a service. */
interface ServiceInfo {
    /** Service id: 1 to 128 ASCII letters, digits, `.`, `_` and `-`. Several instances may share it. */
    id: string;
    /** DNS name, IPv4 or IPv6 address. */
    host: string;
    /** TCP port, 1…65535. */
    port: number;
    /**
     * The service's RSA public key, PEM. The registry does not parse it; a mesh checks the key at its first
     * use.
     */
    publicKey?: string;
    /** Facts about the instance, for the application: strings by name. */
    metadata?: Record<string, string>;
    /** The health. Default in a registration: the known health, else `'unknown'`. */
    status?: ServiceStatus;
    /** The time of the last health check. Set by the registry. */
    lastHealthCheck?: Date;
}
/** The address of one instance of a service. */
interface InstanceAddress {
    /** As in the registration. */
    host: string;
    /** As in the registration. */
    port: number;
}
/** A change in a registry. */
interface DiscoveryChange {
    /** The kind of change: a new or updated instance, a removed instance, or a new health. */
    type: 'registered' | 'removed' | 'health';
    /** The instance, after the change. */
    service: ServiceInfo;
}
/** Options of a health check. */
interface CheckHealthOptions {
    /** The timeout of an answer: milliseconds or a string such as `'2s'`. Default: 2,000. */
    timeoutMs?: number | string;
}
/** The result of a health check. */
interface ServiceHealth {
    /** The service's id. */
    id: string;
    /** `'healthy'` if at least one instance is. */
    status: 'healthy' | 'unhealthy';
    /** All instances, with the cause for an unhealthy one. */
    instances: (ServiceInfo & {
        /** The cause, if the instance is unhealthy. */
        error?: string;
    })[];
}
/** The discovery interface of 0.2.0, which {@link StaticDiscovery} implements. */
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
 * A static registry of services and their addresses.
 *
 * A service may have several instances, which differ in host or port. `lookup` picks them in turn and skips
 * those known to be unhealthy.
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
     * @param services the initial registrations
     * @throws MeshError as {@link register}, with the path, as in `services[1].port`
     */
    constructor(services?: readonly ServiceInfo[]);
    /**
     * Adds an instance, or replaces the registration at the same host and port.
     *
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: a field is missing, misspelt or wrong;
     *   the message has its path. Reason `ID_SYNTAX`: the id is outside the allowed alphabet
     */
    register(service: ServiceInfo): void;
    /**
     * Picks the next instance of those not known to be unhealthy; `undefined` if there is none.
     */
    lookup(serviceId: string): ServiceInfo | undefined;
    /** All instances of a service, whatever their health, in the order of registration. */
    lookupAll(serviceId: string): ServiceInfo[];
    /**
     * Checks whether the instances of a service accept a TCP connection, and stores the result as their health.
     * A connection does not prove the identity of the service; only a call does.
     *
     * @throws MeshError (as a rejection) `NOT_FOUND`, reason `UNKNOWN_SERVICE`: no such service
     */
    checkHealth(serviceId: string, options?: CheckHealthOptions): Promise<ServiceHealth>;
    /**
     * Calls `listener` after each change, in the call that made it.
     *
     * @returns a function that removes the listener
     */
    watch(listener: (change: DiscoveryChange) => void): () => void;
    /**
     * As {@link register}.
     *
     * @deprecated The API of 0.2.0. Use `register`.
     */
    registerService(service: ServiceInfo): Promise<void>;
    /**
     * As {@link lookup}, but returns an unhealthy instance if there is no other.
     *
     * @deprecated The API of 0.2.0. Use `lookup` or `lookupAll`.
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
    /** Removes one instance, or all of them. Resolves to whether an instance was removed. */
    removeService(serviceId: string, instance?: InstanceAddress): Promise<boolean>;
}

/** One instance of a service, as a provider reports it. */
interface Instance {
    /** A DNS name, an IPv4 or an IPv6 address. */
    host: string;
    /** The TCP port, 1…65535. */
    port: number;
    /** The zone of the instance: see `balancing.zone`. */
    zone?: string | undefined;
    /** Its share of the calls beside those of the other instances, 1…65,535. Default: 1. */
    weight?: number | undefined;
    /** Further facts: strings by name. */
    metadata?: Record<string, string> | undefined;
}
/**
 * A source of instances, for `discovery.provider`. Its answers are not trusted: they say where a
 * service is, and the pins and secrets of the mesh decide whether it is the service.
 *
 * @example
 * ```js
 * const provider = {
 *   watch(serviceId, update, signal) {
 *     const ask = async () => update(await lookUp(serviceId));
 *     const timer = setInterval(() => ask().catch(console.error), 5_000);
 *     signal.addEventListener('abort', () => clearInterval(timer));
 *     return ask();
 *   },
 * };
 * ```
 */
interface DiscoveryProvider {
    /**
     * Reports the instances of a service: once now, and again after each change. Called at the first
     * call of the service. A list that cannot be used is logged, and the previous one stays.
     *
     * @param update takes all instances of the service, 1,000 at most; an empty list where there is none
     * @param signal is aborted when the mesh closes
     * @param away tells that the source went away (true) or answers again (false): while it is away,
     *   `discovery.maxStaleMs` counts. A report says that it answers, and a failure that it does not
     * @throws anything, also as a rejection: it is logged, and the service is watched again after a while
     */
    watch(serviceId: string, update: (instances: readonly Instance[]) => void, signal: AbortSignal, away?: (away: boolean) => void): void | Promise<void>;
    /**
     * Makes this service known, once it listens. Without this function it is not registered.
     *
     * @param self where it listens, or `discovery.advertise`
     * @returns its deregistration, which `drain()` and `cleanup()` await first
     */
    register?(serviceId: string, self: Instance): Promise<() => Promise<void>>;
}
/** Anything that `discovery.provider` takes. */
type ProviderOption = DiscoveryProvider | StaticDiscovery;
/** The address by which others reach this service. */
interface AdvertisedAddress {
    /** A DNS name or an IP address. */
    host: string;
    /** A TCP port. Default: the port that the mesh listens on. */
    port?: number | undefined;
}
/** The state of a service in discovery. */
interface DiscoveredService {
    /** The number of its instances. */
    instances: number;
    /** The time since a provider reported them, in ms; `null` before the first report. */
    ageMs: number | null;
    /** The time since its source went away, in ms; `null` while it answers. `discovery.maxStaleMs` limits it. */
    staleMs: number | null;
    /** The fault of the last report, or of the last attempt to get one. */
    error?: string;
}

/** The options of kept outcomes: `resilience.idempotency`. */
interface IdempotencyConfig {
    /** The lifetime of a kept outcome, 1 second to 1 day. Default: `'10m'`. */
    ttl?: number | string | undefined;
    /** The limit of known keys, 100 to 10,000,000. Default: 100,000. */
    maxKeys?: number | undefined;
    /** The limit of bytes that keys and outcomes take, at least 1 MiB. Default: 64 MiB. */
    maxBytes?: number | undefined;
    /**
     * The share of `maxKeys` and of `maxBytes` that one calling service may use, 0.01 to 1.
     * Default: 0.25.
     */
    callerShare?: number | undefined;
}

/** A certificate that a peer has proved. */
interface PeerCertificate {
    /** The name of the service: its SPIFFE id, or a DNS name. */
    readonly name: string;
    /** The subject, as in `CN=orders`. */
    readonly subject: string;
    /** The issuer. */
    readonly issuer: string;
    /** The serial number in hexadecimal. */
    readonly serial: string;
    /** The SHA-256 of the certificate in hexadecimal. */
    readonly fingerprint: string;
    /** Its end, in milliseconds since 1970. */
    readonly expiresAt: number;
}
/** A session with another service. */
interface PeerSession {
    /** The service at the other end: the verified identity. */
    readonly serviceId: string;
    /** The id of the session, the same on both sides. */
    readonly sessionId: string;
    /** Whether the peer opened the session. */
    readonly inbound: boolean;
    /** The way in which the peer proved its identity. */
    readonly trust: Trust;
    /** The key exchange of the session. */
    readonly suite: string;
    /** The size of its AES keys, in bits. */
    readonly aesKeySize: number;
    /** The certificate of the other side, if `trust` is `'certificate'`. */
    readonly certificate?: PeerCertificate | undefined;
}

/** The figures of a {@link MetricsCollector} since its creation or reset. */
interface MeshMetrics {
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
interface CallRecord {
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
declare class MetricsCollector {
    #private;
    /** Records an attempt to connect and its success. */
    recordConnection(success: boolean): void;
    /** Records the end of a connection. */
    recordConnectionClosed(): void;
    /** Records a sent message. */
    recordMessageSent(): void;
    /** Records a received message. */
    recordMessageReceived(): void;
    /** Records a failed message. */
    recordMessageFailed(): void;
    /**
     * Records the latency of a call.
     *
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: the latency is not a number of milliseconds from 0
     */
    recordLatency(latencyMs: number): void;
    /** Records a request within its quota. */
    recordRateLimitAllowed(): void;
    /** Records a request over its quota. */
    recordRateLimitBlocked(): void;
    /**
     * Records the new state of a circuit breaker.
     *
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: the state is unknown
     */
    recordCircuitBreakerState(state: 'closed' | 'open' | 'half_open'): void;
    /**
     * Records the end of a call. Calls are counted by service, method and code; beyond 500 pairs of service and
     * method, all others are counted as `other`.
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
    /** Resets all figures to zero. */
    reset(): void;
}

/** The state of a {@link CircuitBreaker}. */
declare enum CircuitState {
    /** All calls are made. */
    CLOSED = "closed",
    /** No call is made. */
    OPEN = "open",
    /** A few calls are made, to probe the service. */
    HALF_OPEN = "half_open"
}
/** Settings of a {@link CircuitBreaker}. */
interface CircuitBreakerConfig {
    /** The number of failures within `monitoringPeriod` that opens the breaker. */
    failureThreshold: number;
    /**
     * The number of successes that closes the breaker. While it is half open, it admits no more calls than
     * these at once.
     */
    successThreshold: number;
    /** The time for which the breaker stays open: milliseconds or a string such as `'30s'`. */
    timeout: number | string;
    /**
     * The sliding window in which failures are counted: milliseconds or a string such as `'1m'`. Default:
     * 60,000.
     */
    monitoringPeriod?: number | string | undefined;
    /**
     * The share of the window's calls that must also have failed, 0 to 1, so that a few failures of a busy
     * service do not open the breaker. Default: 0.5.
     */
    failureRate?: number | undefined;
    /**
     * Whether an error is a failure of the protected service; `undefined` ignores the call, and `false` counts
     * the error as an answer. Default: a failure is any error that is not a {@link MeshError}, and one with the
     * code `UNAVAILABLE`, `DEADLINE_EXCEEDED`, `INTERNAL` or `UNKNOWN`. An error that the caller caused and a
     * forged message do not count.
     */
    isFailure?: ((error: unknown) => boolean | undefined) | undefined;
    /** Called after each change of state. Its errors are ignored. */
    onStateChange?: ((state: CircuitState) => void) | undefined;
}
/**
 * Makes calls as long as enough of them succeed. After `failureThreshold` failures within `monitoringPeriod`
 * the breaker opens: for `timeout` it makes no call and fails immediately. Then it is half open and admits at
 * most `successThreshold` calls at once. If they succeed it closes; if one fails it opens again.
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
     * Calls `fn` if the breaker admits a call, and settles as it does.
     *
     * @throws MeshError `UNAVAILABLE`, reason `CIRCUIT_OPEN`, with `retryAfterMs`: `fn` was not called
     */
    execute<T>(fn: () => Promise<T> | T): Promise<T>;
    /** The state. An open breaker whose `timeout` has passed stays open until the next call. */
    getState(): CircuitState;
    /** Closes the breaker and forgets all failures. */
    reset(): void;
}

/** Settings of a {@link RateLimiter}. */
interface RateLimiterConfig {
    /** The number of requests in a window. */
    maxRequests: number;
    /** The window: milliseconds or a string such as `'1m'`. */
    windowMs: number | string;
    /**
     * The minimum time for which a client over its quota is blocked. Default: 0, only until its quota allows
     * the next request.
     */
    blockDuration?: number | string | undefined;
    /**
     * The limit of remembered clients. Beyond it, a new client evicts the one that is nearest to a full quota.
     * Default: 10,000.
     */
    maxKeys?: number | undefined;
}
/** The result of {@link RateLimiter.check}. */
interface RateLimitResult {
    /** Whether the request is within the quota. */
    allowed: boolean;
    /** The number of further requests that would be allowed now. */
    remaining: number;
    /** The time at which the quota is full again. */
    resetTime: Date;
    /** Whole seconds to wait, as in the header `Retry-After`, if the request is not allowed. */
    retryAfter?: number;
    /** The same in milliseconds. */
    retryAfterMs?: number;
}
/**
 * Limits the requests of each client. A quota refills steadily, not at the edge of a window, so no client
 * gets two windows' worth at once (GCRA, ITU-T I.371).
 *
 * Use only verified ids: with claimed ids, anyone can use up a foreign quota.
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
     * Takes a request from a client's quota, if the quota allows it.
     *
     * @param clientId a string of 1 to 1,024 bytes
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
     */
    check(clientId: string): RateLimitResult;
    /** {@link check}, as a promise: the API of 0.2.0. */
    checkLimit(clientId: string): Promise<RateLimitResult>;
    /** Restores a client's full quota. */
    reset(clientId: string): void;
    /** The number of remembered clients. */
    get size(): number;
    /** Forgets all clients. The limiter has no timer to stop. */
    destroy(): void;
}

/** Settings of a {@link RetryPolicy}. */
interface RetryPolicyConfig {
    /** The limit of attempts, including the first, 1 to 100. */
    maxAttempts: number;
    /** The longest delay after the first attempt: milliseconds or a string such as `'1s'`. Default: 100. */
    initialDelay?: number | string | undefined;
    /** The limit of a delay. Default: 30,000, or `initialDelay` if that is longer. */
    maxDelay?: number | string | undefined;
    /** The factor by which the delay grows with each attempt, 1 to 100. Default: 2. */
    backoffMultiplier?: number | undefined;
    /**
     * The retryable errors: their `code`, `reason` or `name`, or a part of their message. Default: a {@link
     * MeshError} whose `retryable` is true, and every other error except programming errors (`TypeError` and
     * the like) and cancellations (`AbortError`).
     */
    retryableErrors?: readonly string[] | undefined;
    /** Decides instead of `retryableErrors`. */
    isRetryable?: ((error: unknown, attempt: number) => boolean) | undefined;
    /** Whether a delay is random up to its limit, or exactly as long as the limit. Default: true. */
    jitter?: boolean | undefined;
    /**
     * A limit on the retries of all `execute` together: at most `ratio` retries per call in the long run, and
     * `reserve` at once. Default: only `maxAttempts` applies.
     */
    budget?: {
        /** Retries per call in the long run, usually 0 to 1. */
        ratio: number;
        /** Retries at once. Default: 10. */
        reserve?: number | undefined;
    } | undefined;
}
/** The options of one {@link RetryPolicy.execute}. */
interface RetryOptions {
    /** Ends the delays and attempts when aborted. */
    signal?: AbortSignal | undefined;
}
/**
 * Calls a function until it succeeds or the attempts are used up, with growing random delays between the
 * attempts: callers that failed together do not retry together.
 *
 * The policy cannot know whether a failed attempt has done its work nevertheless. Use it only for operations
 * that are safe to run twice.
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
     * Calls `fn` until it succeeds, and resolves with its result.
     *
     * @param fn receives the number of the attempt, from 1
     * @throws the error of the last attempt, or the signal's reason
     */
    execute<T>(fn: (attempt: number) => Promise<T> | T, options?: RetryOptions): Promise<T>;
}

/** A quota in Redis, for `resilience.rateLimit`. */
interface SharedQuotaConfig {
    /**
     * The URL of a Redis server (6 or later) that keeps the quotas of all processes of this service: `redis://` or `rediss://`, with user and
     * password if need be. Processes take leases from it in batches of a fortieth of the quota, beside the calls:
     * no request waits for it. Default: each process has quotas of its own.
     */
    shared?: string | undefined;
    /**
     * What becomes of requests while Redis does not answer. `'local'`: each process lets in `maxRequests` by
     * itself. `'deny'`: none is let in. Default: `'local'`.
     */
    onUnavailable?: 'local' | 'deny' | undefined;
}

/**
 * The options that the core reads: the name of the service, its address, and the sections about
 * trust, discovery and limits.
 */
interface CoreConfig {
    /** The service's name: letters, digits, `.`, `_`, `-`; 128 characters at most. */
    serviceId: string;
    /**
     * The port to listen on; 0 lets the system choose one. Environment: `SECURE_MESH_PORT`. Default:
     * none: the mesh only calls and does not listen.
     */
    port?: number | undefined;
    /**
     * The address to listen on. Environment: `SECURE_MESH_HOST`. Default: loopback without security
     * options, all interfaces with a secret or a pinned key.
     */
    host?: string | undefined;
    /**
     * Whether several processes may listen on the port, such as the workers of `node:cluster`. The
     * system spreads connections over them (`SO_REUSEPORT`; on Linux, not on Windows). Each process
     * sets the option, and all share one key directory. Default: false.
     */
    reusePort?: boolean | undefined;
    /** Keys, tokens and sessions. */
    security?: SecurityConfig | undefined;
    /** The services that can be called. */
    discovery?: DiscoveryOptions | undefined;
    /** Rules that permit services to call methods of this one. */
    authorization?: AuthorizationConfig | undefined;
    /** The distribution of calls over the instances of a service. */
    balancing?: BalancingConfig | undefined;
    /** The admin port. */
    admin?: AdminConfig | undefined;
    /** Spans of calls, requests and handshakes. */
    tracing?: TracingConfig | undefined;
    /** Limits on everything that the mesh holds and accepts. */
    limits?: MeshLimits | undefined;
    /** Directories. */
    paths?: PathsConfig | undefined;
}
/** The options of keys, tokens and sessions. */
interface SecurityConfig {
    /** The size of the RSA key in bits. Default: 4096. */
    rsaKeySize?: 2048 | 4096 | undefined;
    /** The size of the AES keys in bits. Default: 256. */
    aesKeySize?: 128 | 192 | 256 | undefined;
    /**
     * The secret that all services of the mesh share: at least 32 bytes, with at least 8 different
     * ones, and not a repetition of a short pattern. Environment: `SECURE_MESH_JWT_SECRET`. Default:
     * one that is made at the first use and kept in the key directory, which only services of the
     * same user on the same machine can read.
     */
    jwtSecret?: string | undefined;
    /**
     * This service's RSA key: PEM (PKCS#8 or PKCS#1), or the absolute path of a file with it. With
     * this option replicas share one key, and the service keeps its identity when it loses its disk.
     * The guide to containers lists the files that are accepted. The key is neither stored nor
     * logged, and `rotateKeys()` does not replace it. The variable may hold the PEM in one line, with
     * `\n` for the ends of lines. Environment: `SECURE_MESH_PRIVATE_KEY`. Default: one that is made
     * at the first use and kept in the key directory.
     */
    privateKey?: string | undefined;
    /**
     * The time for which a token is valid, 1 s to 1 day. Environment: `SECURE_MESH_JWT_EXPIRATION`.
     * Default: 1 hour.
     */
    jwtExpiration?: Duration | undefined;
    /**
     * The time for which an idle session stays open, 1 s to 30 days. Environment:
     * `SECURE_MESH_SESSION_TIMEOUT`. Default: 1 hour.
     */
    sessionTimeout?: Duration | undefined;
    /** The age at which a session is replaced, busy or not, 1 s to 30 days. Default: 1 day. */
    sessionLifetimeMs?: Duration | undefined;
    /**
     * The treatment of a peer whose key differs from its remembered key: `'enforce'` refuses it,
     * `'ignore'` accepts it if it knows the secret. Pins always hold. Default: `'enforce'`.
     */
    peerKeys?: 'enforce' | 'ignore' | undefined;
    /** @deprecated Use `paths.keysDir`. */
    keysDir?: string | undefined;
    /** Certificates as the only trust of this mesh. */
    certificate?: CertificateConfig | undefined;
    /**
     * For a migration: a weaker trust that is accepted beside certificates, and its end; one element
     * at most. A service that has once proved a certificate to this one needs a certificate from then
     * on. Default: none.
     */
    accept?: AcceptedTrustConfig[] | undefined;
    /**
     * TLS 1.3 beneath the streams. `'auto'` uses TLS if there is a `security.certificate`, with that
     * certificate; `'required'` is the same, and the start fails without a certificate; `'off'` is
     * plain HTTP/2. An object gives certificates that serve for TLS only. A service with TLS refuses
     * peers without it. Default: `'auto'`.
     */
    tls?: 'auto' | 'required' | 'off' | TlsConfig | undefined;
}
/**
 * The certificate of this service, and the authorities that it trusts. With it, certificates are
 * the only trust: neither a secret nor pinned keys count. Each option is the absolute path of a
 * file or PEM. Files are watched: the mesh uses a new content a moment after the change, and keeps
 * the previous one while the new one is invalid.
 */
interface CertificateConfig {
    /** The certificate, and the intermediates behind it. Environment: `SECURE_MESH_CERT`. */
    cert?: string | undefined;
    /**
     * The private key of the certificate: ECDSA P-256 or P-384, Ed25519, or RSA of 2048 to 4096 bits,
     * not encrypted. The guide to containers lists the files that are accepted. Environment:
     * `SECURE_MESH_KEY`.
     */
    key?: string | undefined;
    /**
     * The trust anchors: the certificates of authorities. During a rotation, the previous and the
     * next ones together. Environment: `SECURE_MESH_CA`.
     */
    ca?: string | undefined;
    /**
     * Revocation lists of these authorities and of their intermediates. Default: none: revocation is
     * not checked.
     */
    crl?: string | undefined;
    /**
     * The treatment of a certificate whose issuer has no list, or an expired one: `'refuse'`, or
     * `'warn'`, which accepts it with a warning. Has no effect without `crl`. Default: `'refuse'`.
     */
    crlPolicy?: 'refuse' | 'warn' | undefined;
    /** The trust domain of the services, as in `shop.example`. Default: that of this certificate. */
    trustDomain?: string | undefined;
    /**
     * Whether certificates without a SPIFFE id name their service by a DNS name. Default: `'spiffe'`.
     */
    names?: 'spiffe' | 'dns' | undefined;
    /**
     * With `names: 'dns'`: the suffix of DNS names. The name of a service is then its id, `.` and
     * this suffix. Default: the id alone.
     */
    dnsSuffix?: string | undefined;
    /**
     * The form of SPIFFE ids, with the place of the service id, as in
     * `spiffe://shop.example/ns/prod/sa/{service}`. Default: the last segment of a path that
     * otherwise equals this certificate's.
     */
    id?: string | undefined;
    /**
     * The SPIFFE Workload API, from which this mesh gets its certificate by itself: instead of
     * `cert`, `key`, `ca` and `crl`. Either the socket of the agent, as in
     * `'unix:///run/spire/agent.sock'`, or `true` for the one that `SPIFFE_ENDPOINT_SOCKET` names.
     * Default: none.
     */
    workloadApi?: string | true | undefined;
    /**
     * The built-in authority, from which this mesh gets its certificate by itself: instead of `cert`,
     * `key`, `ca` and `crl`. Default: none.
     */
    authority?: EnrolmentConfig | undefined;
}
/**
 * Certificates for TLS beneath a mesh whose trust is a secret or pinned keys. All services of the
 * mesh need them, because a service with TLS refuses connections without it. Files are watched.
 */
interface TlsConfig {
    /**
     * The certificate, and the intermediates behind it. It names the service as
     * `security.certificate` says, or by a DNS name that equals the `serviceId`.
     */
    cert?: string | undefined;
    /** The private key of the certificate. */
    key?: string | undefined;
    /** The trust anchors for the certificates of the other services. */
    ca?: string | undefined;
}
/**
 * Certificates that a mesh gets and renews by itself, from the built-in authority. They are kept in
 * the key directory. Neither files nor PEM are given beside it.
 */
interface EnrolmentConfig {
    /**
     * The service that has mounted the authority (`certificateAuthority()`). It is one of
     * `discovery.services`, or a provider knows it. Default: none: `directory` has the authority.
     */
    service?: string | undefined;
    /**
     * A token of the authority for this service, for its first certificate. It is not used while the
     * key directory has a certificate that is valid. Environment: `SECURE_MESH_JOIN_TOKEN`. Default:
     * none.
     */
    joinToken?: string | undefined;
    /**
     * The directory of the authority itself, for the service that has mounted it. Default: none:
     * `service` has the authority.
     */
    directory?: string | undefined;
}
/** A weaker trust that is accepted beside certificates during a migration. */
interface AcceptedTrustConfig {
    /**
     * The trust: the mesh secret (`security.jwtSecret`), or the keys that `discovery.services` pins.
     */
    trust: 'shared-secret' | 'pinned';
    /**
     * The end: the first day, in UTC, on which this trust is no longer accepted, as in
     * `'2027-03-01'`.
     */
    until: string;
}
/** The services, their addresses, and the sources that report them. */
interface DiscoveryConfig {
    /**
     * The services that can be called, with their addresses. The variable has them as
     * `stock=stock:50052,orders=10.0.0.7:50051`, an IPv6 address in brackets. Environment:
     * `SECURE_MESH_SERVICES`. Default: none.
     */
    services?: ServiceConfig[] | undefined;
    /**
     * A source of instances for the services whose address is not in `services`: `'file'`, `'dns'`,
     * `'etcd'`, `'consul'` or `'kubernetes'` with its options beside it, an object with a function
     * `watch`, or a `StaticDiscovery`. The mesh watches a service from the first call to it. Pins in
     * `services` apply to the reported instances too. Default: none.
     */
    provider?: ProviderOption | undefined;
    /**
     * For how long the last list of a provider is used while its source is away, 1 s to 30 d. Then
     * calls of the service get `UNAVAILABLE`, reason `DISCOVERY_STALE`, until the source answers
     * again. Default: no limit.
     */
    maxStaleMs?: Duration | undefined;
    /**
     * Several providers, 8 at most. For each service the first provider that knows an instance
     * counts.
     */
    providers?: readonly (ProviderOption | BuiltInProvider)[] | undefined;
    /**
     * The address by which others reach this service, for providers that register it. Required if it
     * listens on all interfaces. Default: the address on which it listens.
     */
    advertise?: AdvertisedAddress | undefined;
}
/**
 * The address of a service, and its public key. A service that only calls, and does not listen, has
 * a `publicKey` and neither `host` nor `port`.
 */
interface ServiceConfig {
    /** The service's id. Several entries with one id are several instances. */
    id: string;
    /** Host name or address. */
    host?: string | undefined;
    /** TCP port, 1…65535. */
    port?: number | undefined;
    /**
     * The service's RSA public key, PEM (SPKI). With it exactly this key is accepted; without it the
     * service proves itself by the shared or the embedded secret.
     */
    publicKey?: string | undefined;
    /** The zone of this instance: see `balancing.zone`. */
    zone?: string | undefined;
    /**
     * The share of the calls that this instance gets, relative to the weights of the others,
     * 1…65,535. Default: 1.
     */
    weight?: number | undefined;
    /** Further facts about the service. */
    metadata?: Record<string, string> | undefined;
    /** @deprecated Has no effect. */
    lastHealthCheck?: Date | undefined;
    /** @deprecated Has no effect. */
    status?: 'healthy' | 'unhealthy' | 'unknown' | undefined;
}
/**
 * A file as the source of instances, for `discovery.provider: 'file'`. The file is watched, and a
 * change takes effect without a restart. A broken or missing file leaves the last instances in
 * place and is logged.
 */
interface FileProviderConfig {
    /** `'file'`. */
    provider: 'file';
    /** The file: a JSON array of `{ id, host, port, zone?, weight?, metadata? }`, at most 4 MiB. */
    path: string;
}
/**
 * DNS as the source of instances, for `discovery.provider: 'dns'`. Records are resolved again when
 * their time to live is over, at the earliest after a second. While no server answers, the last
 * instances stay.
 */
interface DnsProviderConfig {
    /** `'dns'`. */
    provider: 'dns';
    /**
     * The domain of the services: `'shop.example'` stands for `<service id>.shop.example`. A value
     * with `{service}` is the whole name, as in `'_grpc._tcp.{service}.prod.svc.cluster.local'`.
     */
    domain: string;
    /**
     * The type of the records. `'srv'`: service records (RFC 2782), with ports and weights; those of
     * the lowest priority number count. `'a'`: addresses of both families, with `port`. Default:
     * `'srv'`.
     */
    records?: 'srv' | 'a' | undefined;
    /** The port of all instances, 1…65535. Required with `records: 'a'`. Default: none. */
    port?: number | undefined;
    /**
     * The DNS server as `address` or `address:port`. Default: the servers of the operating system.
     */
    server?: string | undefined;
}
/**
 * etcd v3 as the source of instances, for `discovery.provider: 'etcd'`. Instances are keys below
 * `<prefix><service id>/`, each with a value such as `{"host":"10.0.0.7","port":50051}`. While etcd
 * is away, the last instances stay.
 */
interface EtcdProviderConfig {
    /** `'etcd'`. */
    provider: 'etcd';
    /** The members of the cluster, 16 at most. When one fails, the next is tried. */
    endpoints: string[];
    /**
     * The authorities behind the certificates of the members, a PEM file. For `https://`. Default:
     * those of the operating system.
     */
    ca?: string | undefined;
    /** The beginning of all keys. Default: `'/mesh/'`. */
    prefix?: string | undefined;
    /**
     * Whether this service registers itself, if it listens. The registration has a lease that is kept
     * alive; `drain()` revokes it before anything else. Default: false.
     */
    register?: boolean | undefined;
    /** The time after which a service that crashed is no longer listed, 5 s to 1 h. Default: 15 s. */
    ttlMs?: Duration | undefined;
    /** The user, if etcd requires one. Default: none. */
    user?: string | undefined;
    /** The password of `user`. Environment: `SECURE_MESH_ETCD_PASSWORD`. Default: none. */
    password?: string | undefined;
}
/**
 * Consul as the source of instances, for `discovery.provider: 'consul'`: the instances of the
 * Consul service with the service's id whose checks pass, followed by blocking queries. While
 * Consul is away, the last instances stay.
 */
interface ConsulProviderConfig {
    /** `'consul'`. */
    provider: 'consul';
    /** The HTTP address of a Consul agent. Default: `'http://127.0.0.1:8500'`. */
    address?: string | undefined;
    /** The ACL token. Environment: `SECURE_MESH_CONSUL_TOKEN`. Default: none. */
    token?: string | undefined;
    /** The datacenter that is asked. Default: that of the agent. */
    datacenter?: string | undefined;
    /** The namespace (Consul Enterprise). Default: that of the token. */
    namespace?: string | undefined;
    /** Only instances with this tag count. Default: any. */
    tag?: string | undefined;
    /**
     * The authorities behind the agent's certificate, a PEM file. For `https://`. Default: those of
     * the operating system.
     */
    ca?: string | undefined;
    /**
     * Whether this service registers itself with the agent, if it listens: with a check that it keeps
     * passing, and deregistered first thing in `drain()`. Default: false.
     */
    register?: boolean | undefined;
    /** The time after which a service that crashed is no longer listed, 5 s to 1 h. Default: 15 s. */
    ttlMs?: Duration | undefined;
}
/**
 * Kubernetes as the source of instances, for `discovery.provider: 'kubernetes'`: the ready
 * endpoints of the `EndpointSlices` of the Kubernetes service with the service's id, watched
 * through the API server. The pod's service account needs `get`, `list` and `watch` of
 * `endpointslices` (`discovery.k8s.io`). While the API server is away, the last instances stay.
 */
interface KubernetesProviderConfig {
    /** `'kubernetes'`. */
    provider: 'kubernetes';
    /** The namespace of the services. Default: that of the pod. */
    namespace?: string | undefined;
    /** The name of the port in the Kubernetes service. Default: its first port. */
    portName?: string | undefined;
    /** The address of the API server. Default: that in the variables of the pod. */
    address?: string | undefined;
    /**
     * The file with the token of the service account, which is read again before each question.
     * Default: that of the pod.
     */
    tokenFile?: string | undefined;
    /** The authorities behind the API server's certificate, a PEM file. Default: that of the pod. */
    ca?: string | undefined;
}
/**
 * The rules about which caller may call which method of this service. Without them every service
 * that has a session may call every method, as far as the handler's `allow` permits.
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
/** A rule about which callers may call which methods. */
interface AuthorizationRule {
    /**
     * The name of the rule in logs, metrics and errors: letters, digits, spaces, `.`, `_`, `-` and
     * `/`; 128 characters at most. Default: its place, as in `rules[3]`.
     */
    name?: string | undefined;
    /**
     * The callers: service ids, SPIFFE ids, SPIFFE ids that end in `/*` for every id below, or `'*'`
     * for every caller.
     */
    from: readonly string[];
    /**
     * The methods: names, names that end in `.*` for every method below, or `'*'` for every method.
     */
    to: readonly string[];
    /**
     * Methods that this rule does not match, in the form of `to`. Other rules may still match them.
     * Default: none.
     */
    except?: readonly string[] | undefined;
    /** Further conditions, all of which must hold. Default: none. */
    when?: AuthorizationConditions | undefined;
    /**
     * Whether the rule denies the requests that it matches. A denial outweighs every rule that
     * permits. Default: false.
     */
    deny?: boolean | undefined;
}
/** The further conditions of a rule. */
interface AuthorizationConditions {
    /**
     * Metadata that the request must carry, with exactly these values. The caller chooses its
     * metadata freely, so a condition proves nothing about the caller.
     */
    metadata: Record<string, string>;
}
/** The distribution of the calls of a service over its instances. */
interface BalancingConfig {
    /**
     * The choice of an instance. `'p2c'` draws two instances by their weights and takes the one with
     * the lower latency × (calls in flight + 1); failures raise that cost. `'round-robin'` takes the
     * instances in turn, `'random'` draws one; both observe weights as well. Default: `'p2c'`.
     */
    policy?: 'p2c' | 'round-robin' | 'random' | undefined;
    /**
     * The zone of this service. Instances of the same `zone` are preferred. Calls spill over to other
     * zones when the instances of this zone are unavailable, or take more than twice as long.
     * Default: none: all instances are alike.
     */
    zone?: string | undefined;
    /**
     * The time in which a new instance, or one that was ejected, grows from a tenth of its share of
     * the calls to the whole, 0 to 1 h. Default: 10 s.
     */
    slowStartMs?: Duration | undefined;
    /**
     * The conditions under which an instance that fails more than the others is left out; `false` for
     * never. Default: with the defaults below.
     */
    ejection?: EjectionConfig | false | undefined;
    /**
     * The place of this process among the callers, where a service has more instances than `subset`.
     * Default: a place by chance.
     */
    caller?: CallerConfig | undefined;
    /**
     * The most instances of one service that this service connects to, 1…1,000. Each client draws
     * its own subset; the other instances are used when none of the subset can be. Default: 32.
     */
    subset?: number | undefined;
}
/**
 * The place of this process among the processes of its service, for `balancing.caller`: for example
 * the number of a pod of a `StatefulSet`, and its replicas. With it, the callers of a service with
 * more instances than `balancing.subset` spread over them evenly: each instance has the same number
 * of callers, or one more.
 */
interface CallerConfig {
    /** The number of this process, from 0. */
    index: number;
    /** How many processes there are, 1…1,000,000. */
    of: number;
}
/**
 * The conditions under which an instance is ejected, that is, gets no calls for a time. At most
 * half of the instances of a service are ejected at once.
 */
interface EjectionConfig {
    /** Failed calls in a row that eject an instance, 1…1,000. Default: 5. */
    consecutiveFailures?: number | undefined;
    /**
     * The difference, 0 to 1, by which the failure rate of an instance must exceed that of the other
     * instances together. Default: 0.1.
     */
    failureGap?: number | undefined;
    /** The window in which failure rates are compared, 100 ms to 1 h. Default: 10 s. */
    windowMs?: Duration | undefined;
    /**
     * The calls that the instance, and the others together, must each have had in the window before
     * rates are compared, 1…1,000,000. Default: 20.
     */
    minCalls?: number | undefined;
    /**
     * The duration of the first ejection, 1 ms to 1 h. Each further one is twice as long as the one
     * before it. Default: 30 s.
     */
    baseMs?: Duration | undefined;
    /** The longest ejection, 1 ms to 1 day. Default: 300 s. */
    maxMs?: Duration | undefined;
    /** The share of usable instances, 0 to 1, below which ejections are disregarded. Default: 0.5. */
    panicThreshold?: number | undefined;
}
/**
 * The most calls that this service has under way at each of the services that it calls, for
 * `resilience.bulkhead`: a slow service cannot take up the memory and the patience that the calls
 * of others need. Calls beyond wait in a queue, critical ones first and sheddable ones last. When
 * the queue is full, a sheddable call gives way to another one; else the newest gets
 * `RESOURCE_EXHAUSTED`, reason `CALL_LIMIT`.
 */
interface BulkheadConfig {
    /** The most calls under way at one service, 1…1,000,000. */
    maxCalls: number;
    /** The most calls of one service that wait, 0…1,000,000. Default: 1,000. */
    maxQueue?: number | undefined;
}
/**
 * An adaptive limit on the requests that this service has under way, for `resilience.concurrency`.
 * It follows the gradient of latency: it grows while requests take no longer than without load, and
 * shrinks as they take longer. Requests beyond it are refused at once, with `RESOURCE_EXHAUSTED`,
 * reason `SHED`, and their callers ask another instance. Sheddable requests leave a fifth of it to
 * the others; critical ones have a quarter more.
 */
interface ConcurrencyConfig {
    /** The least that the limit becomes, 1…1,000,000. Default: 4. */
    min?: number | undefined;
    /** The limit at the start. Default: 20, or the nearest to it between `min` and `max`. */
    initial?: number | undefined;
    /** The most that the limit becomes. Default: 1,000. */
    max?: number | undefined;
}
/**
 * The admin port: health, metrics and the state of the mesh over HTTP, for people, probes and
 * Prometheus. It is off without `port`.
 */
interface AdminConfig {
    /**
     * The port to listen on; 0 lets the system choose one. Environment: `SECURE_MESH_ADMIN_PORT`.
     * Default: no admin port.
     */
    port?: number | undefined;
    /**
     * The address to listen on. An address other than loopback requires a `token`, or client
     * certificates (`tls.clientCa`). Default: `'127.0.0.1'`.
     */
    host?: string | undefined;
    /**
     * The token that requests must show, 16 to 256 printable characters, as `Authorization: Bearer
     * …`, or once in the sign-in of the page. `/livez` and `/readyz` need none. Environment:
     * `SECURE_MESH_ADMIN_TOKEN`. Default: none: everybody on this machine may read.
     */
    token?: string | undefined;
    /**
     * Names by which browsers reach the port beside `localhost`, at most 32. A request with another
     * `Host` is refused unless it shows the token. Default: none.
     */
    hosts?: string[] | undefined;
    /**
     * The directory in which the history of seven days, also survives a restart. Default: an hour in
     * memory.
     */
    history?: string | undefined;
    /** TLS on the port. Without it the port speaks plain HTTP. */
    tls?: AdminTlsConfig | undefined;
}
/** TLS 1.3 on the admin port, which reads changed files again. */
interface AdminTlsConfig {
    /** The certificate, and the intermediates behind it: PEM, or the absolute path of a file. */
    cert: string;
    /**
     * The private key of the certificate. Nobody but root and the user of the process may read its
     * file.
     */
    key: string;
    /**
     * The authorities of client certificates: PEM, or the absolute path of a file. A client
     * certificate replaces the token, and a request without either is refused. `/livez` and `/readyz`
     * need neither. Default: no client certificates.
     */
    clientCa?: string | undefined;
}
/**
 * Spans of calls, requests and handshakes. Without `otlp` they are those of `@opentelemetry/api`,
 * if the application has it and registers an SDK. With `otlp` the mesh makes, samples and exports
 * them itself.
 */
interface TracingConfig {
    /**
     * The collector that gets the spans by OTLP/HTTP (protobuf), for programs without an SDK of
     * OpenTelemetry: an `http://` or `https://` URL. `/v1/traces` is added unless the path ends with
     * it. Environment: `SECURE_MESH_OTLP`. Default: no export by the mesh.
     */
    otlp?: string | undefined;
    /**
     * The share of new traces that are exported by `otlp`, from 0 to 1. A call that continues a trace
     * follows the decision of that trace. Default: 1.
     */
    sample?: number | undefined;
    /** Headers of the requests to `otlp`, such as a token: at most 16. Never shown. Default: none. */
    headers?: Record<string, string> | undefined;
    /**
     * The trust anchors for an `https://` collector. A file is read at each connection. Default:
     * those of the system.
     */
    ca?: string | undefined;
    /**
     * Whether the mesh makes spans. `true` without `otlp` needs `@opentelemetry/api`. Default: true
     * with `otlp` or if that package is installed.
     */
    enabled?: boolean | undefined;
}
/** Directories. */
interface PathsConfig {
    /** @deprecated Has no effect but a warning to the logger: the protocol is built in. */
    protoFile?: string | undefined;
    /**
     * The directory for this service's key pair, the embedded secret and the keys of known peers.
     * Environment: `SECURE_MESH_KEYS_DIR`. Default: `secure-stack-mesh` in the user's state directory
     * (`XDG_STATE_HOME`, `~/.local/state`).
     */
    keysDir?: string | undefined;
    /** The directory for the audit log, if `monitoring` has no adapters. */
    logsDir?: string | undefined;
    /** The directory for metrics beside that log. Default: metrics are not kept. */
    metricsDir?: string | undefined;
}
/** Limits on everything that one mesh holds and accepts, and that a peer can make grow. */
interface MeshLimits {
    /** The largest payload in either direction, in bytes. Default: 4 MiB. */
    maxMessageBytes?: number | undefined;
    /**
     * The memory budget, in bytes: the most that is held for all peers and calls together. It counts
     * frames, requests, items and answers, and their JSON as values. One peer has half of it at most.
     * At least 4 MiB, and at least 16 times `maxMessageBytes`. Beyond it: `MEMORY_LIMIT`. Default:
     * 256 MiB, or 16 times `maxMessageBytes` if that is more.
     */
    maxMemoryBytes?: number | undefined;
    /** The most calls in flight on one session, in each direction. Default: 1,024. */
    maxConcurrentCalls?: number | undefined;
    /** The most calls this mesh has in flight in all. Default: 16,384. */
    maxPendingCalls?: number | undefined;
    /**
     * The most calls in a chain, each made by the handler of the previous one, 1…254. Beyond it:
     * `CALL_DEPTH`, with the path. The limit breaks a cycle of services that call one another.
     * Default: 64.
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
     * The most TCP connections accepted. A quarter of them, at most 2,048, may be without a session;
     * newcomers evict those. Default: 12,000.
     */
    maxConnections?: number | undefined;
    /**
     * The time that a connection has for its handshake, or for a health check, in ms. Default: 10 s.
     */
    handshakeTimeoutMs?: number | undefined;
    /** The time that a call has unless it sets its own `timeoutMs`, in ms. Default: 10 s. */
    callTimeoutMs?: number | undefined;
}
/** A source of instances of the package, with its options. */
type BuiltInProvider = FileProviderConfig | DnsProviderConfig | EtcdProviderConfig | ConsulProviderConfig | KubernetesProviderConfig;
/** The options of discovery. With a source of instances of the package, its options are among them. */
type DiscoveryOptions = DiscoveryConfig | (Omit<DiscoveryConfig, 'provider' | 'providers'> & BuiltInProvider);

/** The services that may read the description of a mesh: its report and its methods. */
type ObserveOption = boolean | {
    /** Service ids, or SPIFFE ids of certificates. */
    readonly from: readonly string[];
};
/** The configuration of a {@link SecureMesh}. */
interface MeshConfig extends CoreConfig {
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
        hedging?: {
            /**
             * A call slower than this share of the calls of its method gets a copy, 0.5 to 0.999. Default:
             * 0.95.
             */
            percentile?: number | undefined;
            /** The most copies per call, in the long run, 0.001 to 1. Default: 0.05. */
            ratio?: number | undefined;
        } | false | undefined;
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
interface SecureMeshConfig extends Omit<MeshConfig, 'security'> {
    /** As in {@link MeshConfig}. */
    security?: Omit<SecurityConfig, 'rsaKeySize' | 'aesKeySize'> & {
        /** Bits of the RSA key: 2048 or 4096. Default: 4096. */
        rsaKeySize?: number | undefined;
        /** Bits of the AES keys: 128, 192 or 256. Default: 256. */
        aesKeySize?: number | undefined;
    };
}
/** The memory that a mesh holds for peers and calls: frames, requests, items, answers, own inputs. */
interface MemoryStats {
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
interface MeshStats {
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
interface AuthorizationRequest {
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
interface AuthorizationExplanation {
    /** Whether the policy permits it. A handler's `allow` may still refuse it. */
    allowed: boolean;
    /** The rule that decides: its `name`, or its place as in `rules[3]`; `null` for the default. */
    rule: string | null;
    /** A sentence about it, for people. */
    why: string;
}
/** The address on which a service listens. */
interface MeshAddress {
    /** An IP address. */
    host: string;
    /** A port, 1 to 65,535. */
    port: number;
}
/** The result of {@link SecureMesh.healthCheck}. */
interface MeshHealth {
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

/** Options of {@link SecureMesh.rotateSecret}. */
interface RotateMeshSecretOptions {
    /**
     * The grace period, during which the previous secret is accepted, and offered to peers that reject the new
     * one: milliseconds or a string such as `'15m'`. With 0 there is no grace. Default: `'24h'`.
     */
    graceMs?: number | string;
}
/** The argument of `SecureMesh.revoke`. Exactly one of `spiffeId`, `serial` and `thumbprint` is required. */
interface Revocation {
    /** Every certificate with this SPIFFE id, or with this DNS name. */
    spiffeId?: string | undefined;
    /** The certificate with this serial number, in hexadecimal as `openssl x509 -serial` prints it. */
    serial?: string | undefined;
    /**
     * The issuer of the serial number, as `getStats().peers[].certificate.issuer` shows it.
     * Default: any.
     */
    issuer?: string | undefined;
    /**
     * A certificate by its SHA-256 in hexadecimal, as `openssl x509 -fingerprint -sha256` prints it,
     * or a mesh key by its thumbprint. The SHA-256 of an intermediate or an anchor revokes all
     * certificates below it.
     */
    thumbprint?: string | undefined;
}

/**
 * A service of the mesh. It answers the methods for which it has handlers, and calls other services. Every
 * call is encrypted, and both sides have proved their identities.
 *
 * The mesh keeps the process alive while a call is pending, and while it listens and has a handler. Otherwise
 * the process exits by itself, even without `cleanup`.
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
     * Checks the configuration. The constructor opens, reads and creates nothing.
     *
     * @throws MeshError `INVALID_ARGUMENT`, reason `CONFIG` (or `ID_SYNTAX`, `WEAK_SECRET`, `BAD_KEY`),
     *   naming the option by its path; `FAILED_PRECONDITION`, reason `ADDON`, when this platform has no
     *   binary
     */
    constructor(config: MeshConfig);
    /**
     * @throws MeshError as above
     * @deprecated The API of 0.2.0. Use a {@link MeshConfig}.
     */
    constructor(config: SecureMeshConfig);
    /**
     * Loads or generates this service's keys and starts to listen. The generation of a 4096-bit key takes about
     * a second, off the event loop. Repeated and concurrent calls initialize the mesh once. After a failure the
     * call can be repeated.
     *
     * @throws MeshError `FAILED_PRECONDITION`: reason `LISTEN` when the port is taken; `KEYDIR_…` when the key
     *   directory is not safe or not usable, with the file and the repair in the message; `WORKLOAD_API` when the
     *   SPIFFE Workload API gives no identity within 10 s; `CLOSED` after `cleanup`
     */
    initialize(): Promise<void>;
    /**
     * Returns a client with a typed function for each method of a contract.
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
     * Returns a client for a service. Nothing is sent before its first call. Each service has one client, which
     * is returned every time.
     *
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, if the id is not a string
     */
    connect(serviceId: string): SecureMeshClient;
    /**
     * Answers calls of `method`. Handlers can be added before and after
     * {@link SecureMesh.initialize}.
     *
     * @throws MeshError `ALREADY_EXISTS` if the method has a handler; `INVALID_ARGUMENT`, reason `ARGUMENT`;
     *   `FAILED_PRECONDITION`, reason `CLOSED`, once the mesh is closing
     */
    handle<TInput = any, TResult = unknown>(method: string, handler: Handler<TInput, TResult>): this;
    /**
     * Answers calls of `method` with options: the kind of call, the checks of input and output, the permitted
     * callers and so on. See {@link HandlerOptions}. Throws as above.
     */
    handle<TInput extends StandardSchema | undefined = undefined, TOutput extends StandardSchema | undefined = undefined, const TErrors extends ErrorMap = {}, TKind extends CallKind | undefined = undefined>(method: string, options: HandlerOptions<TInput, TOutput, TErrors, TKind>, handler: HandlerOf<TKind, TInput extends StandardSchema ? SchemaOutput<TInput> : any, SchemaInput<TOutput>, TErrors>): this;
    /** The same, for a handler with explicit types. */
    handle<TInput = any, TResult = unknown>(method: string, options: HandlerOptions<undefined, undefined>, handler: Handler<TInput, TResult>): this;
    /**
     * Answers all methods of a contract.
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
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, if a handler is missing or names no method of
     *   the contract; `ALREADY_EXISTS` if one of the methods has a handler. After an error no handler has been
     *   added.
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
     * @param router a router, or an object of routers by the first parts of their methods' names, nested to any
     *   sensible depth
     * @param policy the policy of all the procedures
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`; `ALREADY_EXISTS`. After an error no handler has
     *   been added.
     */
    mount(router: RouterLike | RouterTree, policy?: HandlerPolicy): this;
    /** The same, with a prefix for the names of the methods. */
    mount(name: string, router: RouterLike | RouterTree, policy?: HandlerPolicy): this;
    /**
     * Puts a middleware around every handler, existing and future ones, inside the existing middleware.
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
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, if it is not a function
     */
    use(middleware: Middleware): this;
    /**
     * Puts a middleware around every call that this mesh makes, inside the existing middleware. The middleware
     * can change the input and the options before `next()`, and the result after it.
     *
     * @example
     * ```js
     * mesh.useClient((call, next) => {
     *   call.options.metadata.tenant = 't1';
     *   return next();
     * });
     * ```
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, if it is not a function
     */
    useClient(middleware: ClientMiddleware): this;
    /**
     * Waits until discovery knows an instance of each of these services. Starts the mesh if it has
     * not started. A service with
     * an address in `discovery.services` is known from the start.
     *
     * @param ids the services
     * @param options.timeoutMs the longest wait, in ms. Default: 30,000.
     * @param options.signal ends the wait
     * @throws MeshError `UNAVAILABLE`, reason `NO_INSTANCE`, when the time is up; `NOT_FOUND`, reason
     * `UNKNOWN_SERVICE`, for a service that no provider can report; `CANCELLED` by the signal; and
     * the errors of {@link SecureMesh.initialize}
     */
    waitForServices(ids: readonly string[], options?: {
        timeoutMs?: number;
        signal?: AbortSignal;
    }): Promise<void>;
    /**
     * Runs a function whose calls inherit a signal, a time limit, metadata, a trace and a request id,
     * as the calls of a handler inherit those of its request. It serves code outside of a handler,
     * such as a route of an HTTP server. Inside of a handler, or of another scope, its calls inherit
     * from both. It applies to the calls of every mesh and client of this process.
     *
     * Calls that are still running at the end of the function inherit to their own end. Later
     * calls inherit nothing. `{ detached: true }` exempts a call.
     *
     * @example
     * ```js
     * app.get('/orders/:id', (request, response) =>
     *   mesh.scope({ timeoutMs: 2_000, requestId: request.get('x-request-id') }, async () => {
     *     response.json(await orders.call('orders.get', { id: request.params.id }));
     *   }),
     * );
     * ```
     * @returns the result of the function
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, naming the option; and the errors of
     * the function. A call throws `DEADLINE_EXCEEDED`, reason `DEADLINE`, when the time is over.
     */
    scope<T>(options: ScopeOptions, run: () => T | Promise<T>): Promise<T>;
    /**
     * The address on which this service listens; `null` before the mesh is initialized, and if it does not
     * listen.
     */
    address(): MeshAddress | null;
    /** The address of the admin port (`admin`); `null` before the mesh is initialized, and without one. */
    adminAddress(): MeshAddress | null;
    /**
     * The figures of this mesh in the OpenMetrics text format, for Prometheus: calls and requests by method and
     * code, sessions, handshakes, limits and so on. It needs no admin port. Calls are counted with `admin`,
     * with `monitoring.enabled`, or if `observe` permits a caller. Send it as `application/openmetrics-text;
     * version=1.0.0; charset=utf-8`.
     *
     * @throws MeshError `FAILED_PRECONDITION`, reason `NOT_INITIALIZED`, before the mesh is initialized
     */
    metricsText(): string;
    /**
     * Adds a dependency of this process. The admin port answers `/readyz` with 503 and the name while the check
     * returns `false`, throws, or takes longer than 5 s. The mesh runs the check every 3 s, which does not keep
     * the process alive.
     *
     * @example
     * ```js
     * mesh.readiness('database', () => pool.query('select 1'));
     * ```
     * @param name the name that `/readyz` shows, at most 200 characters
     * @param check the check; at most 64 in all
     * @returns a function that removes the check
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
     */
    readiness(name: string, check: ReadinessCheck): () => void;
    /**
     * Adds a listener for events of this mesh: `session`, `breaker`, `identity`, `refused`, `stall`. Events that
     * peers can cause at will are limited, then counted. Listeners do not keep the process alive.
     *
     * @example
     * ```js
     * mesh.on('breaker', ({ service, target, state }) => alert(service, target, state));
     * ```
     * @returns a function that removes the listener
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
     */
    on<K extends keyof MeshEventMap>(event: K, listener: MeshListener<K>): () => void;
    /**
     * This service's public key as PEM (SPKI), for the option `publicKey` of other services.
     *
     * @throws MeshError `FAILED_PRECONDITION`, reason `NOT_INITIALIZED`, before the mesh is initialized */
    publicKey(): string;
    /**
     * Replaces this service's RSA key. The new key is generated off the event loop, which takes about a second,
     * and stored in the key directory before its first use. New sessions present it with a statement in which
     * the previous key names it as the successor. Peers that remember the previous key then remember the new
     * one. Existing sessions end with the calls they carry, and no call is lost.
     *
     * A peer that **pins** the previous key (`publicKey`) rejects the new one until it pins that. A peer that
     * misses two rotations, or has no session between them, must accept the key manually; its error describes
     * how. If several processes of a service share a key directory, rotate one and then each of the others,
     * which take over the new key.
     *
     * @returns the new key's SHA-256 JWK thumbprint (RFC 7638), also in {@link MeshStats.keyThumbprint}
     * @throws MeshError `FAILED_PRECONDITION`, reason `NOT_INITIALIZED`, before it is initialized; reason
     *   `KEYDIR_…` if the key cannot be stored: the mesh then keeps the previous key
     */
    rotateKeys(): Promise<string>;
    /**
     * Replaces the mesh secret (`security.jwtSecret`). During the grace period calls to and from peers with the
     * previous secret still succeed, so that the services of a mesh can change it in any order without a failed
     * call. After the grace period the previous secret is rejected with the reason `SECRET_RETIRED`, and its
     * sessions end with the calls they carry.
     *
     * The new secret is not stored: change the configuration as well, for the next start.
     *
     * @param secret at least 32 bytes, and never used by this mesh before
     * @param options.graceMs milliseconds or a string such as `'15m'`, at most a year. It also ends the grace
     *   of every earlier rotation: with 0 only the new secret is accepted. Default: `'24h'`.
     * @throws MeshError `INVALID_ARGUMENT`, reason `WEAK_SECRET`, or `ARGUMENT` if the secret is or was in use
     *   here; `FAILED_PRECONDITION`, reason `ARGUMENT` without `security.jwtSecret`, `NOT_INITIALIZED` before
     *   it is initialized
     */
    rotateSecret(secret: string, options?: RotateMeshSecretOptions): Promise<void>;
    /**
     * Reads `security.certificate` again, at once: certificate, key, anchors and revocation lists. Changed
     * files are also used without this call. They must pass the checks of `initialize()`. New sessions prove
     * the new certificate at once; existing ones end with the calls that they carry, and no call is lost.
     * Sessions whose peers the new anchors or lists refuse end at once.
     *
     * @returns the thumbprint of the mesh key that the new delegation names, also in
     *   {@link MeshStats.keyThumbprint}
     * @throws MeshError `INVALID_ARGUMENT`, reason `CERT_…` or `KEYDIR_…`, naming the option: the
     * previous certificate stays in use; `FAILED_PRECONDITION`, reason `ARGUMENT` without
     * `security.certificate`, `NOT_INITIALIZED` before it is initialized
     */
    reloadIdentity(): Promise<string>;
    /**
     * Refuses a SPIFFE id, a certificate or a mesh key from now on, and ends its sessions at once. This lasts
     * until the mesh closes: put the certificate into the list of the authority (`crl`) as well.
     *
     * @returns the number of sessions that ended
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT` or `CERT_MATERIAL`, naming the fault;
     * `FAILED_PRECONDITION`, reason `ARGUMENT` without `security.certificate`, `NOT_INITIALIZED` before
     * it is initialized
     */
    revoke(revocation: Revocation): Promise<number>;
    /**
     * Explains the decision of `authorization` about a request: the rule, and the reason. It
     * considers the policy in force and not the handler's `allow`, and records nothing.
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
    /** The health of this mesh: whether it can make and answer calls. Never rejects. */
    healthCheck(): Promise<MeshHealth>;
    /**
     * Stops gracefully: accepts no new calls and waits for the running ones. When the time is over, the
     * remaining calls are ended as by {@link SecureMesh.cleanup}.
     *
     * @param options.timeoutMs the longest wait, in ms. Default: 10,000.
     */
    drain(options?: {
        timeoutMs?: number;
    }): Promise<void>;
    /**
     * Stops immediately. Pending calls are rejected with `CANCELLED`, reason `CLOSED`, and the signals of
     * running requests are aborted. Repeated and concurrent calls have no further effect.
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
 * Answers the calls of a {@link SecureMeshClient}, as in 0.2.0. Without a handler for `sendMessage`, the
 * answer to a message is `Echo: ` and the message.
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
     * @param rateLimitConfig the quota of each caller; default: none
     * @param _protoPath ignored: the protocol is built in
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
     */
    constructor(serviceId: string, keysDir?: string, rateLimitConfig?: RateLimiterConfig, _protoPath?: string);
    /**
     * Answers calls of `method`. A handler for `sendMessage` replaces the echo.
     *
     * @throws MeshError `FAILED_PRECONDITION`, reason `ARGUMENT`: the server has been started
     */
    handle(method: string, handler: Handler): this;
    /**
     * Begins to listen.
     *
     * @param port 1…65535, or 0 for any free port, which {@link address} returns
     * @throws MeshError (as a rejection) as {@link SecureMesh.initialize}, and for an invalid setting as the
     *   constructor of {@link SecureMesh}; `ALREADY_EXISTS`, reason `ARGUMENT`: the server has been started
     */
    start(port: number): Promise<void>;
    /** The address on which the server listens; `null` while it does not. */
    address(): MeshAddress | null;
    /** Stops immediately. The server can be started again. */
    stop(): void;
    /** Stops like {@link stop}, and resolves when the server has stopped. */
    close(): Promise<void>;
}

/** Options of {@link CertificateAuthority.init}. */
interface CertificateAuthorityOptions {
    /** The trust domain of the mesh, as in `shop.example`: the first part of every SPIFFE id. */
    trustDomain: string;
    /**
     * The SPIFFE id of a service, with the placeholder `{service}` for its id. Default:
     * `'spiffe://<trustDomain>/{service}'`.
     */
    template?: string | undefined;
    /**
     * The directory of the root's key. Only rotations need it, so it may be on a disk that is kept elsewhere.
     * Default: `root` in the directory of the authority.
     */
    rootDirectory?: string | undefined;
    /** The lifetime of the certificates of services, 1 minute to 90 days. Default: `'24h'`. */
    lifetime?: Duration | undefined;
}
/** Options of {@link CertificateAuthority.issue}. */
interface IssueOptions {
    /**
     * A certificate signing request (PKCS #10) in PEM. Its key is certified; the names and extensions in it do not
     * count. Default: a new ECDSA P-256 key is made.
     */
    request?: string | undefined;
    /** The lifetime, 1 minute to 90 days. Default: that of the authority. */
    lifetime?: Duration | undefined;
}
/** A certificate of {@link CertificateAuthority.issue}. */
interface IssuedCertificate {
    /** The certificate and behind it that of its issuer, in PEM: `security.certificate.cert`. */
    certificate: string;
    /** The private key in PEM, a secret: `security.certificate.key`. Absent if there was a request. */
    key?: string;
    /** The serial number, in hexadecimal digits. */
    serial: string;
    /** The end, in milliseconds since 1970. */
    expiresAt: number;
}
/** The selection of {@link CertificateAuthority.revoke}: one of two things. */
interface RevokeOptions {
    /**
     * Every certificate of this service, and its join tokens. Nothing of it is renewed until it gets another
     * token.
     */
    serviceId?: string | undefined;
    /** One certificate, by its serial number in hexadecimal digits. */
    serial?: string | undefined;
}
/** A certificate that was revoked. */
interface RevokedCertificate {
    /** The service that it names. */
    serviceId: string;
    /** Its serial number, in hexadecimal digits. */
    serial: string;
}
/** Options of {@link CertificateAuthority.rotate}. */
interface RotateAuthorityOptions {
    /** Whether the root is replaced too. Default: `false`, the issuer alone. */
    root?: boolean | undefined;
    /**
     * With `root`: the time until the new root comes into use. Every service needs the new bundle by then.
     * Default: `'24h'`.
     */
    overlap?: Duration | undefined;
    /** The directory of the root's key. Default: `root` in the directory of the authority. */
    rootDirectory?: string | undefined;
}
/** The data by which services of a mesh check each other: {@link CertificateAuthority.bundle}. */
interface TrustBundle {
    /** The trust anchors in PEM, two of them while the root is replaced: `security.certificate.ca`. */
    ca: string;
    /** The revocation lists in PEM, valid for four days: `security.certificate.crl`. */
    crl: string;
    /** A digest of what is trusted and what is revoked. It changes with these alone. */
    version: string;
}
/** Options of {@link CertificateAuthority.token}. */
interface JoinTokenOptions {
    /**
     * The number of certificates for which it is valid, 1 to 100,000: one for each start on an empty
     * disk. Default: 1.
     */
    uses?: number | undefined;
    /** Its lifetime, up to 365 days. Default: `'1h'`. */
    ttl?: Duration | undefined;
}
/** A join token of {@link CertificateAuthority.token}. */
interface JoinToken {
    /** The token, a secret. The authority keeps only a hash of it. */
    token: string;
    /** The end, in milliseconds since 1970. */
    expiresAt: number;
}
/** The state of an authority: {@link CertificateAuthority.status}. */
interface CertificateAuthorityStatus {
    /** The trust domain. */
    trustDomain: string;
    /** SHA-256 of each root in the bundle, in hexadecimal digits. */
    roots: string[];
    /** The end of the issuer in use, in milliseconds since 1970. Rotate before it. */
    issuerExpiresAt: number;
    /** The number of certificates of services that are valid. */
    issued: number;
    /** The number of those that are revoked. */
    revoked: number;
    /** The number of join tokens that have uses left. */
    tokens: number;
}
/**
 * An authority for the certificates of a mesh, for those who have none: a directory with a root, an issuer below
 * it, and records of what was issued. The directory is closed to other users; several processes may use it at
 * once. Every method works off the event loop.
 *
 * ```ts
 * const authority = await CertificateAuthority.init('/var/lib/mesh-ca', { trustDomain: 'shop.example' });
 * const { certificate, key } = await authority.issue('orders');
 * const { ca, crl } = await authority.bundle();
 * ```
 *
 * All methods reject with a {@link MeshError}: reason `ARGUMENT` for an argument, `KEYDIR_…` for a directory or
 * file that other users can use, `AUTHORITY` for a state of the authority that forbids it.
 */
declare class CertificateAuthority {
    #private;
    private constructor();
    /**
     * Makes an authority: a root for ten years, and an issuer for one.
     *
     * @param directory the directory, which is made if it is missing
     * @throws MeshError `ALREADY_EXISTS`, reason `AUTHORITY`, if the directory has one
     */
    static init(directory: string, options: CertificateAuthorityOptions): Promise<CertificateAuthority>;
    /**
     * Opens the authority of a directory.
     *
     * @throws MeshError `FAILED_PRECONDITION`, reason `AUTHORITY`, if the directory has none
     */
    static open(directory: string): Promise<CertificateAuthority>;
    /** The directory, as it was given. */
    get directory(): string;
    /**
     * Issues a certificate for a service.
     *
     * @throws MeshError reason `CERT_REQUEST` for a request that its own key did not sign, or a key that is not
     *   accepted
     */
    issue(serviceId: string, options?: IssueOptions): Promise<IssuedCertificate>;
    /**
     * Revokes a service or one certificate. The services learn it with the next bundle.
     *
     * @returns the certificates that were revoked by this
     * @throws MeshError `NOT_FOUND`, reason `AUTHORITY`, if there is nothing to revoke
     */
    revoke(which: RevokeOptions): Promise<RevokedCertificate[]>;
    /**
     * Replaces the issuer, at once, or with `root` the root as well: its certificate is in the bundle at once and
     * comes into use after `overlap`; the previous root leaves the bundle with the last certificate that rests on it.
     *
     * @throws MeshError `FAILED_PRECONDITION`, reason `AUTHORITY`, if the root's key is not there, or while another
     *   root has not come into use
     */
    rotate(options?: RotateAuthorityOptions): Promise<void>;
    /** The trust anchors and the revocation lists, the latter signed anew. */
    bundle(): Promise<TrustBundle>;
    /** Makes a token with which a service gets its first certificate. A service that was revoked is admitted again. */
    token(serviceId: string, options?: JoinTokenOptions): Promise<JoinToken>;
    /** The state of the authority. */
    status(): Promise<CertificateAuthorityStatus>;
}

/** A router for `mesh.mount` whose methods have reserved names. */
declare abstract class BuiltIn implements RouterLike {
    /** The procedures by their names, as those of other routers. */
    getRoutes(): ReadonlyMap<string, RouteLike>;
}

/** The authority, for `mesh.mount`: what {@link certificateAuthority} returns. */
declare class CertificateAuthorityService extends BuiltIn {
    #private;
    /** @param authority the authority that answers */
    constructor(authority: CertificateAuthority);
}
/**
 * The authority as a service of a mesh: `mesh.mount(certificateAuthority(authority))`. Services with
 * `security.certificate.authority` get their certificates from it, renew them, and follow its bundle.
 *
 * The mesh needs a certificate of the same authority: `security.certificate.authority.directory`.
 *
 * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, if `authority` is no {@link CertificateAuthority}
 */
declare function certificateAuthority(authority: CertificateAuthority): CertificateAuthorityService;

/** Prints audit entries and metrics, one line each, with characters escaped that could deceive a reader. */
declare class ConsoleAdapter implements MonitoringAdapter {
    /** Prints an entry. */
    logEvent(event: MeshAuditEvent): Promise<void>;
    /** Prints metrics. */
    logMetrics(metrics: any): Promise<void>;
}

/**
 * The data that can be encrypted, signed or authenticated: a string as UTF-8, bytes unchanged, and any other
 * value as JSON.
 */
type CryptoData = string | Uint8Array | ArrayBuffer | object | number | boolean | null;

/**
 * An envelope: data encrypted to one RSA key and signed by another. It contains only strings and a number, so
 * it can be sent as JSON. The format is specified in `docs/envelope.md`.
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
    /** HMAC-SHA256 over all members above, hexadecimal. */
    hmac: string;
    /** The sender's RSASSA-PSS signature over all members above, base64. */
    signature: string;
}
/** An envelope as 0.2.0 wrote it. */
type LegacyEncryptedData = Omit<EncryptedData, 'version' | 'signature'>;
/** Options of {@link CryptoManager.decrypt}. */
interface DecryptOptions {
    /**
     * Whether to open an envelope of 0.2.0. Such an envelope does not authenticate its sender; open it only to
     * encrypt its content again. Default: false.
     */
    legacy?: boolean;
}

/** An RSA key pair in PEM. */
interface KeyPair {
    /** The public half: a `PUBLIC KEY` block (SPKI). */
    publicKey: string;
    /** The private half: a `PRIVATE KEY` block (PKCS#8). Its possession is the identity of the service. */
    privateKey: string;
}
/** The size of an RSA key in bits. */
type RsaKeySize = 2048 | 3072 | 4096;
/**
 * Stores RSA key pairs in a directory of mode 0700, in files of mode 0600 that are written atomically. File
 * names are hashes of the given names.
 *
 * The directory is opened at its first use. If other users have access to it or to a file in it, if it
 * belongs to another user, or is a symbolic link, the methods throw `FAILED_PRECONDITION` with reason
 * `KEYDIR_MODE`, `KEYDIR_OWNER` or `KEYDIR_TYPE`, and a message with the repair; `KEYDIR_CORRUPT` for a
 * damaged file, `KEYDIR_IO` for an error of the operating system.
 *
 * Names follow the rules for service ids: 1 to 128 ASCII letters, digits, `.`, `_` and `-`, beginning and
 * ending with a letter or digit. Any other name throws `INVALID_ARGUMENT`, reason `ID_SYNTAX`.
 *
 * Each method blocks for file operations, and for seconds to generate a key; its `…Async` variant runs off
 * the event loop.
 */
declare class KeyManager {
    #private;
    /**
     * The constructor reads and creates nothing.
     *
     * @param keyDir the directory. Default: `SECURE_MESH_KEYS_DIR`, or
     *   `secure-stack-mesh` in the user's state directory; never below the
     *   working directory.
     * @param keySize bits of the keys: 2048, 3072 or 4096. Default: 4096 for new keys, and any size for stored
     *   ones. With this argument, a stored key of a different size throws `FAILED_PRECONDITION`, reason
     *   `KEYDIR_KEY_SIZE`.
     */
    constructor(keyDir?: string, keySize?: RsaKeySize);
    /** Generates a key pair without storing it. 4096 bits take seconds: prefer {@link generateKeyPairAsync}. */
    generateKeyPair(): KeyPair;
    /** {@link generateKeyPair}, off the event loop. */
    generateKeyPairAsync(): Promise<KeyPair>;
    /**
     * Stores a key pair under `name` and replaces an existing one. If only `publicKey` is given, it stores the
     * public key of another service, which cannot be replaced.
     *
     * @throws MeshError `INVALID_ARGUMENT`, reason `BAD_KEY`: the keys are not RSA keys in PEM of 2048 to 4096
     *   bits with exponent 65537, or do not match. `UNAUTHENTICATED`, reason `PEER_KEY_CHANGED`: a different
     *   public key is stored under `name`. `RESOURCE_EXHAUSTED`, reason `KEYDIR_FULL`: 4096 public keys are
     *   stored.
     */
    saveKeyPair(name: string, keyPair: Partial<KeyPair>): void;
    /** {@link saveKeyPair}, off the event loop. */
    saveKeyPairAsync(name: string, keyPair: Partial<KeyPair>): Promise<void>;
    /**
     * Returns the key pair stored under `name`, or `null`. If only a public key is stored, `privateKey` is empty.
     */
    loadKeyPair(name: string): KeyPair | null;
    /** {@link loadKeyPair}, off the event loop. */
    loadKeyPairAsync(name: string): Promise<KeyPair | null>;
    /**
     * Returns the key pair stored under `name`, or generates and stores one. Concurrent processes get the same
     * key pair.
     */
    getOrCreateKeyPair(name: string): KeyPair;
    /** {@link getOrCreateKeyPair}, off the event loop. */
    getOrCreateKeyPairAsync(name: string): Promise<KeyPair>;
}

/** The size of an AES key in bits. */
type AesKeySize = 128 | 192 | 256;
/** Options of {@link CryptoManager}. */
interface CryptoManagerOptions {
    /** Bits of the RSA key: 2048, 3072 or 4096. Default: 4096, or the size of the stored key. */
    rsaKeySize?: RsaKeySize;
    /** Bits of the AES key of each envelope: 128, 192 or 256. Default: 256. */
    aesKeySize?: AesKeySize;
    /**
     * The key directory, for `initialize(serviceId)`. Default: `SECURE_MESH_KEYS_DIR`, or `secure-stack-mesh`
     * in the user's state directory.
     */
    keysDir?: string;
    /** The source of the key, instead of `keysDir`. */
    keyManager?: KeyManager | Pick<KeyManager, 'getOrCreateKeyPair'>;
}
/**
 * Encrypts, decrypts, signs and verifies with one RSA key pair.
 *
 * `encrypt` creates an envelope: data under a fresh AES-GCM key, which is wrapped with RSA-OAEP-SHA256, and
 * over everything an HMAC-SHA256 and the sender's RSA-PSS signature. `decrypt` with the sender's public key
 * authenticates the sender.
 *
 * `initialize()` generates the key off the event loop. A synchronous method waits for a running
 * `initialize()`; without one it throws `FAILED_PRECONDITION`, reason `NOT_INITIALIZED`. An RSA operation
 * takes up to a few milliseconds; the `…Async` variants run it off the event loop.
 *
 * Public keys are RSA keys in PEM of 2048 to 4096 bits with the exponent 65537. All other keys throw
 * `INVALID_ARGUMENT`, reason `BAD_KEY`.
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
     * @deprecated The API of 0.2.0, in which the type allows any number as a size.
     */
    constructor(options?: Omit<CryptoManagerOptions, 'aesKeySize'> & {
        /** Bits of the AES keys: 128, 192 or 256. Default: 256. */
        aesKeySize?: number | undefined;
    });
    /**
     * Generates the key pair in memory. With a service id, it loads the key pair from the key directory, or
     * generates and stores it. Resolves when the key exists. A repeated call has no effect, unless the previous
     * call failed.
     *
     * @param serviceId the service whose key to load. `KeyManager` documents the requirements on the key
     *   directory and its errors.
     */
    initialize(serviceId?: string): Promise<void>;
    /** The current public key, PEM (SPKI), with which others encrypt and verify. */
    getPublicKey(): string;
    /** The public key's SHA-256 JWK thumbprint (RFC 7638), base64url. */
    getThumbprint(): string;
    /**
     * Encrypts `data` to the owner of `recipientPublicKey` and signs it.
     *
     * @returns an envelope for {@link decrypt}
     * @throws MeshError `INVALID_ARGUMENT`, reason `BAD_KEY` or `ARGUMENT`
     */
    encrypt(data: CryptoData, recipientPublicKey: string): EncryptedData;
    /** {@link encrypt}, off the event loop. The caller may change `data` as soon as this method returns. */
    encryptAsync(data: CryptoData, recipientPublicKey: string): Promise<EncryptedData>;
    /**
     * Opens an envelope that was encrypted to the current or the previous key, and signed by the owner of
     * `senderPublicKey`.
     *
     * @returns the decrypted bytes; `.toString()` returns a string, `JSON.parse` an object
     * @throws MeshError `INVALID_ARGUMENT`, reason `DECRYPT_FAILED`: the envelope is for a different key, from
     *   a different sender, or damaged; the error deliberately does not reveal which. Reason `ENVELOPE_FORMAT`:
     *   a member is malformed.
     */
    decrypt(encrypted: EncryptedData, senderPublicKey: string): Buffer;
    /**
     * Opens an envelope **without authentication of its sender**: anyone with this public key could have made it.
     *
     * @deprecated Pass the sender's public key too.
     */
    decrypt(encrypted: EncryptedData): Buffer;
    /** Opens an envelope of 0.2.0, without authentication of its sender. */
    decrypt(encrypted: LegacyEncryptedData, senderPublicKey: undefined, options: {
        legacy: true;
    }): Buffer;
    /** {@link decrypt}, off the event loop. */
    decryptAsync(...args: [
        encrypted: EncryptedData | LegacyEncryptedData,
        senderPublicKey?: string,
        options?: DecryptOptions
    ]): Promise<Buffer>;
    /** Generates a random AES key of `aesKeySize` bits. */
    generateSessionKey(): Buffer;
    /**
     * Encrypts a few bytes, such as a key, with RSA-OAEP-SHA256 alone. The result does not authenticate the sender.
     *
     * @param data at most 446 bytes for a key of 4096 bits, 190 for one of 2048;
     *   `INVALID_ARGUMENT`, reason `TOO_LARGE`, beyond
     * @returns base64
     */
    encryptWithPublicKey(data: CryptoData, publicKey: string): string;
    /** {@link encryptWithPublicKey}, off the event loop. */
    encryptWithPublicKeyAsync(data: CryptoData, publicKey: string): Promise<string>;
    /**
     * Decrypts a result of {@link encryptWithPublicKey} for this key.
     *
     * @throws MeshError `INVALID_ARGUMENT`, reason `DECRYPT_FAILED`
     */
    decryptWithPrivateKey(encryptedData: string): Buffer;
    /** {@link decryptWithPrivateKey}, off the event loop. */
    decryptWithPrivateKeyAsync(encryptedData: string): Promise<Buffer>;
    /**
     * Signs `data`: RSASSA-PSS with SHA-256 and a salt of 32 bytes, over `"secure-stack-mesh/data/v1"`, a zero
     * byte, and the data. The prefix makes such a signature invalid for a token or an envelope.
     *
     * @returns base64
     */
    sign(data: CryptoData): string;
    /** {@link sign}, off the event loop. */
    signAsync(data: CryptoData): Promise<string>;
    /**
     * Whether the owner of `publicKey` made `signature` over `data` with {@link sign}.
     */
    verify(data: CryptoData, signature: string, publicKey: string): boolean;
    /** {@link verify}, off the event loop. */
    verifyAsync(data: CryptoData, signature: string, publicKey: string): Promise<boolean>;
    /**
     * HMAC-SHA256 (RFC 2104) of `data`.
     *
     * @param key at least 16 bytes; 32 random bytes are recommended. A string counts as its UTF-8 bytes.
     * @returns 64 hexadecimal digits
     * @throws MeshError `INVALID_ARGUMENT`, reason `WEAK_SECRET`: a shorter key
     */
    hmac(data: CryptoData, key: string | Uint8Array): string;
    /** Whether `hmac` equals the result of {@link CryptoManager.hmac} for `data`, compared in constant time. */
    verifyHmac(data: CryptoData, hmac: string, key: string | Uint8Array): boolean;
    /** Returns both halves of the key, PEM. The caller must protect the private half. */
    exportKeyPair(): KeyPair;
    /**
     * Makes `keyPair` the current key, as {@link rotate} does with a generated one. It can replace a call of
     * `initialize()`.
     *
     * @param keyPair `privateKey` in PEM, PKCS#8 or PKCS#1; `publicKey`, if given, must match it
     * @throws MeshError `INVALID_ARGUMENT`, reason `BAD_KEY`
     */
    importKeyPair(keyPair: Partial<KeyPair> & Pick<KeyPair, 'privateKey'>): void;
    /**
     * Generates a new current key off the event loop, and stores it if `initialize` was given a service id. The
     * previous key still opens data that was encrypted to it, until the next rotation: encrypt such data again
     * before that.
     *
     * @returns the new public key, PEM, for services that encrypt or verify
     */
    rotate(): Promise<string>;
}

/** The options of {@link expressErrors} and {@link fastifyErrors}. */
interface HttpErrorOptions {
    /**
     * Called with every error that becomes an answer of 500 or above, since that answer has no text of it: for the log.
     * Default: nothing in Express; the log of the request in Fastify.
     */
    onError?: ((error: unknown, request: any) => void) | undefined;
}
/** The part of a response of Express, or of Node, that {@link expressErrors} uses. */
interface ExpressResponseLike {
    /** Whether an answer has begun. */
    readonly headersSent: boolean;
    /** The status of the answer. */
    statusCode: number;
    /** Sets a header. */
    setHeader(name: string, value: string): unknown;
    /** Ends the answer. */
    end(body: string): unknown;
}
/** The part of a reply of Fastify that {@link fastifyErrors} uses. */
interface FastifyReplyLike {
    /** Sets the status. */
    code(status: number): unknown;
    /** Sets a header. */
    header(name: string, value: string): unknown;
    /** Sends the answer. */
    send(body: string): unknown;
}
/** The part of a request of Fastify that {@link fastifyErrors} uses. */
interface FastifyRequestLike {
    /** The log of the request. */
    readonly log?: {
        /** Writes an error. */
        error(fields: object, message: string): void;
    } | undefined;
}
/**
 * An error handler for Express (and for what has its signature, such as connect and polka). A {@link MeshError} becomes
 * the answer of {@link toProblem}, with `Retry-After` where the error has `retryAfterMs`. Errors of HTTP itself whose text
 * is meant for the client (`expose`) are passed on to the next handler. Other errors with a `status` below 500 keep that
 * status, and all others become 500, without any text. If the answer has begun, the next handler closes the connection.
 *
 * @example
 * ```js
 * app.use(expressErrors({ onError: (error, request) => log.error({ error, path: request.path }) }));
 * ```
 * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
 */
declare function expressErrors(options?: HttpErrorOptions): (error: unknown, request: any, response: ExpressResponseLike, next: (error?: unknown) => void) => void;
/**
 * An error handler for Fastify, as {@link expressErrors} for Express. Errors of 500 and above go to `request.log`.
 *
 * @example
 * ```js
 * app.setErrorHandler(fastifyErrors());
 * ```
 * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
 */
declare function fastifyErrors(options?: HttpErrorOptions): (error: unknown, request: FastifyRequestLike, reply: FastifyReplyLike) => void;

/** The options of {@link serve}. */
interface ServeOptions {
    /**
     * The signals that stop the service; an empty array if something else does. Default: `SIGTERM` and `SIGINT`; in a
     * worker thread, which no signal reaches, none.
     */
    signals?: readonly NodeJS.Signals[] | undefined;
    /**
     * A port for the probes of Kubernetes, `/livez` and `/readyz`, and nothing else: it needs no token. A mesh with an
     * admin port (`admin`, `SECURE_MESH_ADMIN_PORT`) has both paths there, and needs no further port. Environment, for the port: `SECURE_MESH_PROBES_PORT`. Default: none.
     */
    probes?: {
        /** The port to listen on; 0 lets the system choose one: `mesh.adminAddress()`. */
        port: number;
        /** The address to listen on. Default: `'0.0.0.0'`, since a kubelet connects from outside. */
        host?: string | undefined;
    } | undefined;
    /**
     * Called after the signal, when probes hear already that the process is not ready, and before the mesh drains: for what
     * calls the mesh from outside of its handlers, such as an HTTP server: `() => app.close()`. Its time counts as that of
     * the drain. If it throws, the service is stopped all the same, and then the promise is rejected. Default: nothing.
     */
    beforeDrain?: (() => unknown) | undefined;
    /** The time limit of running requests after the signal, in ms. Default: 10,000. */
    drainTimeoutMs?: number | undefined;
}
/**
 * Runs a service until it is told to stop. The mesh is initialized, and the process then is ready. After the first
 * signal `/readyz` and the health service say that it is not, running requests are finished, and the mesh is cleaned
 * up. The promise is resolved after that, so that the application can close what is its own. The process exits by
 * itself, with 0; at the latest 5 s after the promise, even if something of the application still runs.
 *
 * | event | exit code |
 * |---|---|
 * | a signal, and all requests are finished in `drainTimeoutMs` | 0, or `process.exitCode` |
 * | a signal during the start, which is abandoned | 0, or `process.exitCode` |
 * | a signal, and requests still run after `drainTimeoutMs`: their `ctx.signal` is aborted | 1 |
 * | a signal, and the stop takes 5 s longer than `drainTimeoutMs` | 1, at once |
 * | a second signal | 128 and the number of the signal, at once: 143 for `SIGTERM`, 130 for `SIGINT` |
 *
 * It keeps the process alive until then, also for a mesh that only calls. If `drain()` or `cleanup()` of the mesh stops
 * the service, the promise is resolved and the exit code is left alone.
 *
 * @example
 * ```js
 * const mesh = new SecureMesh({ serviceId: 'orders', port: 50051 });
 * mesh.handle('orders.get', ({ id }) => find(id));
 * await serve(mesh, { probes: { port: 9901 } });
 * await pool.end();
 * ```
 * @throws MeshError what {@link SecureMesh.initialize} throws; `INVALID_ARGUMENT`, reason `ARGUMENT` or `CONFIG`, naming
 *   the option; `FAILED_PRECONDITION`, reason `LISTEN`, if the port of the probes is taken
 */
declare function serve(mesh: SecureMesh, options?: ServeOptions): Promise<void>;

/** An error as RFC 9457 describes it for `application/problem+json`, of the type `about:blank`. */
interface Problem {
    /** The HTTP status. */
    status: number;
    /** The phrase of the status. */
    title: string;
    /** The code of the {@link MeshError}, one of gRPC's; `INTERNAL` for other errors. */
    code: MeshErrorCode;
    /** The reason, where the error has one beside its code. */
    reason?: string;
    /** Finds the error in the log of the service where it occurred. */
    errorId?: string;
}
/**
 * The HTTP status for an error, after the table of `google.rpc.Code`: 404 for `NOT_FOUND`, 503 for
 * `UNAVAILABLE`, and so on; 499 for `CANCELLED`. Anything but a {@link MeshError} is 500.
 *
 * Two kinds of errors are no fault of the HTTP client, whatever their code. Where one service does not
 * believe the other (`UNAUTHENTICATED` with a reason such as `HANDSHAKE_REFUSED`), the status is 502
 * and not 401, after which a browser would send its user to log in. (`JWTManager.verifyToken` remains 401.) A mesh of this process that does
 * not run yet, or is closing (`NOT_INITIALIZED`, `CLOSED`), is 503.
 */
declare function toHttpStatus(error: unknown): number;
/**
 * An error as the body of an HTTP answer, of the media type `application/problem+json` (RFC 9457).
 * It has no message, stack, cause or data of the error, which may name what is inside. Add those
 * that are meant for the client.
 *
 * @example
 * ```js
 * const problem = toProblem(error);
 * response.status(problem.status).type('application/problem+json').send(JSON.stringify(problem));
 * ```
 */
declare function toProblem(error: unknown): Problem;

/** Settings of a {@link FileAdapter}. */
interface FileAdapterOptions {
    /** The size in bytes at which a file is rotated. Default: 10 MiB. */
    maxBytes?: number | undefined;
    /** The number of rotated files that are kept: `audit.log.1`, the newest, and so on. Default: 5. */
    maxFiles?: number | undefined;
    /**
     * Whether each entry carries its number (`seq`) and the hash of the line before (`prev`), so that
     * `secure-stack-mesh audit verify` finds what was changed, removed, moved or cut off. The mesh that has the adapter
     * in `monitoring.adapters` signs checkpoints with its key. Such a file has one writer. Default: false; true for the
     * file in `paths.logsDir`.
     */
    chain?: boolean | undefined;
}
/**
 * Appends audit entries to a file, one line of JSON each, and metrics to a second file, if one is given. If
 * the process ends within a line, the next start terminates the partial line, so that the next entry has a
 * line of its own.
 *
 * Files are created for their owner only (0600, directories 0700). The adapter rejects a symbolic link, a
 * directory that everybody may write to, and a file of another user, since others could replace, read or
 * delete such files. A full file is rotated, and the oldest rotated file is deleted.
 */
declare class FileAdapter implements MonitoringAdapter {
    #private;
    /**
     * @param filePath the file for entries. Default: `mesh-audit.log` in `SECURE_MESH_LOGS_DIR`, or in
     *   `secure-stack-mesh/logs` of the user's state directory; never below the working directory
     * @param metricsFilePath the file for metrics. Default: metrics are not kept
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
     */
    constructor(filePath?: string, metricsFilePath?: string, options?: FileAdapterOptions);
    /**
     * Appends an entry.
     *
     * @throws MeshError (as a rejection) `FAILED_PRECONDITION`, reason `AUDIT_DELIVERY`: the file cannot be
     *   written; the message names the file and the cause
     */
    logEvent(event: MeshAuditEvent): Promise<void>;
    /** Appends metrics, if there is a file for them. */
    logMetrics(metrics: any): Promise<void>;
    /** Resolves when all entries are on the disk. */
    flush(): Promise<void>;
    /** {@link flush}, then closes the files. The next entry opens them again. */
    close(): Promise<void>;
}

/** The health of a part of a service. */
type HealthStatus = 'healthy' | 'degraded' | 'unhealthy';
/** The result of a {@link HealthCheck}. */
interface HealthCheckResult {
    /** The health. */
    status: HealthStatus;
    /** Details; never secrets. */
    details?: Record<string, any>;
    /** The time of the check. */
    timestamp: Date;
}
/** A check of one part. */
interface HealthCheck {
    /** The name of the check; a later check of the same name replaces it. */
    name: string;
    /** Runs the check. A rejection or a timeout counts as `unhealthy`. */
    check(): Promise<HealthCheckResult>;
}
/** Settings of a {@link HealthMonitor}. */
interface HealthMonitorOptions {
    /** The timeout of a check: milliseconds or a string such as `'2s'`. Default: 5,000. */
    timeoutMs?: number | string | undefined;
}
/**
 * Runs health checks periodically, all at once, and keeps their latest results. Its timer does not keep the
 * process alive.
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
    /** Adds a check, which runs from the next round on. */
    registerCheck(check: HealthCheck): void;
    /** Runs every check once. During a round, it resolves with the end of that round. Never rejects. */
    runChecks(): Promise<void>;
    /** Runs the checks now and after each interval. */
    start(): void;
    /** Stops the periodic rounds. The results stay. */
    stop(): void;
    /**
     * The worst of the latest results. A check that has not run yet counts as `degraded`. Without checks:
     * `healthy`.
     */
    getOverallStatus(): HealthStatus;
    /** The latest result of each check, by name. */
    getResults(): Record<string, HealthCheckResult>;
}

/** The HTTP client of an {@link HttpAdapter}. */
interface HttpClient {
    /** Resolves if the server has accepted the data, rejects otherwise. */
    post(url: string, data: any, headers?: Record<string, string>): Promise<any>;
}
/** The credentials of an {@link HttpAdapter}. */
interface HttpAuth {
    /**
     * `bearer` with `token`, `basic` with `username` and `password`, `api-key` with `apiKey` in the
     * header `headerName` (default: `X-API-Key`), or `custom` with `customHeader`.
     */
    type: 'bearer' | 'basic' | 'api-key' | 'custom';
    /** The token of `bearer`. */
    token?: string;
    /** The user name of `basic`. */
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
    /** The client that sends the requests. Default: `fetch`, without following redirects. */
    client?: HttpClient;
    /**
     * The URL for entries, `http:` or `https:`. A user and a password in it are sent as with `basic`, to this
     * URL alone, and no error contains them.
     */
    endpoint: string;
    /** The URL for metrics. Default: metrics are not sent. */
    metricsEndpoint?: string;
    /** Further headers. */
    headers?: Record<string, string>;
    /** The credentials. */
    auth?: HttpAuth;
    /**
     * Converts an entry to the JSON that is sent. Default: the entry, with characters escaped that could
     * deceive a reader.
     */
    mapEvent?: (event: MeshAuditEvent) => any;
    /** Converts metrics to the JSON that is sent. Default: the metrics and `timestamp`. */
    mapMetrics?: (metrics: any) => any;
    /** Called with each entry or metrics that could not be sent. With this option the methods do not reject. */
    onError?: (error: Error, event: MeshAuditEvent | any) => void;
    /**
     * The number of entries in one request. With 1 each entry is sent as an object. With more, entries are sent
     * as an array, and `logEvent` does not wait for the request. Default: 1.
     */
    batchSize?: number;
    /**
     * The longest wait of an entry for its batch to fill: milliseconds or a string such as `'5s'`. Default:
     * 1,000.
     */
    flushIntervalMs?: number | string;
    /** The timeout of a request: milliseconds or a string such as `'10s'`. Default: 10,000. */
    timeoutMs?: number | string;
    /** The retries of a request. Default: 3 attempts. */
    retry?: RetryPolicyConfig;
    /** The limit of waiting entries. Further entries are rejected with `AUDIT_LIMIT`. Default: 10,000. */
    maxBuffer?: number;
}
/**
 * Posts audit entries as JSON, in order, one request at a time, with a timeout and retries. An entry can
 * arrive twice if an answer is lost; the receiver recognises it by its `id`.
 */
declare class HttpAdapter implements MonitoringAdapter {
    #private;
    /** @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: a setting is missing, misspelt or out of range */
    constructor(config: HttpAdapterConfig);
    /**
     * Sends an entry, or puts it into the batch.
     *
     * @throws MeshError (as a rejection, without `onError`) `UNAVAILABLE`, reason `AUDIT_DELIVERY`: the entry
     *   could not be sent. `RESOURCE_EXHAUSTED`, reason `AUDIT_LIMIT`: `maxBuffer` entries wait
     */
    logEvent(event: MeshAuditEvent): Promise<void>;
    /** Sends metrics, if `metricsEndpoint` is given. */
    logMetrics(metrics: any): Promise<void>;
    /**
     * Resolves when everything logged until now has been sent.
     *
     * @throws MeshError (as a rejection, without `onError`) `UNAVAILABLE`, reason `AUDIT_DELIVERY`: a batch
     *   since the previous flush could not be sent
     */
    flush(): Promise<void>;
    /** The same as {@link flush}. */
    close(): Promise<void>;
}

/** The options of a {@link JWTManager}. */
interface JWTManagerOptions {
    /**
     * The shared secret of all services that verify each other's tokens: at least 32 random bytes, as bytes or
     * as a string (UTF-8). Generate one with
     * `node -e "console.log(require('node:crypto').randomBytes(32).toString('base64url'))"`.
     * A shorter one is accepted, see {@link JWTManager.weakSecret}; an empty one is not. Default: a random
     * secret that only this object has.
     */
    secret?: string | Uint8Array;
    /**
     * The audience of the tokens (`aud`), the same for all services that verify them. Default:
     * `'secure-stack-mesh'`.
     */
    audience?: string;
    /** The lifetime of a token: milliseconds or a string such as `'15m'`. Default: `'1h'`. */
    expiresIn?: number | string;
}
/** The expected claims of a token; an omitted claim is not compared. */
interface ExpectedToken {
    /** The service that must have issued the token (`iss`). */
    serviceId?: string;
    /** The session of the token (`sid`). */
    sessionId?: string;
}
/** Options of {@link JWTManager.rotateSecret}. */
interface RotateSecretOptions {
    /** The new secret, as in {@link JWTManagerOptions.secret}. Default: a random secret. */
    secret?: string | Uint8Array;
    /**
     * The grace period in milliseconds, during which tokens of the previous secret are accepted; with 0 there
     * is no grace. Default: the lifetime of a token, so that every issued token stays valid until it expires.
     */
    graceMs?: number;
}
/** The claims of a token (RFC 7519); times are seconds since 1970. */
interface TokenPayload {
    /** Issuer: the service that issued the token. */
    iss: string;
    /** Subject: the same service. */
    sub: string;
    /** Audience: the receiver of the token. */
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
/** The source of the services' RSA keys, for the API of 0.2.0; `KeyManager` is one. */
interface KeyPairSource {
    /** Returns this service's own pair, PEM, and creates it if it is missing. */
    getOrCreateKeyPair(name: string): KeyPair;
    /** Returns another service's key, PEM, or `null`. Only the public half is used. */
    loadKeyPair(name: string): Pick<KeyPair, 'publicKey'> | null;
}
/**
 * Issues and verifies tokens: JWT (RFC 7519) in the strict reading of RFC 8725.
 *
 * Tokens are signed with HS256 under a shared secret. Anyone who knows the secret can issue a token in any
 * service's name, so a token proves membership, not the identity of a member. The algorithm and the type are
 * pinned, `iss` and `sub` are the sender, `aud` is one string, and a header with a reference (`jku`, `x5u`,
 * `jwk`, `crit`…) is rejected. The `kid` of a token is a digest of its secret, so that {@link rotateSecret}
 * invalidates no token early.
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
     * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: the secret is empty, or an option is misspelt or
     *   has the wrong type
     */
    constructor(options?: JWTManagerOptions);
    /**
     * Creates a manager whose tokens are signed with the service's own RSA key (PS256) and verified with the
     * sender's public key.
     *
     * @param serviceId this service
     * @param keyManager the source of this service's pair, read for the first issued token, and of a sender's
     *   public key, read for the first token of that sender; both are cached
     * @deprecated The API of 0.2.0. Use `new JWTManager({ secret })`, or let `SecureMesh`
     *   authenticate calls: it binds each token to a session and a key.
     */
    constructor(serviceId: string, keyManager: KeyPairSource);
    /**
     * Whether the secret is short, or evidently not random. Such a secret can be found by an exhaustive search,
     * given a single token; `SecureMesh` rejects it.
     */
    get weakSecret(): boolean;
    /**
     * Issues a token.
     *
     * @param serviceId the issuing service: `iss` and `sub`
     * @param sessionId the session of the token: `sid`, 1 to 128 bytes
     * @param expiresIn the lifetime: milliseconds or a string such as `'15m'`, at least a second. Default: the
     *   option of the constructor, or `'1h'`
     * @throws MeshError `INVALID_ARGUMENT`: `serviceId` is outside the allowed alphabet (reason `ID_SYNTAX`),
     *   or another argument is invalid (reason `ARGUMENT`)
     */
    generateToken(serviceId: string, sessionId: string, expiresIn?: number | string): string;
    /**
     * @param targetServiceId the receiving service: `aud`
     * @param expiresIn the lifetime. Default: `'1h'`
     * @throws MeshError `INVALID_ARGUMENT`: the id (reason `ID_SYNTAX`), `expiresIn` (reason
     *   `ARGUMENT`) or the private key (reason `BAD_KEY`) is unusable
     * @deprecated The API of 0.2.0, for a manager with a service id and a key manager.
     */
    generateToken(targetServiceId: string, expiresIn?: number | string): string;
    /**
     * Verifies form, signature, times and claims of a token, in this order.
     *
     * A token may appear to be issued up to 30 s in the future, for clocks that differ; its expiry has no leeway.
     *
     * @param expected the expected issuer and session. A string is the service's id. `null` and `undefined` are
     *   rejected, as an argument and as a property, so that an id that is missing by mistake does not accept
     *   every issuer
     * @throws MeshError `UNAUTHENTICATED` with one of the reasons `JWT_FORMAT`, `JWT_HEADER`, `JWT_ALG`,
     *   `JWT_TYP`, `JWT_SIG`, `SECRET_RETIRED`, `JWT_ISS`, `JWT_AUD`, `JWT_SID`, `JWT_EXP`, `JWT_NBF`,
     *   `CLOCK_SKEW`. `INVALID_ARGUMENT`, reason `ARGUMENT`: a given argument or property of `expected` has no
     *   value
     */
    verifyToken(token: string, expected?: ExpectedToken): TokenPayload;
    /**
     * @param sourceServiceId the expected issuer, with whose public key the token is verified
     * @throws MeshError `UNAUTHENTICATED`, as above; reason `UNKNOWN_PEER` if the key manager has no key of
     *   that service. `INVALID_ARGUMENT`, reason `BAD_KEY`, if the key is unusable
     * @deprecated The API of 0.2.0, for a manager with a service id and a key manager.
     */
    verifyToken(token: string, sourceServiceId: string): TokenPayload;
    /**
     * Makes a new secret the current one. Tokens of the previous secret are accepted until `graceMs` is over,
     * and then rejected with the reason `SECRET_RETIRED`. The same limit ends the grace of every earlier
     * rotation: with `graceMs: 0` only the new secret is accepted. At most 8 previous secrets are kept at once.
     *
     * @throws MeshError `INVALID_ARGUMENT`: the secret is empty, or is or was in use here.
     *   `FAILED_PRECONDITION`: this manager signs with an RSA key
     */
    rotateSecret(options?: RotateSecretOptions): void;
    /**
     * Decodes a token **without verification**: for logs and debugging, never for a decision.
     *
     * @returns the claims, or `null` if the string is not a JWT
     */
    decodeToken(token: string): TokenPayload | null;
    /**
     * Whether a token has expired, has no expiry or is not a JWT. The signature is not verified, so `false`
     * does not mean that the token is valid.
     */
    isTokenExpired(token: string): boolean;
    /** The unverified expiry of a token; `null` if it has none or is not a JWT. */
    getTokenExpiration(token: string): Date | null;
}

/** A schema, as far as it describes itself. */
interface SchemaDescription {
    /** The library that made the schema. */
    vendor: string;
    /** The JSON Schema (2020-12); absent if the schema has none, or if it is too large. */
    schema?: Record<string, unknown>;
}
/** A method of a {@link ServiceDescription}. */
interface MethodDescription {
    /** The name. */
    name: string;
    /** The kind of call; `null` if the handler answers several. */
    kind: CallKind | null;
    /** Whether the method is safe to run twice. */
    idempotent: boolean;
    /** The time limit of the handler in ms; absent if only the caller's deadline counts. */
    timeoutMs?: number;
    /** The schema of the input, or of each item. */
    input?: SchemaDescription;
    /** The schema of the result, or of each item. */
    output?: SchemaDescription;
    /** The declared errors by their names. */
    errors?: Record<string, {
        /** The gRPC code. */
        code: string;
        /** The schema of the error's data. */
        data?: SchemaDescription;
    }>;
}
/** The answer of `securestack.describe`. */
interface ServiceDescription {
    /** The version of this format. */
    v: 1;
    /** The service id. */
    service: string;
    /** The version of the package that the service runs. */
    version: string;
    /** The limits of the service. */
    limits: {
        /** The largest payload in bytes. */
        maxMessageBytes: number;
        /** The time of a call without its own deadline, in ms. */
        callTimeoutMs: number;
    };
    /** The methods that the caller may call, by name. */
    methods: MethodDescription[];
    /** Whether methods or schemas are left out because there are too many. */
    truncated: boolean;
}

/** The options of a {@link SessionManager}. */
interface SessionManagerOptions {
    /** The idle timeout of a session: milliseconds or a string such as `'1h'`. Default: `3600000`. */
    timeout?: number | string;
    /** The limit of a session's lifetime: milliseconds or a string such as `'24h'`. Default: `86400000`. */
    maxLifetime?: number | string;
    /** The limit of live sessions. Default: 10,000. */
    maxSessions?: number;
}
/** A session; times are milliseconds since 1970, as in `Date.now()`. */
interface Session {
    /** 128 random bits, as 32 hexadecimal digits. */
    readonly id: string;
    /** The service of the session. */
    readonly serviceId: string;
    /** The peer, if it was given. */
    readonly peerServiceId?: string;
    /** The time of its creation. */
    readonly createdAt: number;
    /** The time of its last tracked message, or of its creation. */
    readonly lastActivity: number;
    /** The time at which it ends without further messages. */
    readonly expiresAt: number;
    /** The number of tracked messages. */
    readonly messageCount: number;
    /** The metadata given to `createSession`. */
    readonly metadata?: Record<string, any>;
    /**
     * The key given to `createSession`, a `Uint8Array`; `undefined` without one. The property is not
     * enumerable, so that the key is not printed.
     *
     * @deprecated The API of 0.2.0. The keys of a mesh's sessions never leave the addon.
     */
    readonly sessionKey: any;
}
/** Figures about a {@link SessionManager}. */
interface SessionStats {
    /** Live sessions. */
    activeSessions: number;
    /** Sessions created since the creation of the manager. */
    totalSessions: number;
    /** Sessions ended by a time limit. */
    expiredSessions: number;
    /** Sessions ended by `invalidateSession`. */
    invalidatedSessions: number;
    /** Tracked messages. */
    totalMessages: number;
}
/**
 * Tracks sessions: their services, times and numbers of messages.
 *
 * A session ends when no message was tracked for `timeout`, and after `maxLifetime` in any case. A lookup
 * never prolongs it. Ended sessions are removed automatically; the timer does not keep the process alive.
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
     * @param defaultTTL the idle timeout of a session, in milliseconds
     * @deprecated The API of 0.2.0. Use `new SessionManager({ timeout })`.
     */
    constructor(defaultTTL?: number);
    /**
     * Begins a session between two services.
     *
     * @param metadata kept with the session, not copied
     * @throws MeshError `INVALID_ARGUMENT`, reason `ID_SYNTAX`: an id is outside the allowed alphabet.
     *   `RESOURCE_EXHAUSTED`, reason `SESSION_LIMIT`: there are `maxSessions` live sessions; none of them is
     *   ever evicted
     */
    createSession(serviceId: string, peerServiceId?: string, metadata?: Record<string, unknown>): Session;
    /**
     * @param sessionKey kept with the session, not copied
     * @deprecated The API of 0.2.0. Use `createSession(serviceId, peerServiceId, metadata)`; the keys of a
     *   mesh's sessions never leave the addon.
     */
    createSession(serviceId: string, sessionKey: Uint8Array, metadata?: Record<string, unknown>): Session;
    /** Returns the session if it is alive. The lookup does not prolong it. */
    getSession(id: string): Session | undefined;
    /** The newest live session in which the service is either side. */
    getSessionByServiceId(serviceId: string): Session | undefined;
    /** The live sessions, oldest first. */
    listSessions(): Session[];
    /**
     * Counts a message and prolongs the session by its `timeout`, up to its
     * `maxLifetime`. Call it once a message has been authenticated.
     *
     * @returns the number of messages of the session
     * @throws MeshError `NOT_FOUND`, reason `SESSION_NOT_FOUND`: there is no session with this id.
     *   `FAILED_PRECONDITION`, reason `SESSION_EXPIRED`: the session has just expired
     */
    trackMessage(id: string): number;
    /** Ends a session. Returns whether it existed. */
    invalidateSession(id: string): boolean;
    /** Removes expired sessions, which also happens automatically. Returns their number. */
    cleanupExpiredSessions(): number;
    /** The current figures. */
    getStats(): SessionStats;
}

/** Settings of a {@link TimeoutManager}. */
interface TimeoutConfig {
    /** The timeout of an operation: milliseconds or a string such as `'5s'`. */
    timeout: number | string;
    /** The message of the error. Default: `Operation timed out after 200ms`, with the time in milliseconds. */
    errorMessage?: string | undefined;
}
/**
 * Limits the duration of operations. The timer ends with the operation, and a signal informs the operation of
 * the timeout.
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
     * Calls `fn`, and settles as it does, or rejects when its time is over.
     *
     * @param fn receives a signal that is aborted when its time is over, or with `options.signal`
     * @throws MeshError `DEADLINE_EXCEEDED`, reason `DEADLINE`: the time was over
     */
    execute<T>(fn: (signal: AbortSignal) => Promise<T> | T, options?: {
        signal?: AbortSignal | undefined;
    }): Promise<T>;
}

/** This package's version. */
declare const version: string;

export { AuditLogger, CertificateAuthority, CertificateAuthorityService, CircuitBreaker, CircuitState, ConsoleAdapter, Context, CryptoManager, FileAdapter, HealthMonitor, HttpAdapter, JWTManager, KeyManager, KeyRotation, MeshError, MetricsCollector, RateLimiter, RetryPolicy, SecureMesh, SecureMeshClient, SecureMeshServer, SessionManager, StaticDiscovery, TimeoutManager, bidiStream, certificateAuthority, clientStream, defineContract, expressErrors, fastifyErrors, isDeclaredError, safe, serve, serverStream, toHttpStatus, toProblem, unary, version };
export type { AcceptedTrustConfig, AdminConfig, AdminTlsConfig, AdvertisedAddress, AesKeySize, AuditLoggerConfig, AuditLoggerStats, AuthorizationConditions, AuthorizationConfig, AuthorizationExplanation, AuthorizationRequest, AuthorizationRule, BalancingConfig, BuiltInProvider, BulkheadConfig, CallKind, CallOptions, CallPromise, CallRecord, Caller, CallerConfig, CertificateAuthorityOptions, CertificateAuthorityStatus, CertificateConfig, CheckHealthOptions, CircuitBreakerConfig, ClientMiddleware, ConcurrencyConfig, ConnectOptions, ConsulProviderConfig, Contract, ContractClient, CoreConfig, CryptoData, CryptoManagerOptions, DeclaredError, DeclaredErrorOptions, DeclaredErrors, DecryptOptions, DiscoveredService, DiscoveryChange, DiscoveryConfig, DiscoveryOptions, DiscoveryProvider, DnsProviderConfig, Duration, EjectionConfig, EncryptedData, EnrolmentConfig, ErrorDefinition, ErrorFactories, ErrorMap, ErrorsOf, EtcdProviderConfig, ExpectedToken, ExpressResponseLike, FastifyReplyLike, FastifyRequestLike, FileAdapterOptions, FileProviderConfig, Handler, HandlerOf, HandlerOptions, HandlerPolicy, HealthCheck, HealthCheckResult, HealthMonitorOptions, HealthStatus, HttpAdapterConfig, HttpAuth, HttpClient, HttpErrorOptions, IdempotencyConfig, ImplementOptions, Implementation, Instance, InstanceAddress, IssueOptions, IssuedCertificate, Items, JWTManagerOptions, JoinToken, JoinTokenOptions, KeyPair, KeyPairSource, KeyRotationConfig, KubernetesProviderConfig, LegacyEncryptedData, Logger, MakesSessionKeys, MemoryStats, MeshAddress, MeshAuditEvent, MeshConfig, MeshErrorCode, MeshErrorOptions, MeshEventMap, MeshHealth, MeshLimits, MeshListener, MeshMetrics, MeshStats, MethodDescription, Middleware, MonitoringAdapter, ObserveOption, OutgoingCall, PathsConfig, PeerCertificate, PeerSession, Priority, Problem, Procedure, ProcedureDefinition, Procedures, ProviderOption, RateLimitResult, RateLimiterConfig, ReadinessCheck, RetryOptions, RetryPolicyConfig, Revocation, RevokeOptions, RevokedCertificate, RotateAuthorityOptions, RotateMeshSecretOptions, RotateSecretOptions, RotatesKeys, RouteLike, RouterLike, RouterTree, RsaKeySize, SafeResult, SchemaDescription, SchemaInput, SchemaIssue, SchemaOutput, SchemaResult, ScopeOptions, SecureMeshConfig, SecurityConfig, ServeOptions, ServiceConfig, ServiceDescription, ServiceDiscovery, ServiceHealth, ServiceInfo, ServiceStatus, Session, SessionManagerOptions, SessionStats, SharedQuotaConfig, StandardSchema, TimeoutConfig, TlsConfig, TokenPayload, TracingConfig, Trust, TrustBundle, ValidationIssue };
