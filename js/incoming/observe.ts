// The option `observe`: the services that this one tells about itself.

import { invalidOption, show } from '../base/arguments.js';
import type { Caller } from '../rpc/caller.js';

/** The services that may read what a mesh tells about itself, such as its report and its methods. */
export type ObserveOption =
  | boolean
  | {
      /** Service ids, or SPIFFE ids of certificates. */
      readonly from: readonly string[];
    };

/**
 * Checks the option `observe`, and returns the decision about a caller.
 *
 * @throws MeshError `INVALID_ARGUMENT`, reason `CONFIG`
 */
export function checkObserve(option: unknown): (caller: Caller) => boolean {
  // With embedded trust every service belongs to one user of one machine.
  if (option === undefined) return (caller) => caller.trust === 'embedded';
  if (typeof option === 'boolean') return () => option;
  const from: unknown =
    typeof option === 'object' && option !== null ? (option as { from?: unknown }).from : undefined;
  const other =
    typeof option === 'object' && option !== null
      ? Object.keys(option).find((key) => key !== 'from')
      : undefined;
  if (other !== undefined) throw invalidOption(`observe.${other} does not exist; there is from`);
  if (!Array.isArray(from) || !from.every((id) => typeof id === 'string')) {
    throw invalidOption(
      `observe must be true, false or { from: [service ids] }, got ${show(option)}`,
    );
  }
  const permitted = new Set<string>(from);
  return ({ serviceId, spiffeId }) =>
    permitted.has(serviceId) || (spiffeId !== undefined && permitted.has(spiffeId));
}
