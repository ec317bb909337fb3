// The decision of the authorization policy about a request.

import { checkKeys, invalidArgument, show } from '../base/arguments.js';
import { wrapNative } from '../base/errors.js';
import { repairJson } from '../base/json-text.js';
import type { Addon } from '../base/native.js';
import type { Caller } from '../rpc/caller.js';
import type { AuthorizationExplanation, AuthorizationRequest } from './types.js';

/**
 * Returns the rule that decides about a request, and the reason.
 *
 * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT` or `ID_SYNTAX`; `FAILED_PRECONDITION`,
 *   reason `NOT_INITIALIZED`
 */
export function explain(
  native: InstanceType<Addon['NativeMesh']>,
  request: AuthorizationRequest,
): AuthorizationExplanation {
  if (typeof request !== 'object' || request === null) {
    throw invalidArgument(`request must be an object, got ${show(request)}`);
  }
  checkKeys('request', request, ['from', 'spiffeId', 'method', 'metadata']);
  const { from, spiffeId, method, metadata = {} } = request;
  for (const [name, value] of Object.entries({ from, method, spiffeId: spiffeId ?? '' })) {
    if (typeof value !== 'string') {
      throw invalidArgument(`request.${name} must be a string, got ${show(value)}`);
    }
  }
  if (
    typeof metadata !== 'object' ||
    metadata === null ||
    !Object.values(metadata).every((value) => typeof value === 'string')
  ) {
    throw invalidArgument('request.metadata must be an object of strings');
  }
  const { allowed, rule, why } = wrapNative(() =>
    // The form in which the metadata of a call arrives.
    native.explain(from, spiffeId, method, repairJson(JSON.stringify(metadata))),
  );
  return { allowed, rule: rule ?? null, why };
}

/** The decision of the policy about the methods that a caller may call without metadata. */
export function permittedTo(
  native: InstanceType<Addon['NativeMesh']>,
  { serviceId: from, spiffeId }: Caller,
): (method: string) => boolean {
  if (native.policy() === null) return () => true;
  return (method) => {
    try {
      return native.explain(from, spiffeId, method, '{}').allowed;
    } catch {
      // The name is invalid, so no rule can permit the method.
      return false;
    }
  };
}
