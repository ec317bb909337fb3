// Metadata of calls and answers.
import { describe, expect, it } from 'vitest';
import type { Context } from '../../js/index.js';
import {
  continueTrace,
  decodeMetadata,
  encodeMetadata,
  isId,
  readTraceparent,
} from '../../js/rpc/metadata.js';
import { pair } from '../support/kit.js';
import { errorOf } from '../support/promises.js';

const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

describe('metadata', () => {
  it.each<[string, unknown, RegExp]>([
    ['no object', 'x', /^options\.metadata must be an object of strings, got "x"/],
    ['an array', ['a'], /must be an object of strings/],
    ['an empty name', { '': 'x' }, /a name must be 1…64 letters.*got ""/],
    ['a name with a space', { 'a b': 'x' }, /got "a b"/],
    ['a name with a line break', { 'a\nb': 'x' }, /got "a\\nb"/],
    ['a long name', { ['n'.repeat(65)]: 'x' }, /1…64/],
    ['a value that is no text', { n: 1 }, /^options\.metadata\.n must be a string, got 1/],
    ['a known name in capitals', { TraceParent: 'x' }, /TraceParent must be written traceparent/],
    ['more than fits', { big: '€'.repeat(3000) }, /not be larger than 8000 bytes as JSON, got 90/],
    ['a key by its name', { 'idempotency-key': 'x' }, /use options\.idempotencyKey/],
  ])('refuses %s', async (_name, metadata, message) => {
    const { client } = await pair((mesh) => mesh.handle('echo', (x) => x));
    const error = await errorOf(client.call('echo', 1, { metadata } as never));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'ARGUMENT', remote: false });
    expect(error.message).toMatch(message);
  });

  it('may be as large as is said', async () => {
    const { client } = await pair((mesh) =>
      mesh.handle('size', (_, ctx) => {
        ctx.responseMetadata['big'] = ctx.metadata['big'] as string;
        return ctx.metadata['big']?.length;
      }),
    );
    const metadata = { big: 'x'.repeat(7990) };
    let received;
    const options = { metadata, onResponseMetadata: (sent: unknown) => (received = sent) };
    expect(await client.call('size', 1, options)).toBe(7990);
    expect(received).toEqual(metadata);
  });

  it('from a peer has names as they are sent, others left out', () => {
    expect(decodeMetadata('{"a":"1","b c":"2","__proto__":"3"}')).toEqual(
      JSON.parse('{"a":"1","__proto__":"3"}'),
    );
    expect(Object.isFrozen(decodeMetadata(''))).toBe(true);
    expect(encodeMetadata({}, 'x')).toBe('');
  });

  it('of an answer reaches its caller before the result', async () => {
    const { client } = await pair((mesh) =>
      mesh
        .handle('get', (_, ctx) => {
          ctx.responseMetadata['cache'] = 'hit';
          return 1;
        })
        .handle('none', () => 2)
        .handle('wrong', (_, ctx) => {
          (ctx.responseMetadata as any)['a b'] = 'x';
        }),
    );
    const order: unknown[] = [];
    const onResponseMetadata = (metadata: object): void => void order.push(metadata);
    order.push(await client.call('get', 0, { onResponseMetadata }));
    order.push(await client.call('none', 0, { onResponseMetadata }));
    expect(order).toEqual([{ cache: 'hit' }, 1, {}, 2]);
    expect(await errorOf(client.call('wrong'))).toMatchObject({ code: 'INTERNAL' });

    const mistake = new Error('mine');
    const throwing = (): void => {
      throw mistake;
    };
    expect(await errorOf(client.call('get', 0, { onResponseMetadata: throwing }))).toBe(mistake);
    expect(await client.call('get')).toBe(1);
    expect(await errorOf(client.call('get', 0, { onResponseMetadata: 7 } as never))).toMatchObject({
      message: 'options.onResponseMetadata must be a function, got 7',
    });
  });
});

describe('a request id', () => {
  it('is taken as sent, and made where there is none fit to print', async () => {
    const { client } = await pair((mesh) => mesh.handle('id', (_, ctx: Context) => ctx.requestId));
    const sent = (id: string): Promise<unknown> =>
      client.call('id', 1, { metadata: { 'x-request-id': id } });
    expect(await sent('r-1')).toBe('r-1');
    for (const wrong of ['', 'a b', 'a\nforged log line', 'é', 'x'.repeat(129)]) {
      expect(await sent(wrong)).toMatch(/^[\w-]+\/\d+$/);
    }
    expect(isId('x'.repeat(128))).toBe(true);
  });
});

describe('a trace context', () => {
  // The first rows are from W3C Trace Context, section 3.2.
  it.each([
    [TRACEPARENT, true],
    ['00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00', true],
    ['cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-will-be-like', true],
    ['cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', true],
    [`${TRACEPARENT}-extra`, false],
    ['cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.what', false],
    ['ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', false],
    ['00-00000000000000000000000000000000-00f067aa0ba902b7-01', false],
    ['00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01', false],
    ['00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01', false],
    ['00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01', false],
    ['00-a-b-01', false],
    [` ${TRACEPARENT}`, false],
    [`${TRACEPARENT}\n`, false],
    ['', false],
  ])('%j is well formed: %s', (text, good) => {
    expect(readTraceparent(text)).toBe(good ? text : undefined);
  });

  it('is continued by version 00, with the sampled flag alone', () => {
    const next = continueTrace('cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-x');
    expect(next).toMatch(/^00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-01$/);
    expect(readTraceparent(next)).toBe(next);
    expect(continueTrace(next)).not.toBe(next);
  });

  it('that is malformed is dropped, here and further in', async () => {
    const { client } = await pair((mesh) =>
      mesh.handle('trace', (_, ctx) => ctx.traceparent ?? 'none'),
    );
    const sent = (traceparent: string): Promise<unknown> =>
      client.call('trace', 1, { metadata: { traceparent } });
    expect(await sent(TRACEPARENT)).toBe(TRACEPARENT);
    expect(await sent('00-a-b-01')).toBe('none');
  });
});
