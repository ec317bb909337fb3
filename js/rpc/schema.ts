// Standard Schema, version 1: the common interface of zod, valibot, arktype and others.
// https://standardschema.dev

import { invalidArgument } from '../base/arguments.js';
import { MeshError } from '../base/errors.js';

/** Anything that implements Standard Schema, version 1. */
export interface StandardSchema<TInput = unknown, TOutput = TInput> {
  /** The property that the standard requires. */
  readonly '~standard': {
    /** The standard's version. */
    readonly version: 1;
    /** The name of the library. */
    readonly vendor: string;
    /** Checks a value. */
    readonly validate: (value: unknown) => SchemaResult<TOutput> | Promise<SchemaResult<TOutput>>;
    /** The types of input and output, for the compiler only. */
    readonly types?:
      | {
          /** The input type. */
          readonly input: TInput;
          /** The output type. */
          readonly output: TOutput;
        }
      | undefined;
  };
}

/** The result of a validation. */
export type SchemaResult<TOutput> =
  | {
      /** The output value. */
      readonly value: TOutput;
      /** Absent if the value is valid. */
      readonly issues?: undefined;
    }
  | {
      /** The faults of the value; at least one. */
      readonly issues: readonly SchemaIssue[];
    };

/** A fault of a value. */
export interface SchemaIssue {
  /** The message, for people. */
  readonly message: string;
  /** The path: property names and indices, or objects with one as `key`. */
  readonly path?:
    | readonly (
        | PropertyKey
        | {
            /** The property's name or the index. */
            readonly key: PropertyKey;
          }
      )[]
    | undefined;
}

/** The input type of a schema, for callers. `unknown` without a schema. */
export type SchemaInput<T> = T extends StandardSchema
  ? NonNullable<T['~standard']['types']>['input']
  : unknown;

/** The output type of a schema, for handlers. `unknown` without a schema. */
export type SchemaOutput<T> = T extends StandardSchema
  ? NonNullable<T['~standard']['types']>['output']
  : unknown;

/** An entry of `data.issues` of an error with the reason `VALIDATION`. */
export interface ValidationIssue {
  /** The path in the input, from the outside in; empty for the input itself. */
  path: (string | number)[];
  /** The message of the schema. */
  message: string;
}

// A caller controls the number of faults in its input, so the answer is bounded.
const MAX_ISSUES = 20;
const MAX_PATH = 16;
const MAX_TEXT = 200;

/**
 * Checks that a value is a schema.
 *
 * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, naming the option
 */
export function checkSchema(name: string, schema: unknown): StandardSchema | undefined {
  if (schema === undefined) return undefined;
  // The type may also be a function, as with arktype.
  const standard =
    (typeof schema === 'object' && schema !== null) || typeof schema === 'function'
      ? (schema as Partial<StandardSchema>)['~standard']
      : undefined;
  if (standard?.version !== 1 || typeof standard.validate !== 'function') {
    throw invalidArgument(
      `${name} must be a Standard Schema, such as one of zod 3.24, valibot 1 or arktype 2`,
    );
  }
  return schema as StandardSchema;
}

/** Validates a value: returns the output of the schema, or its issues. */
export async function validate(
  schema: StandardSchema,
  value: unknown,
): Promise<{ value: unknown } | { issues: ValidationIssue[] }> {
  const result = await schema['~standard'].validate(value);
  // According to the standard, the presence of `issues` means failure, even if the array is empty.
  if (result.issues) return { issues: Array.from(result.issues).slice(0, MAX_ISSUES).map(toIssue) };
  return { value: result.value };
}

/**
 * Validates a caller's input and returns the output of the schema.
 *
 * @throws MeshError `INVALID_ARGUMENT`, reason `VALIDATION`, with `data.issues`
 */
export async function validateInput(schema: StandardSchema, value: unknown): Promise<unknown> {
  const result = await validate(schema, value);
  if ('value' in result) return result.value;
  throw new MeshError('INVALID_ARGUMENT', `the input is not valid${describe(result.issues)}`, {
    reason: 'VALIDATION',
    data: { issues: result.issues },
  });
}

/**
 * Reports that a service's own answer does not match its schema. The class is not a `MeshError`, so the
 * caller does not see its message.
 */
export class OutputError extends Error {
  /** @param issues the issues of the schema */
  constructor(
    what: string,
    readonly issues: ValidationIssue[],
  ) {
    super(`${what} is not valid${describe(issues)}`);
  }
}

/**
 * Validates an answer and returns the output of the schema.
 *
 * @param what the checked value, for the message
 * @throws OutputError
 */
export async function validateOutput(
  schema: StandardSchema,
  value: unknown,
  what = 'the result',
): Promise<unknown> {
  const result = await validate(schema, value);
  if ('value' in result) return result.value;
  throw new OutputError(what, result.issues);
}

function toIssue(issue: SchemaIssue): ValidationIssue {
  // `Array.from` makes a plain array of a library's own kind of array.
  const path = Array.from(issue.path ?? [])
    .slice(0, MAX_PATH)
    .map((part) => {
      const key = typeof part === 'object' ? part.key : part;
      return typeof key === 'number' ? key : shorten(String(key));
    });
  return { path, message: shorten(String(issue.message)) };
}

function shorten(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}

/** Describes the first issue, as in `: items[0].sku: Required`. */
function describe(issues: readonly ValidationIssue[]): string {
  const [first] = issues;
  if (first === undefined) return '';
  const path = first.path
    .map((part, index) =>
      typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`,
    )
    .join('');
  return path === '' ? `: ${first.message}` : `: ${path}: ${first.message}`;
}
