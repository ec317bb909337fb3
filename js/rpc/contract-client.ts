// A contract from its caller's side.

import { checkKeys } from '../base/arguments.js';
import type { CallKind, CallOptions, Items } from './call-types.js';
import type { Link } from './client.js';
import type { ConnectOptions, Contract, ContractClient, Procedure } from './contract.js';
import { rememberErrors } from './safe.js';

/** Sends a call of each kind. */
const SEND = {
  unary: (link, method, input, options) => link.start(method, input, options),
  serverStream: (link, method, input, options) => link.serverStream(method, input, options),
  clientStream: (link, method, input, options) =>
    link.clientStream(method, input as Items, options),
  bidiStream: (link, method, input, options) => link.bidiStream(method, input as Items, options),
} satisfies Record<
  CallKind,
  (link: Link, method: string, input: unknown, options: CallOptions | undefined) => unknown
>;

/** @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT` */
export function serviceOf(contract: Contract, options: ConnectOptions | undefined): string {
  if (options !== undefined) checkKeys('options', options, ['service']);
  return options?.service ?? contract.name;
}

/** A function for each method of a contract. */
export function contractClient<T extends Contract>(contract: T, link: Link): ContractClient<T> {
  const client: Record<string, unknown> = Object.create(null);
  for (const [name, procedure] of Object.entries<Procedure>(contract.procedures)) {
    const method = `${contract.name}.${name}`;
    const send = SEND[procedure.kind];
    client[name] = (input: unknown, options?: CallOptions): unknown => {
      const idempotent = procedure.idempotent === true && options?.idempotent === undefined;
      const answer = send(link, method, input, idempotent ? { ...options, idempotent } : options);
      if (procedure.errors !== undefined && answer instanceof Promise) {
        rememberErrors(answer, procedure.errors);
      }
      return answer;
    };
  }
  return Object.freeze(client) as ContractClient<T>;
}
