// The built-in method `securestack.describe`: the methods of a service, for tools.

import { version } from '../base/version.js';
import type { CallKind } from '../rpc/call-types.js';
import type { Caller } from '../rpc/caller.js';
import type { Context } from '../rpc/context.js';
import type { StandardSchema } from '../rpc/schema.js';
import { makeRoute, type Route } from './route.js';

/** The name of the method. */
export const DESCRIBE = 'securestack.describe';

/** A schema, as far as it describes itself. */
export interface SchemaDescription {
  /** The library that made the schema. */
  vendor: string;
  /** The JSON Schema (2020-12); absent if the schema has none, or if it is too large. */
  schema?: Record<string, unknown>;
}

/** A method of a {@link ServiceDescription}. */
export interface MethodDescription {
  /** The name. */
  name: string;
  /** The kind of call; `null` if the handler answers several. */
  kind: CallKind | null;
  /** Whether the method is safe to run twice. */
  idempotent: boolean;
  /** The time limit of the handler in ms; absent if only the caller's deadline counts. */
  timeoutMs?: number;
  /** The schema of the input, or of each item. */
  input?: SchemaDescription;
  /** The schema of the result, or of each item. */
  output?: SchemaDescription;
  /** The declared errors by their names. */
  errors?: Record<
    string,
    {
      /** The gRPC code. */
      code: string;
      /** The schema of the error's data. */
      data?: SchemaDescription;
    }
  >;
}

/** The answer of `securestack.describe`. */
export interface ServiceDescription {
  /** The version of this format. */
  v: 1;
  /** The service id. */
  service: string;
  /** The version of the package that the service runs. */
  version: string;
  /** The limits of the service. */
  limits: {
    /** The largest payload in bytes. */
    maxMessageBytes: number;
    /** The time of a call without its own deadline, in ms. */
    callTimeoutMs: number;
  };
  /** The methods that the caller may call, by name. */
  methods: MethodDescription[];
  /** Whether methods or schemas are left out because there are too many. */
  truncated: boolean;
}

/** The parts of a mesh that the description needs. */
export interface Described {
  readonly service: string;
  readonly limits: ServiceDescription['limits'];
  /** The handlers of the application. */
  routes(): Iterable<Route>;
  /** The decision of the policy about the methods for a caller. */
  permitted(caller: Caller): (method: string) => boolean;
}

// A peer causes the answer, so its size and its cost are limited.
const MAX_METHODS = 1_000;
const MAX_SCHEMA = 16 * 1024;
const MAX_SCHEMAS = 192 * 1024;

/** Creates the built-in method. The core has already checked the caller against the option `observe`. */
export function describeRoute(mesh: Described): Route {
  const schemas = new Schemas();
  const handler = (_input: unknown, { caller }: Context): ServiceDescription =>
    describe(mesh, caller, schemas);
  return makeRoute(DESCRIBE, { kind: 'unary', idempotent: true }, handler);
}

function describe(mesh: Described, caller: Caller, schemas: Schemas): ServiceDescription {
  const { service, limits } = mesh;
  // A method that the caller may not call is left out, as if it did not exist.
  const permits = mesh.permitted(caller);
  const permitted = [...mesh.routes()].filter(
    ({ method, allow }) => allow?.has(caller.serviceId) !== false && permits(method),
  );
  const shown = permitted.toSorted((a, b) => (a.method < b.method ? -1 : 1)).slice(0, MAX_METHODS);
  const budget = { left: MAX_SCHEMAS, exceeded: false };
  const methods = shown.map((route) => describeMethod(route, schemas, budget));
  const truncated = shown.length < permitted.length || budget.exceeded;
  return { v: 1, service, version, limits, methods, truncated };
}

/** The bytes that schemas may still take. */
interface Budget {
  left: number;
  exceeded: boolean;
}

function describeMethod(route: Route, schemas: Schemas, budget: Budget): MethodDescription {
  const { method: name, generator, idempotent, timeoutMs, input, output, errors } = route;
  const described: MethodDescription = {
    name,
    // A generator function answers a server stream; a caller that streams as well names the kind.
    kind: route.kind ?? (generator ? 'serverStream' : null),
    idempotent,
  };
  if (timeoutMs > 0) described.timeoutMs = timeoutMs;
  if (input !== undefined) described.input = schemas.describe(input, 'input', budget);
  // The caller receives the output of the schema.
  if (output !== undefined) described.output = schemas.describe(output, 'output', budget);
  if (errors !== undefined) {
    described.errors = Object.fromEntries(
      Object.entries(errors).map(([reason, { code, data }]) => [
        reason,
        data === undefined ? { code } : { code, data: schemas.describe(data, 'output', budget) },
      ]),
    );
  }
  return described;
}

/** Schemas as JSON Schema. Each is converted once, because a peer decides how often they are read. */
class Schemas {
  readonly #texts = new Map<'input' | 'output', WeakMap<StandardSchema, string>>([
    ['input', new WeakMap()],
    ['output', new WeakMap()],
  ]);

  describe(schema: StandardSchema, side: 'input' | 'output', budget: Budget): SchemaDescription {
    const { vendor } = schema['~standard'];
    const texts = this.#texts.get(side)!;
    let text = texts.get(schema);
    if (text === undefined) texts.set(schema, (text = convert(schema, side)));
    if (text === '') return { vendor };
    if (text.length > MAX_SCHEMA || text.length > budget.left) {
      budget.exceeded = true;
      return { vendor };
    }
    budget.left -= text.length;
    return { vendor, schema: JSON.parse(text) as Record<string, unknown> };
  }
}

/** Standard JSON Schema: https://standardschema.dev/json-schema */
type Converts = Partial<
  Record<'input' | 'output', (options: { target: string }) => Record<string, unknown>>
>;

/** The JSON Schema of one side of a schema as text; empty if there is none. */
function convert(schema: StandardSchema, side: 'input' | 'output'): string {
  const standard = schema['~standard'] as { readonly jsonSchema?: Converts };
  try {
    const converted = standard.jsonSchema?.[side]?.({ target: 'draft-2020-12' });
    return typeof converted === 'object' && converted !== null ? JSON.stringify(converted) : '';
  } catch {
    // JSON Schema cannot express it.
    return '';
  }
}
