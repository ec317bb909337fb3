// The caller's side of a contract.

import { checkKeys } from '../base/arguments.js';
import { MeshError } from '../base/errors.js';
import { ofCall } from './call-errors.js';
import type { CallKind, CallOptions, Items } from './call-types.js';
import type { Link } from './client.js';
import type { Contract, Procedure } from './contract.js';
import type { DeclaredErrors } from './declared-errors.js';
import { rememberErrors, type CallPromise } from './safe.js';
import { OutputError, validateOutput } from './schema.js';
import type { SchemaInput, SchemaOutput, StandardSchema } from './schema.js';

/** The argument for an input of type `T`, optional if `T` may be `undefined`. */
type InputArguments<T> = undefined extends T
  ? [input?: T, options?: CallOptions]
  : [input: T, options?: CallOptions];

type ClientMethod<T> =
  T extends Procedure<infer K, infer I, infer O, infer E>
    ? {
        unary: (
          ...args: InputArguments<SchemaInput<I>>
        ) => CallPromise<SchemaOutput<O>, DeclaredErrors<E>>;
        serverStream: (
          ...args: InputArguments<SchemaInput<I>>
        ) => AsyncIterableIterator<SchemaOutput<O>>;
        clientStream: (
          items: Items<SchemaInput<I>>,
          options?: CallOptions,
        ) => CallPromise<SchemaOutput<O>, DeclaredErrors<E>>;
        bidiStream: (
          items: Items<SchemaInput<I>>,
          options?: CallOptions,
        ) => AsyncIterableIterator<SchemaOutput<O>>;
      }[K]
    : never;

/** A service, with a function for each method of its contract. */
export type ContractClient<T extends Contract> = {
  readonly [K in keyof T['procedures']]: ClientMethod<T['procedures'][K]>;
};

/** The options of a contract's client. */
export interface ConnectOptions {
  /** The service's id. Default: the contract's name. */
  service?: string | undefined;
}

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

/** Validates an answer, or each of its items. */
function checkAnswer(
  schema: StandardSchema,
  answer: unknown,
  service: string,
  method: string,
): unknown {
  const check = async (value: unknown): Promise<unknown> => {
    try {
      return await validateOutput(schema, value, `the result of ${method}`);
    } catch (error) {
      if (!(error instanceof OutputError)) throw error;
      const data = { issues: error.issues };
      throw ofCall(
        new MeshError('INTERNAL', error.message, { reason: 'VALIDATION', service, method, data }),
      );
    }
  };
  return answer instanceof Promise
    ? (async () => check(await answer))()
    : checkItems(answer as AsyncIterable<unknown>, check);
}

async function* checkItems(
  items: AsyncIterable<unknown>,
  check: (item: unknown) => Promise<unknown>,
): AsyncIterableIterator<unknown> {
  for await (const item of items) yield await check(item);
}

/** @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT` */
export function serviceOf(contract: Contract, options: ConnectOptions | undefined): string {
  if (options !== undefined) checkKeys('options', options, ['service']);
  return options?.service ?? contract.name;
}

/** Creates a function for each method of a contract. */
export function contractClient<T extends Contract>(contract: T, link: Link): ContractClient<T> {
  const client: Record<string, unknown> = Object.create(null);
  for (const [name, procedure] of Object.entries<Procedure>(contract.procedures)) {
    const method = `${contract.name}.${name}`;
    const send = SEND[procedure.kind];
    client[name] = (input: unknown, options?: CallOptions): unknown => {
      const idempotent = procedure.idempotent === true && options?.idempotent === undefined;
      const sent = send(link, method, input, idempotent ? { ...options, idempotent } : options);
      const { checkOutput, output } = procedure;
      const answer =
        checkOutput === true && output !== undefined
          ? checkAnswer(output, sent, link.service, method)
          : sent;
      if (procedure.errors !== undefined && answer instanceof Promise) {
        rememberErrors(answer, procedure.errors);
      }
      return answer;
    };
  }
  return Object.freeze(client) as ContractClient<T>;
}
