// Errors as values, with the types a contract gives them.

import { MeshError } from '../base/errors.js';
import type { DeclaredErrors } from './declared-errors.js';
import { isDeclared, type ErrorMap } from './declared-errors.js';

/** A promise of a call whose declared errors the compiler knows. */
export interface CallPromise<TResult, TError = never> extends Promise<TResult> {
  /** For the compiler only; no promise has this property. */
  readonly '~error'?: TError;
}

/** The result of {@link safe}. */
export type SafeResult<TResult, TError = never> =
  | {
      /** The call succeeded. */
      readonly ok: true;
      /** The result. */
      readonly data: TResult;
      /** Never set. */
      readonly error?: undefined;
    }
  | SafeFailure<TError>
  | {
      /** The call failed. */
      readonly ok: false;
      /** The contract does not declare the error: the service, or the way to it, has failed. */
      readonly declared: false;
      /** The error. */
      readonly error: MeshError;
    };

type SafeFailure<TError> = [TError] extends [never]
  ? never
  : {
      /** The call failed. */
      readonly ok: false;
      /** The contract declares the error; its reason identifies it. */
      readonly declared: true;
      /** The declared error. */
      readonly error: TError;
    };

// The declared errors of a call, by its promise.
const errorsOfPromise = new WeakMap<Promise<unknown>, ErrorMap>();

/** Records the declared errors of a call for {@link safe}. */
export function rememberErrors(promise: Promise<unknown>, errors: ErrorMap): void {
  errorsOfPromise.set(promise, errors);
}

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
export async function safe<TResult, TError = never>(
  promise: CallPromise<TResult, TError> | Promise<TResult>,
): Promise<SafeResult<TResult, TError>> {
  try {
    return { ok: true, data: await promise };
  } catch (caught) {
    const error = MeshError.from(caught);
    const errors = errorsOfPromise.get(promise);
    const declared = errors !== undefined && error.remote && isDeclared(errors, error);
    return { ok: false, declared, error } as SafeResult<TResult, TError>;
  }
}

/**
 * Whether a method of a contract declares a caught error.
 *
 * @example
 * ```js
 * if (isDeclaredError(orders.procedures.create, error) && error.reason === 'OUT_OF_STOCK') { … }
 * ```
 */
export function isDeclaredError<TErrors extends ErrorMap>(
  procedure: { readonly errors?: TErrors },
  error: unknown,
): error is DeclaredErrors<TErrors> {
  const { errors } = procedure;
  return errors !== undefined && isDeclared(errors, error) && error.remote;
}
