// Errors of the calls that this process makes, told apart from errors that its
// code makes on purpose. A handler that lets one through has failed: its caller
// has no use for the address of a service that it never heard of.

import { MeshError } from '../base/errors.js';

const ofCalls = new WeakSet<object>();
const ofRequests = new WeakSet<object>();

/** Marks what a call failed with, whoever found the failure. */
export function ofCall<T>(error: T): T {
  if (error instanceof MeshError) ofCalls.add(error);
  return error;
}

/** Whether it is what a call of this process failed with. */
export function isOfCall(error: unknown): error is MeshError {
  return typeof error === 'object' && error !== null && ofCalls.has(error);
}

/** Marks the end of a call at a deadline that it took over from a request. */
export function ofRequest(error: unknown): void {
  if (error instanceof MeshError && error.reason === 'DEADLINE') ofRequests.add(error);
}

/** Whether a call ended at the deadline that it took over from a request. */
export function isOfRequest(error: MeshError): boolean {
  return ofRequests.has(error);
}
