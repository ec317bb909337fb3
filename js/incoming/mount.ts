// Routers of SecureStack's core. They are recognised structurally, so that this package does not depend on
// that one.

import { checkKeys, invalidArgument, show } from '../base/arguments.js';
import type { CallKind } from '../rpc/call-types.js';
import type { Handler, HandlerOptions, HandlerPolicy, Middleware } from '../rpc/handler-types.js';
import type { StandardSchema } from '../rpc/schema.js';
import { makeRoute, POLICY_KEYS, type Route } from './route.js';

/** A router of `@lemur-bookstores/secure-stack-core`, such as the result of `router().query(…).mutation(…)`. */
export interface RouterLike {
  /** The procedures by their names. */
  getRoutes(): ReadonlyMap<string, RouteLike>;
  /** The middleware around the procedures. */
  getMiddlewares?(): readonly unknown[];
}

/** A procedure of a {@link RouterLike}. */
export interface RouteLike {
  /** `query` and `mutation` are unary calls, `subscription` is a server stream. */
  readonly type: string;
  /** The schemas and the handler, which receives `{ input, ctx }`. */
  readonly config: {
    /** The schema of its inputs. */
    readonly input?: unknown;
    /** The schema of its results. */
    readonly output?: unknown;
    /** The handler. */
    readonly handler: (call: any) => unknown;
  };
}

/** Routers by name; the names become the first parts of the methods' names. */
export interface RouterTree {
  readonly [name: string]: RouterLike | RouterTree;
}

const KINDS: Readonly<Record<string, CallKind>> = {
  query: 'unary',
  mutation: 'unary',
  subscription: 'serverStream',
};

// No tree of names is this deep, so this is a cycle.
const MAX_DEPTH = 16;

/**
 * Creates the routes of a router, or of a tree of routers.
 *
 * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, naming the router or the procedure
 */
export function mountRoutes(
  prefix: string,
  router: RouterLike | RouterTree,
  policy: HandlerPolicy = {},
): Route[] {
  checkKeys('policy', policy, POLICY_KEYS);
  return collect(prefix, router, policy, 0);
}

function collect(prefix: string, router: unknown, policy: HandlerPolicy, depth: number): Route[] {
  const name = prefix === '' ? 'the router' : prefix;
  if (typeof router !== 'object' || router === null) {
    throw invalidArgument(`${name} must be a router, or an object of routers; got ${show(router)}`);
  }
  if (depth > MAX_DEPTH) throw invalidArgument(`${name} is nested too deeply`);
  if (isRouter(router)) return routesOf(prefix, router, policy);
  return Object.entries(router).flatMap(([part, inner]) =>
    collect(join(prefix, part), inner, policy, depth + 1),
  );
}

function routesOf(prefix: string, router: RouterLike, policy: HandlerPolicy): Route[] {
  const middleware = (router.getMiddlewares?.() ?? []).map(adaptMiddleware);
  return Array.from(router.getRoutes(), ([name, { type, config }]) => {
    const method = join(prefix, name);
    const kind = KINDS[type];
    if (kind === undefined) {
      throw invalidArgument(
        `${method} must be a query, a mutation or a subscription, got ${show(type)}`,
      );
    }
    const { handler } = config;
    if (typeof handler !== 'function') {
      throw invalidArgument(`${method} must have a handler, got ${typeof handler}`);
    }
    const options: HandlerOptions = {
      ...policy,
      kind,
      idempotent: type === 'query',
      use: [...(policy.use ?? []), ...middleware],
    };
    if (config.input !== undefined) options.input = config.input as StandardSchema;
    if (config.output !== undefined) options.output = config.output as StandardSchema;
    const run: Handler = (input, ctx) => handler.call(config, { input, ctx });
    return makeRoute(method, options, run);
  });
}

/** Adapts a middleware of that package. Its `next()` resolves to undefined, and its result is ignored. */
function adaptMiddleware(middleware: unknown): Middleware {
  if (typeof middleware !== 'function') {
    throw invalidArgument(`a router's middleware must be a function, got ${typeof middleware}`);
  }
  return async (ctx, next) => {
    await middleware(ctx, async () => void (await next()));
  };
}

function isRouter(value: object): value is RouterLike {
  return typeof (value as Partial<RouterLike>).getRoutes === 'function';
}

function join(prefix: string, name: string): string {
  return prefix === '' ? name : `${prefix}.${name}`;
}
