// The repair of an error, by its reason.

import type { MeshError } from '../index.js';

/** The column "what to do" of docs/errors.md by reason. The build inserts it. */
declare const REPAIRS: Readonly<Record<string, string>>;

/** The repair of an error in a sentence; empty if its reason is unknown. */
export function repairOf({ reason, code, service, remote }: MeshError): string {
  // A service's application may use its own reasons, with any names.
  const own = Object.hasOwn(REPAIRS, reason) ? (REPAIRS[reason] ?? '') : '';
  if (reason === 'PEER_KEY_CHANGED' && !remote && service !== undefined) {
    return `${own} On this machine this command does the same: secure-stack-mesh keys forget ${service}`;
  }
  if (reason === 'HANDSHAKE_REFUSED') {
    return `${own} If the command line on another machine has called that service under this id, choose another id: --as <id>.`;
  }
  if (reason === 'CALL_KIND') return `${own} On the command line, use the option --kind.`;
  return own === '' && code === 'UNAVAILABLE' ? 'Try again later.' : own;
}

/** The repair for a reason alone. */
export function repairFor(reason: string): string {
  return Object.hasOwn(REPAIRS, reason) ? (REPAIRS[reason] ?? '') : '';
}
