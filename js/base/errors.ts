// The one error class of this package.

import { CODES, type MeshErrorCode } from './boundary.js';

export type { MeshErrorCode };

/** What a {@link MeshError} can say beyond its code and message. */
export interface MeshErrorOptions {
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

// `Symbol.for` is one registry for the whole process: other copies of this
// package, and its ESM and CJS faces, have the same brand.
const BRAND = Symbol.for('@lemur-bookstores/secure-stack-mesh.MeshError');

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
export class MeshError extends Error {
  /** What kind of failure. */
  readonly code: MeshErrorCode;
  /** Which failure exactly: a stable upper-case word. */
  readonly reason: string;
  /** Whether the same call can succeed later. */
  readonly retryable: boolean;
  /** How long to wait before trying again makes sense, in milliseconds, where that is known. */
  declare readonly retryAfterMs?: number;
  /** The service that was called. */
  declare readonly service?: string;
  /** The method that was called. */
  declare readonly method?: string;
  /** How many times the call was tried. */
  declare readonly attempts?: number;
  /** What the handler gave its caller to know. */
  declare readonly data?: unknown;
  /** Whether the error was made by the peer. */
  readonly remote: boolean;
  /** Finds the error in the log of the service where it occurred. */
  declare readonly errorId?: string;

  /**
   * @param code one of the sixteen gRPC codes
   * @param message what went wrong, for people. It is sent to the caller when a handler throws it.
   * @throws TypeError when the code is not one of the sixteen
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
    // Only what is known becomes a property, so that a printed error is short.
    const known: { -readonly [K in keyof MeshError]?: MeshError[K] } = this;
    if (options.retryAfterMs !== undefined) known.retryAfterMs = options.retryAfterMs;
    if (options.service !== undefined) known.service = options.service;
    if (options.method !== undefined) known.method = options.method;
    if (options.attempts !== undefined) known.attempts = options.attempts;
    if (options.data !== undefined) known.data = options.data;
    if (options.errorId !== undefined) known.errorId = options.errorId;
  }

  /** Whether `value` is a `MeshError`, of this copy of the package or another. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return isInstance(this, value);
  }

  /**
   * A `MeshError` that says what `error` says: itself if it is one, else made
   * from the `code`, `reason` and `retryAfterMs` the addon puts on its errors.
   * Anything else becomes `INTERNAL`.
   */
  static from(error: unknown): MeshError {
    return isMeshError(error) ? error : convert(error);
  }

  /** The public facts, without stack and cause. */
  toJSON(): Record<string, unknown> {
    return Object.assign({ name: this.name, message: this.message }, this as object);
  }
}

Object.defineProperties(MeshError.prototype, {
  name: { value: 'MeshError', configurable: true, writable: true },
  [BRAND]: { value: true },
});

// The class's own name is not used inside its body: the bundler would rename
// the class, and the name is what people see printed.
function isInstance(constructor: unknown, value: unknown): boolean {
  return constructor === MeshError
    ? isMeshError(value)
    : Function.prototype[Symbol.hasInstance].call(constructor, value);
}

function isMeshError(value: unknown): value is MeshError {
  try {
    return typeof value === 'object' && value !== null && BRAND in value;
  } catch {
    // A proxy that refuses to be asked, or was revoked.
    return false;
  }
}

function convert(error: unknown): MeshError {
  try {
    return read(error);
  } catch (cause) {
    const text = 'what was thrown cannot be read: it throws when it is looked at';
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
  // The stack should begin where this package was called, not here.
  Error.captureStackTrace(made, MeshError.from);
  return made;
}

// How napi names an argument it could not convert.
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

/** Calls the addon, and rethrows what it throws as a {@link MeshError}. */
export function wrapNative<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw MeshError.from(error);
  }
}

/** Awaits the addon, and rejects with a {@link MeshError} where it rejects or throws. */
export async function wrapNativeAsync<T>(call: Promise<T> | (() => Promise<T>)): Promise<T> {
  try {
    return await (typeof call === 'function' ? call() : call);
  } catch (error) {
    throw MeshError.from(error);
  }
}
