// The distinction between errors of calls that this process makes and errors that its code creates. A handler
// that does not catch the error of a nested call has failed: its caller must not receive details of a service
// that it does not know.

import { MeshError } from '../base/errors.js';

const ofCalls = new WeakSet<object>();
const ofRequests = new WeakSet<object>();

/** Marks the error of a call, wherever it was detected. */
export function ofCall<T>(error: T): T {
  if (error instanceof MeshError) ofCalls.add(error);
  return error;
}

/** Whether a value is the error of a call of this process. */
export function isOfCall(error: unknown): error is MeshError {
  return typeof error === 'object' && error !== null && ofCalls.has(error);
}

/** Marks the error of a call that ended at a deadline inherited from a request. */
export function ofRequest(error: unknown): void {
  if (error instanceof MeshError && error.reason === 'DEADLINE') ofRequests.add(error);
}

/** Whether a call ended at a deadline inherited from a request. */
export function isOfRequest(error: MeshError): boolean {
  return ofRequests.has(error);
}
