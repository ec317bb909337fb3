// The spans of calls and requests in the real SDK: names, attributes, parents, status.
import {
  context,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import { B3InjectEncoding, B3Propagator } from '@opentelemetry/propagator-b3';
import { AlwaysOffSampler } from '@opentelemetry/sdk-trace-node';
import { describe, expect, it } from 'vitest';
import { MeshError, type Context } from '../../js/index.js';
import { pair, services } from '../support/kit.js';
import { errorOf, until } from '../support/promises.js';
import { parentOf, telemetry } from '../support/telemetry.js';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const REMOTE = '00f067aa0ba902b7';
const TRACEPARENT = `00-${TRACE}-${REMOTE}-01`;

/** The tracer of the application. */
const tracer = () => trace.getTracer('test');

/** Runs a function in a span of the application. */
function within<T>(run: () => Promise<T>): Promise<T> {
  return tracer().startActiveSpan('work', async (span) => {
    try {
      return await run();
    } finally {
      span.end();
    }
  });
}

describe('a call', () => {
  it('is one trace: application, caller, service, and the code of the handler', async () => {
    const sdk = telemetry();
    const { client } = await pair((mesh) => {
      mesh.handle('echo', (input) =>
        tracer().startActiveSpan('query', (span) => (span.end(), input)),
      );
    });
    await within(() => client.call('echo', 1));
    const [work, call, request, query] = await Promise.all([
      sdk.span('internal', 'work'),
      sdk.span('client'),
      sdk.span('server'),
      sdk.span('internal', 'query'),
    ]);
    expect(new Set(sdk.spans().map((span) => span.spanContext().traceId)).size).toBe(1);
    expect(parentOf(work)).toBeUndefined();
    expect(parentOf(call)).toBe(work.spanContext().spanId);
    expect(parentOf(request)).toBe(call.spanContext().spanId);
    expect(request.parentSpanContext?.isRemote).toBe(true);
    expect(parentOf(query)).toBe(request.spanContext().spanId);
    expect(sdk.spans()).toHaveLength(4);
  });

  it('has the names and attributes of the conventions, and no payload', async () => {
    const sdk = telemetry();
    const { client } = await pair((mesh) => mesh.handle('orders.get', (input) => input));
    await client.call('orders.get', { secret: 's3cret' }, { metadata: { tenant: 's3cret' } });
    const call = await sdk.span('client');
    const request = await sdk.span('server');
    for (const span of [call, request]) {
      expect(span.name).toBe('server/orders.get');
      expect(span.status).toEqual({ code: SpanStatusCode.UNSET });
      expect(span.instrumentationScope.name).toBe('@lemur-bookstores/secure-stack-mesh');
    }
    expect(call.kind).toBe(SpanKind.CLIENT);
    expect(call.attributes).toEqual({
      'rpc.system.name': 'securestack',
      'rpc.method': 'server/orders.get',
      'rpc.status_code': 'OK',
      'server.address': '127.0.0.1',
      'server.port': 1,
      'securestack.peer.service': 'server',
    });
    expect(request.kind).toBe(SpanKind.SERVER);
    expect(request.attributes).toMatchObject({
      'rpc.system.name': 'securestack',
      'rpc.method': 'server/orders.get',
      'rpc.status_code': 'OK',
      'securestack.peer.service': 'caller',
      'securestack.peer.trust': 'embedded',
    });
    const texts = sdk.spans().map((span) => JSON.stringify([span.attributes, span.events]));
    expect(texts.join()).not.toContain('s3cret');
  });

  it('through three services is one trace, also for calls without an active span', async () => {
    const sdk = telemetry();
    const kit = await services({
      c: { last: (_, ctx: Context) => ctx.traceparent },
      b: { next: (_, ctx: Context) => ctx.call('c', 'last') },
      // Code outside of the async context of its request still has the request.
      a: { first: (_, ctx: Context) => context.with(ROOT_CONTEXT, () => ctx.call('b', 'next')) },
    });
    await kit.connect('a').call('first');
    const order = ['a/first', 'b/next', 'c/last'];
    let above: string | undefined;
    for (const name of order) {
      const call = await sdk.span('client', name);
      const request = await sdk.span('server', name);
      expect(parentOf(call)).toBe(above);
      expect(parentOf(request)).toBe(call.spanContext().spanId);
      above = request.spanContext().spanId;
    }
    expect(new Set(sdk.spans().map((span) => span.spanContext().traceId)).size).toBe(1);
  });

  it('runs middleware on both sides within the span', async () => {
    const sdk = telemetry();
    const seen: (string | undefined)[] = [];
    const now = (): number => seen.push(trace.getActiveSpan()?.spanContext().spanId);
    const { mesh, client } = await pair((server) => {
      server.use((_, next) => (now(), next()));
      server.handle('echo', (input) => input);
    });
    let sent: string | undefined;
    mesh.useClient((call, next) => {
      now();
      sent = call.options.metadata['traceparent'];
      return next();
    });
    await client.call('echo');
    const call = (await sdk.span('client')).spanContext();
    expect(seen).toEqual([call.spanId, (await sdk.span('server')).spanContext().spanId]);
    expect(sent).toBe(`00-${call.traceId}-${call.spanId}-01`);
    expect(trace.getActiveSpan()).toBeUndefined();
  });

  it('passes baggage on, within the limit of the metadata', async () => {
    telemetry();
    const { client } = await pair((mesh) =>
      mesh.handle('look', (_, ctx) => [
        ctx.metadata,
        propagation.getActiveBaggage()?.getEntry('tenant')?.value,
      ]),
    );
    const baggage = (value: string) =>
      propagation.setBaggage(context.active(), propagation.createBaggage({ tenant: { value } }));
    const look = (value: string, metadata: Record<string, string>) =>
      context.with(baggage(value), () => client.call<unknown, unknown[]>('look', 1, { metadata }));
    const [metadata, tenant] = await look('t1', {});
    expect(metadata).toMatchObject({ baggage: 'tenant=t1' });
    expect(tenant).toBe('t1');

    // The application's own metadata has precedence; baggage goes first, the trace last.
    const large = await look('t'.repeat(4000), { note: 'x'.repeat(5000) });
    expect(Object.keys(large[0] as object).toSorted()).toEqual(['note', 'traceparent']);
    const full = await look('t', { note: 'x'.repeat(7985) });
    expect(Object.keys(full[0] as object)).toEqual(['note']);
    const quotes = await look('"'.repeat(2000), { note: '"'.repeat(500) });
    expect(Object.keys(quotes[0] as object)).toContain('note');
  });
});

describe('the parent of a call', () => {
  it('is a trace that its metadata names', async () => {
    const sdk = telemetry();
    const { client } = await pair((mesh) => mesh.handle('echo', (input) => input));
    await within(() => client.call('echo', 1, { metadata: { traceparent: TRACEPARENT } }));
    const call = await sdk.span('client');
    expect(call.spanContext().traceId).toBe(TRACE);
    expect(parentOf(call)).toBe(REMOTE);
    expect(parentOf(await sdk.span('server'))).toBe(call.spanContext().spanId);
  });

  it('is the active span where a handler passes all metadata on', async () => {
    const sdk = telemetry();
    const kit = await services({
      inner: { echo: (input) => input },
      outer: {
        echo: (input, ctx: Context) =>
          ctx.call('inner', 'echo', input, { metadata: { ...ctx.metadata } }),
      },
    });
    await kit.connect('outer').call('echo');
    const outer = await sdk.span('server', 'outer/echo');
    expect(parentOf(await sdk.span('client', 'inner/echo'))).toBe(outer.spanContext().spanId);
  });

  it('is the trace of a scope, where no span is active', async () => {
    const sdk = telemetry();
    const { mesh, client } = await pair((server) => server.handle('echo', (input) => input));
    await mesh.scope({ traceparent: TRACEPARENT }, () => client.call('echo'));
    expect(parentOf(await sdk.span('client'))).toBe(REMOTE);
  });

  it('is none for a detached call, which links to the active span instead', async () => {
    const sdk = telemetry();
    const { client } = await pair((mesh) => mesh.handle('echo', (input) => input));
    await within(() => client.call('echo', 1, { detached: true }));
    const call = await sdk.span('client');
    const work = await sdk.span('internal', 'work');
    expect(parentOf(call)).toBeUndefined();
    expect(call.spanContext().traceId).not.toBe(work.spanContext().traceId);
    expect(call.links.map((link) => link.context.spanId)).toEqual([work.spanContext().spanId]);
  });

  it.each([
    'zz',
    '00-00000000000000000000000000000000-00f067aa0ba902b7-01',
    `00-${TRACE}-0000000000000000-01`,
    `ff-${TRACE}-${REMOTE}-01`,
    `00-${TRACE}-${REMOTE}-01-more`,
    '0'.repeat(7000),
    '\u0000\n"}',
  ])('is none if a hostile peer sends %j', async (traceparent) => {
    const sdk = telemetry();
    const { mesh, client } = await pair((server) => server.handle('echo', (input) => input));
    // After the span, as a peer without this package would.
    mesh.useClient((call, next) => {
      call.options.metadata['traceparent'] = traceparent;
      call.options.metadata['tracestate'] = '='.repeat(100);
      call.options.metadata['baggage'] = '%zz=;,,=';
      return next();
    });
    expect(await client.call('echo', 7)).toBe(7);
    const request = await sdk.span('server');
    expect(request.parentSpanContext).toBeUndefined();
    expect(request.spanContext().traceId).not.toBe(TRACE);
  });
});

describe('a retry', () => {
  it('has the number of the attempt on the side of the service', async () => {
    const sdk = telemetry();
    let tries = 0;
    const { client } = await pair(
      (mesh) =>
        mesh.handle('flaky', () => {
          tries += 1;
          if (tries < 3) throw new MeshError('UNAVAILABLE', 'again', { retryable: true });
          return tries;
        }),
      {},
      { resilience: { retry: { maxAttempts: 3, initialDelay: 1 } } },
    );
    expect(await client.call('flaky', 1, { idempotent: true })).toBe(3);
    await until(() => sdk.spans().length === 4);
    const requests = sdk.spans().filter((span) => span.kind === SpanKind.SERVER);
    expect(requests.map((span) => span.attributes['securestack.attempt'])).toEqual([
      undefined,
      2,
      3,
    ]);
    const call = await sdk.span('client');
    // One span for the call, with all attempts below it.
    expect(new Set(requests.map(parentOf))).toEqual(new Set([call.spanContext().spanId]));
    expect(call.status.code).toBe(SpanStatusCode.UNSET);
  });

  it('that fails has the number of attempts on the side of the caller', async () => {
    const sdk = telemetry();
    const { client } = await pair(
      (mesh) =>
        mesh.handle('fail', () => {
          throw new MeshError('UNAVAILABLE', 'again', { retryable: true });
        }),
      {},
      { resilience: { retry: { maxAttempts: 2, initialDelay: 1 } } },
    );
    await errorOf(client.call('fail', 1, { idempotent: true }));
    expect((await sdk.span('client')).attributes['securestack.attempts']).toBe(2);
  });
});

describe('a trace that is sampled out', () => {
  it('is exported by nobody, and its decision travels with the calls', async () => {
    const sdk = telemetry({ sampler: new AlwaysOffSampler() });
    const kit = await services({
      b: { look: (_, ctx: Context) => ctx.traceparent },
      a: { look: (_, ctx: Context) => ctx.call('b', 'look') },
    });
    const seen = await kit.connect('a').call('look');
    expect(seen).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    expect(sdk.spans()).toEqual([]);
  });
});

describe('tracing that is disabled', () => {
  it('makes no span, and passes the trace of a request on', async () => {
    const sdk = telemetry();
    const kit = await services(
      {
        b: { look: (_, ctx: Context) => ctx.traceparent },
        a: { look: (_, ctx: Context) => ctx.call('b', 'look') },
      },
      { tracing: { enabled: false } },
    );
    const metadata = { traceparent: TRACEPARENT };
    const seen = await kit.connect('a').call('look', 1, { metadata });
    expect(seen).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`));
    expect(sdk.spans()).toEqual([]);
  });
});

describe('an SDK that is registered after the mesh is made', () => {
  it('gets the spans from then on', async () => {
    const { client } = await pair((mesh) => mesh.handle('echo', (input) => input));
    await client.call('echo');
    const sdk = telemetry();
    await client.call('echo');
    await until(() => sdk.spans().length === 2);
  });
});

describe('the propagator', () => {
  it.each([
    [B3InjectEncoding.SINGLE_HEADER, ['b3']],
    [B3InjectEncoding.MULTI_HEADER, ['x-b3-sampled', 'x-b3-spanid', 'x-b3-traceid']],
  ])('of the application decides what travels: B3, %s', async (injectEncoding, names) => {
    const sdk = telemetry({ propagator: new B3Propagator({ injectEncoding }) });
    const { client } = await pair((mesh) =>
      mesh.handle('look', (_, ctx) => Object.keys(ctx.metadata).toSorted()),
    );
    expect(await client.call('look')).toEqual(names);
    const call = await sdk.span('client');
    expect(parentOf(await sdk.span('server'))).toBe(call.spanContext().spanId);
  });

  it('may write the baggage first; it is still left out first', async () => {
    const large = 'x'.repeat(4000);
    const propagator = {
      inject: (_: unknown, carrier: unknown, setter: { set: Function }) => {
        setter.set(carrier, 'baggage', large);
        setter.set(carrier, 'tracestate', large);
        setter.set(carrier, 'traceparent', TRACEPARENT);
      },
      extract: <T>(given: T): T => given,
      fields: () => ['traceparent', 'tracestate', 'baggage'],
    };
    telemetry({ propagator: propagator as never });
    const { client } = await pair((mesh) =>
      mesh.handle('look', (_, ctx) => Object.keys(ctx.metadata)),
    );
    expect(await client.call('look')).toEqual(['traceparent', 'tracestate']);
  });

  it('may have names and values that metadata cannot carry', async () => {
    const propagator = {
      inject: (_: unknown, carrier: unknown, setter: { set: Function }) => {
        setter.set(carrier, 'a name', 'x');
        setter.set(carrier, 'number', 7);
        setter.set(carrier, 'Good', 'x');
      },
      extract: <T>(given: T): T => given,
      fields: () => ['a name', 'number', 'good'],
    };
    telemetry({ propagator: propagator as never });
    const { client } = await pair((mesh) => mesh.handle('look', (_, ctx) => ctx.metadata));
    expect(await client.call('look')).toEqual({ good: 'x' });
  });
});
