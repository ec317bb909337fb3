// A context for a handler that a test calls as the function it is.

import { checkKeys, invalidArgument, show } from '../base/arguments.js';
import { AbortCause } from '../base/boundary.js';
import { after, nowMs } from '../base/timers.js';
import type { Caller, CallKind, CallOptions, ErrorMap } from '../index.js';
import { Context, MeshError } from '../index.js';
import { LIMITS } from '../mesh/options.js';
import { checkTimeout } from '../rpc/call-options.js';
import { SecureMeshClient as Client, type Link } from '../rpc/client.js';
import type { ContextHost } from '../rpc/context.js';
import { contractClient, serviceOf } from '../rpc/contract-client.js';
import { isContract } from '../rpc/contract.js';
import { makeErrorFactories } from '../rpc/declared-errors.js';
import { encodeMetadata } from '../rpc/metadata.js';

/** What other services answer, by their ids and methods: functions of the input. */
export type ServiceStubs = Readonly<
  Record<string, Readonly<Record<string, (input: any, options: CallOptions) => unknown>>>
>;

/** What a handler is to know of the request. Whatever is left out has a default. */
export interface HandlerContextOptions<TErrors extends ErrorMap = {}> {
  /** The method that was called. Default: `'test'`. */
  method?: string | undefined;
  /** How it was called. Default: `'unary'`. */
  kind?: CallKind | undefined;
  /** Who calls. Default: the service `'test-caller'`, trusted by a shared secret, without claims. */
  caller?: Partial<Caller> | undefined;
  /** Which try it is, from 1. Default: 1. */
  attempt?: number | undefined;
  /** The time there is, in ms; when it is over `ctx.signal` is aborted. Default: none. */
  timeoutMs?: number | undefined;
  /** What the caller sent beside the input. Default: nothing. */
  metadata?: Record<string, string> | undefined;
  /** Aborts `ctx.signal`, as when the caller cancels. */
  signal?: AbortSignal | undefined;
  /** The errors the method declares, for `ctx.errors`. Default: none. */
  errors?: TErrors | undefined;
  /**
   * What `ctx.call` and `ctx.connect` find. A method that answers with items returns an iterable.
   * What is not here is not found, as in a mesh. Default: nothing.
   */
  services?: ServiceStubs | undefined;
}

const KEYS = [
  'method',
  'kind',
  'caller',
  'attempt',
  'timeoutMs',
  'metadata',
  'signal',
  'errors',
  'services',
] as const;

/**
 * A real context, without a mesh: to call a handler as the function it is.
 *
 * @example
 * ```js
 * const ctx = createHandlerContext({ caller: { serviceId: 'gateway' }, timeoutMs: 500 });
 * assert.deepEqual(await getOrder({ id: 7 }, ctx), { id: 7 });
 * ```
 * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, naming what is wrong
 */
export function createHandlerContext<const TErrors extends ErrorMap = {}>(
  options: HandlerContextOptions<TErrors> = {},
): Context<TErrors> {
  if (typeof options !== 'object' || options === null) {
    throw invalidArgument(`options must be an object, got ${show(options)}`);
  }
  checkKeys('options', options, KEYS);
  const timeoutMs = checkTimeout(options.timeoutMs);
  const caller: Caller = {
    serviceId: 'test-caller',
    sessionId: '00000000000000000000000000000000',
    trust: 'shared-secret',
    claims: {},
    ...options.caller,
  };
  const context: Context = new Context(hostOf(options.services ?? {}), {
    method: options.method ?? 'test',
    kind: options.kind ?? 'unary',
    caller,
    attempt: options.attempt ?? 1,
    id: 1,
    depth: 1,
    path: '',
    deadline: timeoutMs === 0 ? Infinity : nowMs() + timeoutMs,
    meta:
      options.metadata === undefined ? '' : encodeMetadata(options.metadata, 'options.metadata'),
    errors: makeErrorFactories('options.errors', options.errors ?? {}),
  });
  if (timeoutMs > 0) {
    const expire = (): void => Context.abort(context, AbortCause.Deadline);
    after(timeoutMs, expire).unref();
  }
  const { signal } = options;
  if (signal !== undefined) {
    const cancel = (): void => Context.abort(context, AbortCause.Cancelled);
    if (signal.aborted) cancel();
    else signal.addEventListener('abort', cancel, { once: true });
  }
  return context as unknown as Context<TErrors>;
}

/** What stands in for the mesh. */
function hostOf(services: ServiceStubs): ContextHost {
  return {
    callTimeoutMs: LIMITS.callTimeoutMs,
    maxMessageBytes: Infinity,
    serviceId: 'test',
    connect(context, target, options) {
      if (isContract(target)) {
        return contractClient(target, linkOf(services, serviceOf(target, options), context));
      }
      return Client.of(linkOf(services, target, context));
    },
  };
}

/** Calls of a service that is a few functions. */
function linkOf(services: ServiceStubs, service: string, context: Context): Link {
  const answer = async (
    kind: CallKind,
    method: string,
    input: unknown,
    options: CallOptions | undefined,
  ): Promise<unknown> => {
    const inherited = Context.inherit(context, options, kind);
    const methods = Object.hasOwn(services, service) ? services[service] : undefined;
    if (methods === undefined) {
      throw new MeshError('NOT_FOUND', `options.services has no ${service}`, {
        reason: 'UNKNOWN_SERVICE',
        service,
        method,
      });
    }
    const stub = Object.hasOwn(methods, method) ? methods[method] : undefined;
    if (stub === undefined) {
      throw new MeshError('UNIMPLEMENTED', `options.services.${service} has no ${method}`, {
        reason: 'METHOD_NOT_FOUND',
        service,
        method,
      });
    }
    return stub(input, inherited);
  };
  const items = async function* (
    kind: CallKind,
    method: string,
    input: unknown,
    options: CallOptions | undefined,
  ): AsyncIterableIterator<unknown> {
    yield* (await answer(kind, method, input, options)) as AsyncIterable<unknown>;
  };
  return {
    service,
    start: (method, input, options) => answer('unary', method, input, options),
    serverStream: (method, input, options) => items('serverStream', method, input, options),
    clientStream: (method, input, options) => answer('clientStream', method, input, options),
    bidiStream: (method, input, options) => items('bidiStream', method, input, options),
    ready: async () => {},
    close: async () => {},
  };
}
