// Errors as values, with the types a contract gives them.

import { MeshError } from '../base/errors.js';
import type { DeclaredErrors } from './declared-errors.js';
import { isDeclared, type ErrorMap } from './declared-errors.js';

/** A promise of a call whose declared errors the compiler knows. */
export interface CallPromise<TResult, TError = never> extends Promise<TResult> {
  /** For the compiler only; it is never there. */
  readonly '~error'?: TError;
}

/** What {@link safe} resolves with. */
export type SafeResult<TResult, TError = never> =
  | {
      /** The call was answered. */
      readonly ok: true;
      /** Its result. */
      readonly data: TResult;
      /** Nothing went wrong. */
      readonly error?: undefined;
    }
  | SafeFailure<TError>
  | {
      /** The call failed. */
      readonly ok: false;
      /** The error is none that the contract declares: the service, or the way to it, has failed. */
      readonly declared: false;
      /** Why. */
      readonly error: MeshError;
    };

type SafeFailure<TError> = [TError] extends [never]
  ? never
  : {
      /** The call failed. */
      readonly ok: false;
      /** The error is one that the contract declares; its reason says which. */
      readonly declared: true;
      /** Which of the declared errors it is. */
      readonly error: TError;
    };

// What a promise's call can be answered with, until nobody holds the promise.
const errorsOfPromise = new WeakMap<Promise<unknown>, ErrorMap>();

/** Has {@link safe} know what a call's declared errors are. */
export function rememberErrors(promise: Promise<unknown>, errors: ErrorMap): void {
  errorsOfPromise.set(promise, errors);
}

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
 * Whether an error that was caught is one a method of a contract declares.
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
