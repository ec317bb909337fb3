// The spans of streams: one for each side, from the first item to the end, however it ends.
import { SpanStatusCode, trace } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import { MeshError, type SecureMesh } from '../../js/index.js';
import { pair } from '../support/kit.js';
import { errorOf } from '../support/promises.js';
import { parentOf, telemetry } from '../support/telemetry.js';

const setup = (mesh: SecureMesh): void => {
  mesh.handle('count', async function* (to: number) {
    for (let item = 1; item <= to; item += 1) yield item;
  });
  mesh.handle('sum', { kind: 'clientStream' }, async (items: AsyncIterable<number>) => {
    let sum = 0;
    for await (const item of items) sum += item;
    return sum;
  });
  mesh.handle('double', { kind: 'bidiStream' }, async function* (items: AsyncIterable<number>) {
    for await (const item of items) yield 2 * item;
  });
  mesh.handle('break', { kind: 'serverStream' }, async function* () {
    yield 1;
    throw new MeshError('DATA_LOSS', 'gone');
  });
  mesh.handle('endless', { kind: 'serverStream' }, async function* (_, ctx) {
    for (let item = 0; !ctx.signal.aborted; item += 1) yield item;
  });
};

const counts = (attributes: object): object =>
  Object.fromEntries(Object.entries(attributes).filter(([name]) => name.includes('.stream.')));

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

describe('a stream', () => {
  it('from the service counts its items on both sides', async () => {
    const sdk = telemetry();
    const { client } = await pair(setup);
    expect(await all(client.serverStream('count', 3))).toEqual([1, 2, 3]);
    const call = await sdk.span('client');
    const request = await sdk.span('server');
    expect(call.attributes).toMatchObject({
      'rpc.status_code': 'OK',
      'securestack.call.kind': 'serverStream',
    });
    expect(counts(call.attributes)).toEqual({ 'securestack.stream.received': 3 });
    expect(counts(request.attributes)).toEqual({ 'securestack.stream.sent': 3 });
    expect(parentOf(request)).toBe(call.spanContext().spanId);
    expect(sdk.spans()).toHaveLength(2);
  });

  it('to the service counts its items on both sides', async () => {
    const sdk = telemetry();
    const { client } = await pair(setup);
    expect(await client.clientStream('sum', [1, 2, 3, 4])).toBe(10);
    expect(counts((await sdk.span('client')).attributes)).toEqual({
      'securestack.stream.sent': 4,
    });
    expect(counts((await sdk.span('server')).attributes)).toEqual({
      'securestack.stream.received': 4,
    });
  });

  it('in both directions counts both', async () => {
    const sdk = telemetry();
    const { client } = await pair(setup);
    expect(await all(client.bidiStream('double', [1, 2]))).toEqual([2, 4]);
    const both = { 'securestack.stream.sent': 2, 'securestack.stream.received': 2 };
    expect(counts((await sdk.span('client')).attributes)).toEqual(both);
    expect(counts((await sdk.span('server')).attributes)).toEqual(both);
  });

  it('belongs to the code that opened it, wherever it is read', async () => {
    const sdk = telemetry();
    const { client } = await pair(setup);
    const tracer = trace.getTracer('test');
    const items = tracer.startActiveSpan('opener', (span) => {
      span.end();
      return client.serverStream('count', 2);
    });
    await tracer.startActiveSpan('reader', async (span) => {
      await all(items);
      span.end();
    });
    const opener = await sdk.span('internal', 'opener');
    expect(parentOf(await sdk.span('client'))).toBe(opener.spanContext().spanId);
  });

  it('that nobody reads has no span', async () => {
    const sdk = telemetry();
    const { client } = await pair(setup);
    await client.serverStream('count', 2).return?.();
    expect(sdk.spans()).toEqual([]);
  });
});

describe('the end of a stream', () => {
  it('by an error of the service is an error on both sides', async () => {
    const sdk = telemetry();
    const { client } = await pair(setup);
    await errorOf(all(client.serverStream('break')));
    for (const kind of ['client', 'server'] as const) {
      const span = await sdk.span(kind);
      expect(span.attributes).toMatchObject({
        'rpc.status_code': 'DATA_LOSS',
        'error.type': 'DATA_LOSS',
      });
      expect(span.status.code).toBe(SpanStatusCode.ERROR);
    }
    expect(counts((await sdk.span('client')).attributes)).toEqual({
      'securestack.stream.received': 1,
    });
  });

  it('by a consumer that leaves is a cancellation and no error', async () => {
    const sdk = telemetry();
    const { client } = await pair(setup);
    let read = 0;
    for await (const _ of client.serverStream('endless')) {
      read += 1;
      if (read === 3) break;
    }
    for (const kind of ['client', 'server'] as const) {
      const span = await sdk.span(kind);
      expect(span.attributes['rpc.status_code']).toBe('CANCELLED');
      expect(span.attributes['error.type']).toBeUndefined();
      expect(span.status.code).toBe(SpanStatusCode.UNSET);
      expect(Object.values(counts(span.attributes))[0]).toBeGreaterThanOrEqual(3);
    }
  });

  it('by a signal is an error of the caller', async () => {
    const sdk = telemetry();
    const { client } = await pair(setup);
    const controller = new AbortController();
    const items = client.serverStream('endless', 1, { signal: controller.signal });
    await items.next();
    controller.abort();
    await errorOf(all(items));
    const call = await sdk.span('client');
    expect(call.attributes['rpc.status_code']).toBe('CANCELLED');
    expect(call.status.code).toBe(SpanStatusCode.ERROR);
    expect((await sdk.span('server')).status.code).toBe(SpanStatusCode.UNSET);
  });

  it('by an error of the items that are sent has its type', async () => {
    const sdk = telemetry();
    const { client } = await pair(setup);
    const items = (function* () {
      yield 1;
      throw new RangeError('mine');
    })();
    await errorOf(client.clientStream('sum', items));
    const call = await sdk.span('client');
    expect(call.attributes['error.type']).toBe('RangeError');
    expect(call.attributes['rpc.status_code']).toBeUndefined();
  });

  it('by the end of the mesh ends the span', async () => {
    const sdk = telemetry();
    const { server, client } = await pair(setup);
    const items = client.serverStream('endless');
    await items.next();
    await server.cleanup();
    const request = await sdk.span('server');
    expect(request.attributes['rpc.status_code']).toBe('CANCELLED');
    await errorOf(all(items));
    await sdk.span('client');
  });
});
