// The errors that a method declares.

import { checkKeys, invalidArgument } from '../base/arguments.js';
import { isCode, MeshError, type MeshErrorCode } from '../base/errors.js';
import type { StandardSchema } from './schema.js';
import { checkSchema, validateOutput, type SchemaInput, type SchemaOutput } from './schema.js';

/** A declared error of a method. Its name is the `reason`. */
export interface ErrorDefinition {
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
export type ErrorMap = Readonly<Record<string, ErrorDefinition>>;

/** A {@link MeshError} whose reason and data are known to the compiler. */
export interface DeclaredError<TReason extends string, TData> extends MeshError {
  readonly reason: TReason;
  readonly data: TData;
}

/** The union of the errors of a map, as their receiver sees them. */
export type DeclaredErrors<TErrors extends ErrorMap> = {
  [K in keyof TErrors & string]: DeclaredError<K, DataOf<TErrors[K]>>;
}[keyof TErrors & string];

type DataOf<T extends ErrorDefinition | undefined> = T extends {
  data: infer S extends StandardSchema;
}
  ? SchemaOutput<S>
  : undefined;

/** The options of one declared error, in addition to its data. */
export interface DeclaredErrorOptions {
  /** The message, for people. Default: the declared message. */
  message?: string | undefined;
  /** The delay before a sensible retry, in milliseconds. */
  retryAfterMs?: number | undefined;
  /** The original error. It never leaves the process. */
  cause?: unknown;
}

/** The functions that create the errors of a map: `throw ctx.errors.OUT_OF_STOCK({ sku })`. */
export type ErrorFactories<TErrors extends ErrorMap> = {
  readonly [K in keyof TErrors & string]: TErrors[K] extends {
    /** The schema of the data. */
    data: infer S extends StandardSchema;
  }
    ? (data: SchemaInput<S>, options?: DeclaredErrorOptions) => DeclaredError<K, SchemaInput<S>>
    : (data?: undefined, options?: DeclaredErrorOptions) => DeclaredError<K, undefined>;
};

const NAME = /^[A-Z][A-Z0-9_]{0,63}$/;
const KEYS = ['code', 'message', 'data', 'retryable'] as const;

/**
 * Checks a map of errors, and creates the functions of `ctx.errors`.
 *
 * @param path the option's path, for the error
 * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, naming the option
 */
export function makeErrorFactories(path: string, errors: unknown): ErrorFactories<ErrorMap> {
  if (typeof errors !== 'object' || errors === null) {
    throw invalidArgument(`${path} must be an object, got ${String(errors)}`);
  }
  const factories: Record<string, unknown> = Object.create(null);
  for (const [name, definition] of Object.entries(errors as ErrorMap)) {
    if (!NAME.test(name)) {
      throw invalidArgument(`${path}.${name}: a name must be an upper-case word, as OUT_OF_STOCK`);
    }
    checkKeys(`${path}.${name}`, definition, KEYS);
    if (!isCode(definition.code)) {
      throw invalidArgument(
        `${path}.${name}.code must be one of the gRPC codes, as NOT_FOUND; got ${String(definition.code)}`,
      );
    }
    checkSchema(`${path}.${name}.data`, definition.data);
    factories[name] = (data?: unknown, options: DeclaredErrorOptions = {}) => {
      const error = new MeshError(definition.code, options.message ?? definition.message ?? name, {
        reason: name,
        ...(data === undefined ? {} : { data }),
        ...(definition.retryable === undefined ? {} : { retryable: definition.retryable }),
        ...(options.retryAfterMs === undefined ? {} : { retryAfterMs: options.retryAfterMs }),
        ...('cause' in options ? { cause: options.cause } : {}),
      });
      // The stack should begin at the caller of the factory.
      Error.captureStackTrace(error, factories[name] as () => void);
      return error;
    };
  }
  return Object.freeze(factories) as ErrorFactories<ErrorMap>;
}

/** Whether an error belongs to a map, according to its reason and its code. */
export function isDeclared(errors: ErrorMap, error: unknown): error is MeshError {
  return (
    error instanceof MeshError &&
    Object.hasOwn(errors, error.reason) &&
    errors[error.reason]?.code === error.code
  );
}

/**
 * Returns the error of a handler; the data of a declared error is checked.
 *
 * @throws OutputError if its data does not match the declaration
 */
export async function checkDeclared(errors: ErrorMap, error: unknown): Promise<unknown> {
  if (!isDeclared(errors, error)) return error;
  const schema = errors[error.reason]?.data;
  if (schema === undefined) return error;
  const data = await validateOutput(schema, error.data, `the data of ${error.reason}`);
  if (data === error.data) return error;
  return new MeshError(error.code, error.message, {
    reason: error.reason,
    data,
    retryable: error.retryable,
    cause: error,
    ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
  });
}
