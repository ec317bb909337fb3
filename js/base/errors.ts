// The one error class of this package.

import { CODES, type MeshErrorCode } from './boundary.js';

export type { MeshErrorCode };

/** The properties of a {@link MeshError} in addition to its code and message. */
export interface MeshErrorOptions {
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

// `Symbol.for` is one registry for the whole process: other copies of this
// package, and its ESM and CommonJS builds, have the same brand.
const BRAND = Symbol.for('@lemur-bookstores/secure-stack-mesh.MeshError');

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
export class MeshError extends Error {
  /** The code: the kind of failure. */
  readonly code: MeshErrorCode;
  /** The exact failure: a stable upper-case word. */
  readonly reason: string;
  /** Whether the same call can succeed later. */
  readonly retryable: boolean;
  /** The delay before a sensible retry, in milliseconds, if it is known. */
  declare readonly retryAfterMs?: number;
  /** The service that was called. */
  declare readonly service?: string;
  /** The method that was called. */
  declare readonly method?: string;
  /** The number of attempts of the call. */
  declare readonly attempts?: number;
  /** The details that the handler gave its caller. */
  declare readonly data?: unknown;
  /** Whether the peer created the error. */
  readonly remote: boolean;
  /** The id of the error in the log of the service where it occurred. */
  declare readonly errorId?: string;

  /**
   * @param code one of the sixteen gRPC codes
   * @param message the message, for people. The caller receives it if a handler throws the error.
   * @throws TypeError if the code is not one of the sixteen
   */
  constructor(code: MeshErrorCode, message: string, options: MeshErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    if (!isCode(code)) {
      throw new TypeError(`code must be one of ${CODES.join(', ')}; got ${String(code)}`);
    }
    this.code = code;
    this.reason = options.reason ?? code;
    this.retryable = options.retryable ?? code === 'UNAVAILABLE';
    this.remote = options.remote ?? false;
    // Only known values become properties, so that a printed error is short.
    const known: { -readonly [K in keyof MeshError]?: MeshError[K] } = this;
    if (options.retryAfterMs !== undefined) known.retryAfterMs = options.retryAfterMs;
    if (options.service !== undefined) known.service = options.service;
    if (options.method !== undefined) known.method = options.method;
    if (options.attempts !== undefined) known.attempts = options.attempts;
    if (options.data !== undefined) known.data = options.data;
    if (options.errorId !== undefined) known.errorId = options.errorId;
  }

  /** Whether `value` is a `MeshError` of any copy of the package. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return isInstance(this, value);
  }

  /**
   * Converts an error to a `MeshError`. A `MeshError` is returned unchanged; an error of the addon is
   * converted by its `code`, `reason` and `retryAfterMs`; any other error becomes `INTERNAL`.
   */
  static from(error: unknown): MeshError {
    return isMeshError(error) ? error : convert(error);
  }

  /** The public properties, without stack and cause. */
  toJSON(): Record<string, unknown> {
    return Object.assign({ name: this.name, message: this.message }, this as object);
  }
}

Object.defineProperties(MeshError.prototype, {
  name: { value: 'MeshError', configurable: true, writable: true },
  [BRAND]: { value: true },
});

// The class does not refer to itself by name: the bundler would then rename it, and the name is visible in
// printed errors.
function isInstance(constructor: unknown, value: unknown): boolean {
  return constructor === MeshError
    ? isMeshError(value)
    : Function.prototype[Symbol.hasInstance].call(constructor, value);
}

function isMeshError(value: unknown): value is MeshError {
  try {
    return typeof value === 'object' && value !== null && BRAND in value;
  } catch {
    // A proxy that throws, or is revoked.
    return false;
  }
}

function convert(error: unknown): MeshError {
  try {
    return read(error);
  } catch (cause) {
    const text = 'the thrown value cannot be read: it throws when it is read';
    return new MeshError('INTERNAL', text, { reason: 'INTERNAL', cause });
  }
}

function read(error: unknown): MeshError {
  const source = (typeof error === 'object' && error !== null ? error : {}) as {
    code?: unknown;
    reason?: unknown;
    message?: unknown;
    retryAfterMs?: unknown;
  };
  const options: MeshErrorOptions = {};
  let code: MeshErrorCode;
  if (isCode(source.code)) {
    code = source.code;
    if (typeof source.reason === 'string') options.reason = source.reason;
    if (typeof source.retryAfterMs === 'number') options.retryAfterMs = source.retryAfterMs;
  } else if (typeof source.code === 'string' && CONVERSION_FAILURES.has(source.code)) {
    code = 'INVALID_ARGUMENT';
    options.reason = 'ARGUMENT';
  } else {
    code = 'INTERNAL';
    options.reason = 'INTERNAL';
    options.cause = error;
  }
  const message = typeof source.message === 'string' ? source.message : String(error);
  const made = new MeshError(code, message, options);
  // The stack should begin at the caller of this package, not here.
  Error.captureStackTrace(made, MeshError.from);
  return made;
}

// The status codes of napi for arguments that it could not convert.
const CONVERSION_FAILURES: ReadonlySet<string> = new Set([
  'InvalidArg',
  'ObjectExpected',
  'StringExpected',
  'NameExpected',
  'FunctionExpected',
  'NumberExpected',
  'BooleanExpected',
  'ArrayExpected',
  'BigintExpected',
  'DateExpected',
  'ArrayBufferExpected',
]);

/** Whether a value is one of the sixteen codes. */
export function isCode(value: unknown): value is MeshErrorCode {
  return (CODES as readonly unknown[]).includes(value);
}

/** Calls the addon, and converts its error to a {@link MeshError}. */
export function wrapNative<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw MeshError.from(error);
  }
}

/** Awaits the addon, and converts its error or rejection to a {@link MeshError}. */
export async function wrapNativeAsync<T>(call: Promise<T> | (() => Promise<T>)): Promise<T> {
  try {
    return await (typeof call === 'function' ? call() : call);
  } catch (error) {
    throw MeshError.from(error);
  }
}
