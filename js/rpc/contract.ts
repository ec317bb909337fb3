// Contracts: the methods of a service, written once for both sides. They contain no code of the service, so
// that callers can import them.

import { checkKeys, invalidArgument, show } from '../base/arguments.js';
import type { CallKind } from './call-types.js';
import { makeErrorFactories, type DeclaredErrors, type ErrorMap } from './declared-errors.js';
import { isCallKind } from './kinds.js';
import type { StandardSchema } from './schema.js';
import { checkSchema } from './schema.js';

type OptionalSchema = StandardSchema | undefined;

/** The definition of a method of a contract. */
export interface ProcedureDefinition<
  TInput extends OptionalSchema = OptionalSchema,
  TOutput extends OptionalSchema = OptionalSchema,
  TErrors extends ErrorMap = ErrorMap,
> {
  /** A Standard Schema of the input, or of each item the client sends. */
  readonly input?: TInput;
  /** A Standard Schema of the result, or of each item the service sends. */
  readonly output?: TOutput;
  /** The declared errors by their names. */
  readonly errors?: TErrors;
  /** Whether the method is safe to run twice, so that its calls may be retried. Default: false. */
  readonly idempotent?: boolean | undefined;
  /**
   * Whether callers validate results against `output`, and receive the output of the schema. JSON has no
   * dates: with `z.coerce.date()` a caller then gets a `Date` instead of a string; with `z.date()` the call
   * fails. Default: false.
   */
  readonly checkOutput?: boolean | undefined;
}

/**
 * A method of a contract. {@link unary}, {@link serverStream}, {@link clientStream} and {@link bidiStream}
 * create it.
 */
export interface Procedure<
  TKind extends CallKind = CallKind,
  TInput extends OptionalSchema = OptionalSchema,
  TOutput extends OptionalSchema = OptionalSchema,
  TErrors extends ErrorMap = ErrorMap,
> extends ProcedureDefinition<TInput, TOutput, TErrors> {
  /** The kind of call. */
  readonly kind: TKind;
}

// This constraint is minimal: the compiler would infer a stricter constraint as the type of every omitted member.
/** The methods of a contract by their names. {@link unary} and its three siblings create them. */
export type Procedures = Readonly<
  Record<
    string,
    {
      /** The kind of call. */
      readonly kind: CallKind;
    }
  >
>;

/** The methods of a service. {@link defineContract} creates it. */
export interface Contract<TProcedures extends Procedures = Procedures> {
  /** The first part of the methods' names, and by default the id of the service. */
  readonly name: string;
  /** The methods. */
  readonly procedures: TProcedures;
}

/** The declared errors of a method, as its caller receives them. */
export type ErrorsOf<T> = T extends {
  /** The declared errors. */
  readonly errors?: infer E;
}
  ? NonNullable<E> extends ErrorMap
    ? DeclaredErrors<NonNullable<E>>
    : never
  : never;

type Make<K extends CallKind> = <
  const TInput extends OptionalSchema = undefined,
  const TOutput extends OptionalSchema = undefined,
  const TErrors extends ErrorMap = {},
>(
  definition?: ProcedureDefinition<TInput, TOutput, TErrors>,
) => Procedure<K, TInput, TOutput, TErrors>;

/**
 * A method that takes one input and answers with one result.
 *
 * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, naming the fault
 */
export const unary: Make<'unary'> = (definition) => makeProcedure('unary', definition);

/** A method that takes one input and answers with many items. Throws as {@link unary}. */
export const serverStream: Make<'serverStream'> = (definition) =>
  makeProcedure('serverStream', definition);

/** A method that takes many items and answers with one result. Throws as {@link unary}. */
export const clientStream: Make<'clientStream'> = (definition) =>
  makeProcedure('clientStream', definition);

/** A method that takes many items and answers with many. Throws as {@link unary}. */
export const bidiStream: Make<'bidiStream'> = (definition) =>
  makeProcedure('bidiStream', definition);

const DEFINITION_KEYS = ['input', 'output', 'errors', 'idempotent', 'checkOutput'] as const;

const CONTRACT_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
const METHOD_NAME = /^[A-Za-z][A-Za-z0-9_]*$/;

function makeProcedure<K extends CallKind, T extends ProcedureDefinition<any, any, any>>(
  kind: K,
  definition?: T,
): any {
  const { input, output, errors, idempotent, checkOutput } = definition ?? ({} as T);
  if (definition !== undefined) checkKeys(kind, definition, DEFINITION_KEYS);
  checkSchema(`${kind}.input`, input);
  checkSchema(`${kind}.output`, output);
  if (errors !== undefined) makeErrorFactories(`${kind}.errors`, errors);
  return Object.freeze({
    kind,
    input,
    output,
    errors,
    idempotent: idempotent === true,
    checkOutput: checkOutput === true,
  });
}

/**
 * Defines the methods of a service for both sides: {@link SecureMesh.implement} and {@link
 * SecureMesh.connect}. The methods are called `name.method`.
 *
 * @example
 * ```js
 * export const orders = defineContract('orders', {
 *   create: unary({ input: NewOrder, output: Order }),
 *   watch: serverStream({ input: Filter, output: OrderEvent }),
 * });
 * ```
 * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, naming the fault
 */
export function defineContract<const TProcedures extends Procedures>(
  name: string,
  procedures: TProcedures,
): Contract<TProcedures> {
  if (typeof name !== 'string' || !CONTRACT_NAME.test(name)) {
    throw invalidArgument(
      `the name of a contract is letters, digits, '.', '_', '-'; got ${show(name)}`,
    );
  }
  if (typeof procedures !== 'object' || procedures === null) {
    throw invalidArgument(`${name} must be an object of methods, got ${show(procedures)}`);
  }
  const own: Record<string, Procedure> = {};
  for (const [method, procedure] of Object.entries(procedures)) {
    // `await` would take a client with a method `then` for a promise. Every object has a `toString`, so that
    // a missing handler of this name would go unnoticed.
    if (!METHOD_NAME.test(method) || method === 'then' || method in Object.prototype) {
      throw invalidArgument(
        `${name}.${method}: a method's name is a letter, then letters, digits and '_', but not a name such as then or toString`,
      );
    }
    if (!isCallKind(procedure?.kind)) {
      throw invalidArgument(
        `${name}.${method} must be made by unary, serverStream, clientStream or bidiStream`,
      );
    }
    own[method] = procedure;
  }
  return Object.freeze({
    name,
    procedures: Object.freeze(own),
  }) as unknown as Contract<TProcedures>;
}

/** Whether a value is a contract, and not the id of a service. */
export function isContract(value: unknown): value is Contract {
  return typeof value === 'object' && value !== null && 'procedures' in value && 'name' in value;
}
