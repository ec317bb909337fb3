// The spans and durations of a mesh, by OpenTelemetry.

import type { Attributes, Context, Link, Span, SpanOptions } from '@opentelemetry/api';
import { invalidOption, show } from '../base/arguments.js';
import type { Metadata } from '../rpc/metadata.js';
import type { CallFacts, CallSpan, RequestFacts, RequestSpan, Spans } from '../rpc/spans.js';
import { openTelemetry, type Api } from './api.js';
import { OpenCall } from './call-span.js';
import { extract, hasTrace, readContext } from './carrier.js';
import {
  ATTEMPT,
  CALL_KIND,
  cut,
  OTHER,
  PEER_SERVICE,
  PEER_TRUST,
  RPC_METHOD,
  RPC_METHOD_ORIGINAL,
  RPC_SYSTEM_NAME,
  SERVER_ADDRESS,
  SERVER_PORT,
  SYSTEM,
} from './conventions.js';
import { Providers } from './providers.js';
import { OpenRequest } from './request-span.js';

/** The limit of the names for which attributes are kept: an application may invent any number. */
const MAX_METHODS = 1000;

/** An address, as attributes name it. */
interface Address {
  readonly host: string;
  readonly port: number;
}

/** An instance of another service. */
interface Instance {
  readonly id: string;
  readonly host?: string | undefined;
  readonly port?: number | undefined;
}

/** The part of a mesh that its spans name. */
interface Described {
  readonly serviceId: string;
  /** The instances of the other services. */
  readonly services: readonly Instance[];
  /** The address on which this service listens, once it does. */
  address(): Address | null;
}

/** Creates the spans of a mesh. */
export class Tracing implements Spans {
  readonly #api: Api;
  readonly #providers: Providers;
  readonly #mesh: Described;
  readonly #addresses: ReadonlyMap<string, Attributes>;
  #own: Attributes | undefined;
  // Apart, since a service may call itself.
  readonly #calls = new Map<string, Attributes>();
  readonly #requests = new Map<string, Attributes>();

  private constructor(api: Api, mesh: Described) {
    this.#api = api;
    this.#providers = new Providers(api);
    this.#mesh = mesh;
    this.#addresses = addresses(mesh);
  }

  /**
   * Returns the tracing of a mesh; `undefined` if it is disabled, if the core makes the spans, or if
   * `@opentelemetry/api` is not installed.
   *
   * @param inCore whether the core makes and exports the spans
   * @throws MeshError `INVALID_ARGUMENT`, reason `CONFIG`
   */
  static from(
    config: { readonly enabled?: boolean | undefined } | undefined,
    inCore: boolean,
    mesh: Described,
  ): Tracing | undefined {
    const enabled = config?.enabled;
    if (enabled !== undefined && typeof enabled !== 'boolean') {
      throw invalidOption(`tracing.enabled must be true or false, got ${show(enabled)}`);
    }
    if (enabled === false) return undefined;
    const api = openTelemetry();
    if (inCore) {
      // The trace of the SDK would end at each call, and that of the core would begin there.
      if (api !== undefined && new Providers(api).tracer() !== undefined) {
        throw invalidOption(
          'tracing.otlp (or SECURE_MESH_OTLP) is for programs without an SDK of OpenTelemetry, and one is ' +
            'registered: leave it out, and the SDK exports the spans of the mesh as well',
        );
      }
      return undefined;
    }
    if (api === undefined && enabled === true) {
      throw invalidOption(
        'tracing.enabled needs @opentelemetry/api: npm install @opentelemetry/api, or leave the option out',
      );
    }
    return api && new Tracing(api, mesh);
  }

  here(): object | undefined {
    return this.#active() ? this.#api.context.active() : undefined;
  }

  call(here: Context, facts: CallFacts): CallSpan {
    const { kind, service } = facts;
    // The check of the method follows.
    const called = typeof facts.method === 'string' ? facts.method : OTHER;
    const method = cut(`${service}/${called}`);
    const address = this.#addresses.get(service);
    const common = commonOf(this.#calls, method, address ?? { [SERVER_ADDRESS]: service });
    const { parent, links } = this.#parent(here, facts);
    const attributes: Attributes = { ...common, [PEER_SERVICE]: service };
    if (kind !== 'unary') attributes[CALL_KIND] = kind;
    const options = { kind: this.#api.SpanKind.CLIENT, attributes, links };
    const span = this.#start(method, parent, options);
    return new OpenCall(this.#api, span, parent, common, this.#providers.durations()?.client);
  }

  request(facts: RequestFacts): RequestSpan | undefined {
    if (!this.#active()) return undefined;
    const { kind, caller, attempt } = facts;
    const original = cut(`${this.#mesh.serviceId}/${facts.method}`);
    const common = commonOf(this.#requests, facts.known ? original : OTHER, this.#address());
    // The code that reads requests belongs to no trace.
    const parent = readContext(this.#api, facts.meta);
    const attributes: Attributes = { ...common };
    if (!facts.known) attributes[RPC_METHOD_ORIGINAL] = original;
    if (caller !== undefined) {
      attributes[PEER_SERVICE] = caller.serviceId;
      attributes[PEER_TRUST] = caller.trust;
    }
    if (attempt > 1) attributes[ATTEMPT] = attempt;
    if (kind !== 'unary') attributes[CALL_KIND] = kind;
    const options = { kind: this.#api.SpanKind.SERVER, attributes };
    const span = this.#start(facts.known ? original : SYSTEM, parent, options);
    return new OpenRequest(this.#api, span, parent, common, this.#providers.durations()?.server);
  }

  #active(): boolean {
    const providers = this.#providers;
    if (providers.none) return false;
    return providers.tracer() !== undefined || providers.durations() !== undefined;
  }

  #start(name: string, parent: Context, options: SpanOptions): Span {
    const { trace, INVALID_SPAN_CONTEXT } = this.#api;
    try {
      const span = this.#providers.tracer()?.startSpan(name, options, parent);
      if (span !== undefined) return span;
    } catch {
      // A call does not fail because a sampler or a processor does.
    }
    // Without a span, the existing trace continues.
    return trace.wrapSpanContext(trace.getSpanContext(parent) ?? INVALID_SPAN_CONTEXT);
  }

  /**
   * Returns the context that a call continues: that of its own metadata if it names another trace, else the
   * active span, else the span or the metadata of the request or scope that makes the call.
   */
  #parent(here: Context, facts: CallFacts): { parent: Context; links: Link[] } {
    const { trace } = this.#api;
    const { options, inherited } = facts;
    const active = trace.getSpanContext(here);
    if (options?.detached === true) {
      return { parent: trace.deleteSpan(here), links: active ? [{ context: active }] : [] };
    }
    const given = this.#continued(here, options?.metadata);
    if (given !== undefined && trace.getSpanContext(given)?.traceId !== active?.traceId) {
      return { parent: given, links: [] };
    }
    let parent: Context | undefined;
    if (active === undefined) {
      parent =
        inherited instanceof OpenRequest
          ? trace.setSpan(here, inherited.span)
          : this.#continued(here, inherited as Metadata | undefined);
    }
    return { parent: parent ?? here, links: [] };
  }

  /** The context of a trace that metadata names, if it does. */
  #continued(here: Context, metadata: Metadata | undefined): Context | undefined {
    // Invalid metadata is left to the check of the call.
    if (typeof metadata !== 'object' || metadata === null) return undefined;
    if (!hasTrace(this.#api, metadata)) return undefined;
    const { trace } = this.#api;
    const found = extract(this.#api, trace.deleteSpan(here), metadata);
    return trace.getSpanContext(found) === undefined ? undefined : found;
  }

  /** The attributes of the address on which this service listens. */
  #address(): Attributes {
    if (this.#own !== undefined) return this.#own;
    let address: Address | null = null;
    try {
      address = this.#mesh.address();
    } catch {
      // The mesh is about to close.
    }
    // A mesh in memory has no address.
    this.#own = address === null || isWildcard(address.host) ? {} : attributesOf(address);
    return this.#own;
  }
}

/** The attributes that a span and its duration metric share. */
function commonOf(kept: Map<string, Attributes>, method: string, address: Attributes): Attributes {
  const known = kept.get(method);
  if (known !== undefined) return known;
  const made = { [RPC_SYSTEM_NAME]: SYSTEM, [RPC_METHOD]: method, ...address };
  if (kept.size < MAX_METHODS) kept.set(method, made);
  return made;
}

/**
 * The addresses of services with one instance. The address of any other service is its id, by which
 * the mesh finds it.
 */
function addresses({ services }: Described): Map<string, Attributes> {
  const found = new Map<string, Attributes>();
  for (const { id, host, port } of services) {
    if (host === undefined || port === undefined) continue;
    found.set(id, found.has(id) ? { [SERVER_ADDRESS]: id } : attributesOf({ host, port }));
  }
  return found;
}

function attributesOf({ host, port }: Address): Attributes {
  return { [SERVER_ADDRESS]: host, [SERVER_PORT]: port };
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}
