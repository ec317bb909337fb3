// Spans of calls and requests that fail, and SDKs that fail.
import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import { MeshError } from '../../js/index.js';
import { pair } from '../support/kit.js';
import { errorOf, until } from '../support/promises.js';
import { telemetry } from '../support/telemetry.js';

const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

describe('a failure', () => {
  it('of a handler: an exception on its own side only', async () => {
    const sdk = telemetry();
    const { client } = await pair((mesh) =>
      mesh.handle('fail', () => {
        throw new TypeError('the password is hunter2');
      }),
    );
    const error = await errorOf(client.call('fail'));
    const call = await sdk.span('client');
    const request = await sdk.span('server');
    expect(request.status).toEqual({
      code: SpanStatusCode.ERROR,
      message: 'the password is hunter2',
    });
    expect(request.attributes).toMatchObject({
      'rpc.status_code': 'INTERNAL',
      'error.type': 'INTERNAL',
      'securestack.reason': 'HANDLER',
      'securestack.error_id': error.errorId,
    });
    expect(
      request.events.map(({ name, attributes }) => [name, attributes?.['exception.type']]),
    ).toEqual([['exception', 'TypeError']]);
    expect(call.status).toEqual({ code: SpanStatusCode.ERROR, message: 'internal error' });
    expect(call.attributes).toMatchObject({
      'rpc.status_code': 'INTERNAL',
      'error.type': 'INTERNAL',
      'securestack.reason': 'HANDLER',
      'securestack.error_id': error.errorId,
    });
    expect(JSON.stringify([call.attributes, call.events, call.status])).not.toContain('hunter2');
  });

  it.each([
    ['NOT_FOUND', false],
    ['INVALID_ARGUMENT', false],
    ['PERMISSION_DENIED', false],
    ['RESOURCE_EXHAUSTED', false],
    ['UNAVAILABLE', true],
    ['UNKNOWN', true],
    ['DATA_LOSS', true],
    ['UNIMPLEMENTED', true],
  ] as const)('with %s is an error of the caller; of the service: %s', async (code, fault) => {
    const sdk = telemetry();
    const { client } = await pair((mesh) =>
      mesh.handle('fail', () => {
        throw new MeshError(code, 'no');
      }),
    );
    await errorOf(client.call('fail'));
    const call = await sdk.span('client');
    const request = await sdk.span('server');
    expect(call.status.code).toBe(SpanStatusCode.ERROR);
    expect(call.attributes).toMatchObject({ 'rpc.status_code': code, 'error.type': code });
    expect(request.attributes['rpc.status_code']).toBe(code);
    expect(request.status.code).toBe(fault ? SpanStatusCode.ERROR : SpanStatusCode.UNSET);
    expect(request.attributes['error.type']).toBe(fault ? code : undefined);
    expect(request.events).toEqual([]);
  });

  it('of an unknown method has no name of its own', async () => {
    const sdk = telemetry();
    const { client } = await pair((mesh) => mesh.handle('echo', (input) => input));
    await errorOf(client.call('orders.nothing'));
    const request = await sdk.span('server');
    expect(request.name).toBe('securestack');
    expect(request.attributes).toMatchObject({
      'rpc.method': '_OTHER',
      'rpc.method_original': 'server/orders.nothing',
      'rpc.status_code': 'UNIMPLEMENTED',
      'securestack.reason': 'METHOD_NOT_FOUND',
    });
  });

  it('before anything is sent still ends the span', async () => {
    const sdk = telemetry();
    const { client } = await pair((mesh) => mesh.handle('echo', (input) => input));
    await errorOf(client.call('echo', 1n));
    await errorOf(client.call(Symbol('method') as unknown as string));
    await errorOf(client.call('echo', 1, { metadata: 'no' as never }));
    expect(sdk.spans().map((span) => span.attributes['error.type'])).toEqual([
      'INVALID_ARGUMENT',
      'INVALID_ARGUMENT',
      'INVALID_ARGUMENT',
    ]);
  });

  it('has the line of the caller in its stack', async () => {
    telemetry();
    const { client } = await pair((mesh) => mesh.handle('echo', (input) => input));
    async function theCaller(): Promise<void> {
      await client.call('missing');
    }
    const error = await errorOf(theCaller());
    expect(error.stack).toContain('theCaller');
    expect(error.stack?.split('\n').find((line: string) => line.includes('    at '))).toContain(
      'theCaller',
    );
  });

  it('by the deadline and by a cancellation ends both spans', async () => {
    const sdk = telemetry();
    const { client } = await pair((mesh) => mesh.handle('wait', () => new Promise(() => {})));
    await errorOf(client.call('wait', 1, { timeoutMs: 50 }));
    await until(() => sdk.spans().length === 2);
    const controller = new AbortController();
    const cancelled = errorOf(client.call('wait', 1, { signal: controller.signal }));
    setTimeout(() => controller.abort(), 20);
    await cancelled;
    await until(() => sdk.spans().length === 4);
    const of = (kind: SpanKind) =>
      sdk
        .spans()
        .filter((span) => span.kind === kind)
        .map((span) => [span.attributes['rpc.status_code'], span.status.code]);
    expect(of(SpanKind.CLIENT)).toEqual([
      ['DEADLINE_EXCEEDED', SpanStatusCode.ERROR],
      ['CANCELLED', SpanStatusCode.ERROR],
    ]);
    expect(of(SpanKind.SERVER)).toEqual([
      ['DEADLINE_EXCEEDED', SpanStatusCode.ERROR],
      ['CANCELLED', SpanStatusCode.UNSET],
    ]);
  });

  describe('of the SDK does not fail a call', () => {
    const broken = (): never => {
      throw new Error('broken');
    };
    const fields = () => ['traceparent'];
    const none = async (): Promise<void> => {};
    it.each([
      ['a sampler', { sampler: { shouldSample: broken, toString: () => 'broken' } }],
      ['a propagator that injects', { propagator: { inject: broken, extract: same, fields } }],
      ['a propagator that extracts', { propagator: { inject: none, extract: broken, fields } }],
      [
        'a propagator without names',
        { propagator: { inject: none, extract: same, fields: broken } },
      ],
      ['a processor at the start', { processor: processor(broken, none) }],
      ['a processor at the end', { processor: processor(none, broken) }],
    ])('%s', async (_, options) => {
      telemetry(options as never);
      const { client } = await pair((mesh) => mesh.handle('echo', (input) => input));
      expect(await client.call('echo', 7, { metadata: { traceparent: TRACEPARENT } })).toBe(7);
    });
    function same<T>(context: T): T {
      return context;
    }
    function processor(onStart: () => unknown, onEnd: () => unknown): object {
      return { onStart, onEnd, forceFlush: none, shutdown: none };
    }
  });
});
