// A contract from its service's side.

import { checkKeys, invalidArgument, show } from '../base/arguments.js';
import { isContract, type Contract, type Procedure } from '../rpc/contract.js';
import type { Handler, HandlerOf, HandlerOptions, HandlerPolicy } from '../rpc/handler-types.js';
import type { SchemaInput, SchemaOutput } from '../rpc/schema.js';
import { makeRoute, POLICY_KEYS, type Route } from './route.js';

type ProcedureHandler<T> =
  T extends Procedure<infer K, infer I, infer O, infer E>
    ? HandlerOf<K, SchemaOutput<I>, SchemaInput<O>, E>
    : never;

/** A handler for each method of a contract. */
export type Implementation<T extends Contract> = {
  [K in keyof T['procedures']]: ProcedureHandler<T['procedures'][K]>;
};

/** What the handlers of a contract allow, and what is done around them. */
export interface ImplementOptions<T extends Contract = Contract> extends HandlerPolicy {
  /** For single methods; what is said here wins. */
  methods?: { [K in keyof T['procedures']]?: HandlerPolicy } | undefined;
}

/**
 * The routes of a contract's handlers.
 *
 * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, when a handler is missing, or is for no
 *   method of the contract
 */
export function contractRoutes(
  contract: Contract,
  handlers: Readonly<Record<string, unknown>>,
  options: ImplementOptions = {},
): Route[] {
  if (!isContract(contract)) {
    throw invalidArgument('the contract must be made by defineContract');
  }
  const { name, procedures } = contract;
  if (typeof handlers !== 'object' || handlers === null) {
    throw invalidArgument(`the handlers of ${name} must be an object, got ${show(handlers)}`);
  }
  checkKeys('options', options, [...POLICY_KEYS, 'methods']);
  const methods = Object.keys(procedures);
  checkKeys(`the handlers of ${name}`, functionsOf(handlers), methods);
  const { methods: policies = {}, ...shared } = options;
  checkKeys('options.methods', policies, methods);
  return methods.map((method) => {
    const { kind, input, output, errors, idempotent } = procedures[method] as Procedure;
    if (!(method in handlers)) {
      throw invalidArgument(`${name}.${method} has no handler`);
    }
    const policy = policies[method] ?? {};
    checkKeys(`options.methods.${method}`, policy, POLICY_KEYS);
    const route: HandlerOptions = { ...shared, ...policy, kind, idempotent };
    if (input !== undefined) route.input = input;
    if (output !== undefined) route.output = output;
    if (errors !== undefined) route.errors = errors;
    // Handlers may be methods of an object that needs its `this`.
    const handler = handlers[method];
    return makeRoute(
      `${name}.${method}`,
      route,
      typeof handler === 'function' ? bindHandler(handler, handlers) : (handler as Handler),
    );
  });
}

/** What an object of handlers may have besides them: whatever is no function. */
function functionsOf(handlers: object): object {
  return Object.fromEntries(
    Object.entries(handlers).filter(([, value]) => typeof value === 'function'),
  );
}

function bindHandler(handler: Function, owner: object): Handler {
  return handler.bind(owner) as Handler;
}
