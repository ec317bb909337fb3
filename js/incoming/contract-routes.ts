// The service's side of a contract.

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

/** The options of a contract's handlers. */
export interface ImplementOptions<T extends Contract = Contract> extends HandlerPolicy {
  /** Options of single methods, which take precedence. */
  methods?: { [K in keyof T['procedures']]?: HandlerPolicy } | undefined;
}

/**
 * Creates the routes of a contract's handlers.
 *
 * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, if a handler is missing, or names no method of the
 *   contract
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
    // The call keeps `this`: handlers may be methods of an object.
    const handler = handlers[method];
    return makeRoute(
      `${name}.${method}`,
      route,
      typeof handler === 'function' ? bindHandler(handler, handlers) : (handler as Handler),
    );
  });
}

/** Returns the functions of an object, which may also have other members. */
function functionsOf(handlers: object): object {
  return Object.fromEntries(
    Object.entries(handlers).filter(([, value]) => typeof value === 'function'),
  );
}

function bindHandler(handler: Function, owner: object): Handler {
  return handler.bind(owner) as Handler;
}
