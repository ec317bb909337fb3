// Routers of SecureStack's core, taken by their shape: this package does not
// need that one.

import { checkKeys, invalidArgument, show } from '../base/arguments.js';
import type { CallKind } from '../rpc/call-types.js';
import type { Handler, HandlerOptions, HandlerPolicy, Middleware } from '../rpc/handler-types.js';
import type { StandardSchema } from '../rpc/schema.js';
import { makeRoute, POLICY_KEYS, type Route } from './route.js';

/** A router of `@lemur-bookstores/secure-stack-core`, as `router().query(…).mutation(…)` makes it. */
export interface RouterLike {
  /** Its procedures, by their names. */
  getRoutes(): ReadonlyMap<string, RouteLike>;
  /** What it runs around them. */
  getMiddlewares?(): readonly unknown[];
}

/** A procedure of a {@link RouterLike}. */
export interface RouteLike {
  /** `query` and `mutation` are unary calls, `subscription` is a server stream. */
  readonly type: string;
  /** Its schemas and its handler, which gets `{ input, ctx }`. */
  readonly config: {
    /** The schema of its inputs. */
    readonly input?: unknown;
    /** The schema of its results. */
    readonly output?: unknown;
    /** What answers it. */
    readonly handler: (call: any) => unknown;
  };
}

/** Routers by their names, which become the first parts of their methods' names. */
export interface RouterTree {
  readonly [name: string]: RouterLike | RouterTree;
}

const KINDS: Readonly<Record<string, CallKind>> = {
  query: 'unary',
  mutation: 'unary',
  subscription: 'serverStream',
};

// Deeper than any tree of names is: a cycle.
const MAX_DEPTH = 16;

/**
 * The routes of a router, or of a tree of them.
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

/** There, `next()` resolves with nothing, and what a middleware returns means nothing. */
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
