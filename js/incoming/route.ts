// A method that this process answers, with its options.

import { checkKeys, invalidArgument, show } from '../base/arguments.js';
import { CALL_KINDS, type CallKind } from '../base/boundary.js';
import { checkMethod, checkTimeout } from '../rpc/call-options.js';
import { makeErrorFactories, type ErrorFactories, type ErrorMap } from '../rpc/declared-errors.js';
import type { Handler, HandlerOptions, Middleware } from '../rpc/handler-types.js';
import { isCallKind, streamsOut } from '../rpc/kinds.js';
import { checkMiddleware } from '../rpc/middleware.js';
import { checkSchema, type StandardSchema } from '../rpc/schema.js';

/** A handler with its checked options. */
export interface Route {
  readonly method: string;
  readonly handler: Handler;
  /** The kind of call; undefined if the caller chooses it. */
  readonly kind: CallKind | undefined;
  /** Whether the handler is a generator function. */
  readonly generator: boolean;
  /** The time limit in milliseconds; 0 for the caller's deadline alone. */
  readonly timeoutMs: number;
  readonly allow: ReadonlySet<string> | undefined;
  readonly input: StandardSchema | undefined;
  readonly output: StandardSchema | undefined;
  readonly errors: ErrorMap | undefined;
  /** The value of `ctx.errors`. */
  readonly factories: ErrorFactories<ErrorMap>;
  readonly idempotent: boolean;
  /** The middleware of this handler alone. */
  readonly use: readonly Middleware[];
}

/** The names of the options of {@link HandlerPolicy}. */
export const POLICY_KEYS = ['timeoutMs', 'allow', 'use'] as const;
const OPTION_KEYS = ['kind', ...POLICY_KEYS, 'input', 'output', 'errors', 'idempotent'] as const;

/** The prefixes of the names of built-in methods. */
const RESERVED = ['securestack.', 'ca.'] as const;

const NO_ERRORS: ErrorFactories<ErrorMap> = Object.freeze({});

/**
 * Checks a handler and its options.
 *
 * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, naming the option
 */
export function makeRoute(method: string, options: HandlerOptions, handler: Handler): Route {
  checkMethod(method);
  if (typeof options !== 'object' || options === null) {
    // The usual cause is a name that its module does not export.
    throw invalidArgument(
      `the handler of ${method} must be a function, got ${show(options)}; check where it comes from`,
    );
  }
  checkKeys('options', options, OPTION_KEYS);
  if (typeof handler !== 'function') {
    throw invalidArgument(
      `the handler of ${method} must be a function, got ${show(handler)}; it comes after the options`,
    );
  }
  const generator = isGenerator(handler);
  const kind = checkKind(method, options.kind, generator);
  return {
    method,
    handler,
    kind,
    generator,
    timeoutMs: checkTimeout(options.timeoutMs),
    allow: checkAllow(options.allow),
    input: checkSchema('options.input', options.input),
    output: checkSchema('options.output', options.output),
    errors: options.errors,
    factories:
      options.errors === undefined
        ? NO_ERRORS
        : makeErrorFactories('options.errors', options.errors),
    idempotent: options.idempotent === true,
    use: checkUse(options.use),
  };
}

/** The error message for a call of the wrong kind; undefined if the kind is right. */
export function wrongKind(route: Route, kind: CallKind): string | undefined {
  const { method } = route;
  if (route.kind !== undefined) {
    return route.kind === kind
      ? undefined
      : `${method} is called with client.${CLIENT[route.kind]}()`;
  }
  if (route.generator && !streamsOut(kind)) {
    return `${method} answers with a stream: it is called with client.serverStream() or client.bidiStream()`;
  }
  return undefined;
}

const CLIENT: Record<CallKind, string> = {
  unary: 'call',
  serverStream: 'serverStream',
  clientStream: 'clientStream',
  bidiStream: 'bidiStream',
};

function isGenerator(handler: object): boolean {
  return /GeneratorFunction\]$/.test(Object.prototype.toString.call(handler));
}

function checkKind(method: string, kind: unknown, generator: boolean): CallKind | undefined {
  if (kind === undefined) return undefined;
  if (!isCallKind(kind)) {
    throw invalidArgument(
      `options.kind must be one of ${CALL_KINDS.join(', ')}; got ${String(kind)}`,
    );
  }
  if (generator && !streamsOut(kind)) {
    throw invalidArgument(
      `the handler of ${method} is a generator function, which cannot answer a ${kind} call`,
    );
  }
  return kind;
}

function checkUse(use: unknown): readonly Middleware[] {
  if (use === undefined) return [];
  if (!Array.isArray(use)) throw invalidArgument('options.use must be an array of middleware');
  use.forEach((one, index) => checkMiddleware(`options.use[${index}]`, one));
  return [...(use as Middleware[])];
}

/**
 * Refuses handlers of an application under the names of built-in methods, because policies rely on
 * the documented meaning of these names.
 *
 * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
 */
export function checkNotReserved(routes: readonly Route[]): void {
  for (const { method } of routes) {
    const reserved = RESERVED.find((beginning) => method.startsWith(beginning));
    if (reserved !== undefined) {
      throw invalidArgument(
        `${method} must not begin with '${reserved}', which is for built-in methods; choose another name`,
      );
    }
  }
}

function checkAllow(allow: unknown): ReadonlySet<string> | undefined {
  if (allow === undefined) return undefined;
  if (!Array.isArray(allow) || !allow.every((id) => typeof id === 'string')) {
    throw invalidArgument('options.allow must be an array of service ids');
  }
  return new Set(allow);
}
