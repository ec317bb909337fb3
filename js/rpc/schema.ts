// Standard Schema, version 1: how zod, valibot, arktype and others can be asked
// to check a value, whatever they are. https://standardschema.dev

import { invalidArgument } from '../base/arguments.js';
import { MeshError } from '../base/errors.js';

/** Anything that implements Standard Schema, version 1. */
export interface StandardSchema<TInput = unknown, TOutput = TInput> {
  /** What the standard asks for. */
  readonly '~standard': {
    /** The standard's version. */
    readonly version: 1;
    /** Who made the library. */
    readonly vendor: string;
    /** Checks a value. */
    readonly validate: (value: unknown) => SchemaResult<TOutput> | Promise<SchemaResult<TOutput>>;
    /** What it takes and makes, for the compiler only. */
    readonly types?:
      | {
          /** What it takes. */
          readonly input: TInput;
          /** What it makes. */
          readonly output: TOutput;
        }
      | undefined;
  };
}

/** What a schema says about a value. */
export type SchemaResult<TOutput> =
  | {
      /** The value as the schema makes it. */
      readonly value: TOutput;
      /** Nothing is wrong. */
      readonly issues?: undefined;
    }
  | {
      /** What is wrong with the value; at least one thing. */
      readonly issues: readonly SchemaIssue[];
    };

/** What is wrong with a value. */
export interface SchemaIssue {
  /** For people. */
  readonly message: string;
  /** Where: property names and indices, or objects that hold one. */
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

/** What a schema takes: what its caller writes. `unknown` without a schema. */
export type SchemaInput<T> = T extends StandardSchema
  ? NonNullable<T['~standard']['types']>['input']
  : unknown;

/** What a schema makes: what its handler reads. `unknown` without a schema. */
export type SchemaOutput<T> = T extends StandardSchema
  ? NonNullable<T['~standard']['types']>['output']
  : unknown;

/** An entry of `data.issues` of an error with the reason `VALIDATION`. */
export interface ValidationIssue {
  /** Where in the input, from the outside in; empty for the input itself. */
  path: (string | number)[];
  /** What is wrong, as the schema says it. */
  message: string;
}

// A caller chooses how wrong its input is; what it is told stays small.
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
  // Arktype's schemas are functions.
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

/** The value a schema makes of another, or what it finds wrong. */
export async function validate(
  schema: StandardSchema,
  value: unknown,
): Promise<{ value: unknown } | { issues: ValidationIssue[] }> {
  const result = await schema['~standard'].validate(value);
  // The standard says that issues mean failure, even when there are none of them.
  if (result.issues) return { issues: Array.from(result.issues).slice(0, MAX_ISSUES).map(toIssue) };
  return { value: result.value };
}

/**
 * What a schema makes of what a caller sent.
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

/** Says that a service's own answer does not fit its schema. It is no `MeshError`: its caller sees nothing of it. */
export class OutputError extends Error {
  /** @param issues what the schema found */
  constructor(
    what: string,
    readonly issues: ValidationIssue[],
  ) {
    super(`${what} is not valid${describe(issues)}`);
  }
}

/**
 * What a schema makes of an answer.
 *
 * @param what what is checked, for the message
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
  // A library's own kind of array may be more than one.
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

/** The first issue, as `: items[0].sku: Required`. */
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
