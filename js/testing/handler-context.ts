// A context for a test that calls a handler as a plain function.

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

/** The answers of other services, by their ids and methods, as functions of the input. */
export type ServiceStubs = Readonly<
  Record<string, Readonly<Record<string, (input: any, options: CallOptions) => unknown>>>
>;

/** The facts of the request. Every option has a default. */
export interface HandlerContextOptions<TErrors extends ErrorMap = {}> {
  /** The method that was called. Default: `'test'`. */
  method?: string | undefined;
  /** The kind of call. Default: `'unary'`. */
  kind?: CallKind | undefined;
  /** The caller. Default: the service `'test-caller'`, trusted by a shared secret, without claims. */
  caller?: Partial<Caller> | undefined;
  /** The number of the attempt, from 1. Default: 1. */
  attempt?: number | undefined;
  /** The time until the deadline, in ms, at which `ctx.signal` is aborted. Default: no deadline. */
  timeoutMs?: number | undefined;
  /** The caller's metadata. Default: none. */
  metadata?: Record<string, string> | undefined;
  /** A signal that aborts `ctx.signal`, as if the caller cancelled. */
  signal?: AbortSignal | undefined;
  /** The errors that the method declares, for `ctx.errors`. Default: none. */
  errors?: TErrors | undefined;
  /**
   * The services for `ctx.call` and `ctx.connect`. A method that answers with items returns an iterable. A
   * call of any other service or method fails, as in a mesh. Default: none.
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
 * Creates a real context without a mesh, to call a handler as a plain function.
 *
 * @example
 * ```js
 * const ctx = createHandlerContext({ caller: { serviceId: 'gateway' }, timeoutMs: 500 });
 * assert.deepEqual(await getOrder({ id: 7 }, ctx), { id: 7 });
 * ```
 * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, naming the fault
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

/** The host of the context, in place of a mesh. */
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

/** The link to a service that consists of stub functions. */
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
