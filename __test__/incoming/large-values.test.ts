// Values far above the limit of messages are rejected by their length, before they are encoded. The encoding
// would block the event loop for seconds.
import { describe, expect, it } from 'vitest';
import { isSurelyLarger } from '../../js/frames/size.js';
import { MeshError, type CallOptions, type SecureMeshClient } from '../../js/index.js';
import { compared } from '../support/compared.js';
import { pair } from '../support/kit.js';
import { errorOf } from '../support/promises.js';

const LIMIT = 4 << 20;
// A string of 400 MiB beyond ASCII, which V8 creates without copying.
const huge = 'é'.repeat(400 << 20);

const values: [string, () => unknown][] = [
  ['a string of 400 MiB', () => huge],
  ['an object with one', () => ({ order: { note: huge } })],
  ['a list with one', () => ['a', { note: huge }]],
  ['bytes', () => new Uint8Array(400 << 20)],
  ['bytes within an object', () => ({ file: Buffer.alloc(400 << 20) })],
  ['a list of many', () => new Array(40 << 20)],
];

/** Measures the time until a failure, and returns the error. */
async function timed(work: () => Promise<unknown>): Promise<{ error: MeshError; ms: number }> {
  const begin = performance.now();
  const error = await errorOf(work());
  return { error, ms: performance.now() - begin };
}

const TOO_LARGE = { code: 'RESOURCE_EXHAUSTED', reason: 'TOO_LARGE', retryable: false };

describe.each(values)('%s', compared, (_name, make) => {
  it.each<[string, (client: SecureMeshClient, value: unknown) => Promise<unknown>]>([
    ['as input', (client, value) => client.call('echo', value)],
    ['as an item', (client, value) => client.clientStream('count', [1, value, 2])],
  ])('%s', async (_side, send) => {
    const { client } = await pair((mesh) =>
      mesh
        .handle('echo', () => 1)
        .handle('count', { kind: 'clientStream' }, async (items) => {
          let count = 0;
          for await (const item of items) count += item === undefined ? 0 : 1;
          return count;
        }),
    );
    await client.call('echo', 1);
    const value = make();
    const { error, ms } = await timed(() => send(client, value));
    expect(error).toMatchObject({ ...TOO_LARGE, remote: false });
    expect(error.message).toBe(`the input is larger than limits.maxMessageBytes (${LIMIT})`);
    // The rejection takes a few milliseconds on an idle machine; after an encoding it would take seconds.
    expect(ms).toBeLessThan(1_000);
    expect(await client.call('echo', 1)).toBe(1);
  });

  it('as an answer, an item of one, or the data of an error', async () => {
    const value = make();
    const { client } = await pair((mesh) =>
      mesh
        .handle('echo', () => 1)
        .handle('make', () => value)
        .handle('items', { kind: 'serverStream' }, async function* () {
          yield 1;
          yield value;
        })
        .handle('fail', () => {
          throw new MeshError('NOT_FOUND', 'no', { reason: 'NONE', data: value });
        }),
    );
    await client.call('echo');
    const made = await timed(() => client.call('make'));
    expect(made.error).toMatchObject({ ...TOO_LARGE, remote: true });
    const items: unknown[] = [];
    const streamed = await timed(async () => {
      for await (const item of client.serverStream('items')) items.push(item);
    });
    expect(streamed.error).toMatchObject({ ...TOO_LARGE, remote: true });
    expect(items).toEqual([1]);
    const failed = await timed(() => client.call('fail'));
    expect(failed.error).toMatchObject({ code: 'NOT_FOUND', reason: 'NONE', message: 'no' });
    expect(failed.error.data).toBe(`[cut: larger than limits.maxMessageBytes (${LIMIT})]`);
    for (const { ms } of [made, streamed, failed])
      // The rejection takes a few milliseconds on an idle machine; after an encoding it would take seconds.
      expect(ms).toBeLessThan(1_000);
    expect(await client.call('echo')).toBe(1);
  });
});

describe('texts of 400 MiB beside the input', compared, () => {
  it.each<[string, (client: SecureMeshClient) => Promise<unknown>]>([
    ['metadata', (client) => client.call('echo', 1, { metadata: { note: huge } })],
    ['an idempotency key', (client) => client.call('echo', 1, { idempotencyKey: huge })],
    ['a method', (client) => client.call(huge, 1)],
    [
      'an option',
      (client) => client.call('echo', 1, { timeoutMs: huge } as unknown as CallOptions),
    ],
  ])('%s', async (_name, send) => {
    const { client } = await pair((mesh) => mesh.handle('echo', () => 1));
    await client.call('echo');
    const { error, ms } = await timed(() => send(client));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'ARGUMENT' });
    expect(error.message.length).toBeLessThan(1_000);
    // The rejection takes a few milliseconds on an idle machine; after an encoding it would take seconds.
    expect(ms).toBeLessThan(1_000);
  });

  it('the message and the reason of an error', async () => {
    const { client } = await pair((mesh) =>
      mesh.handle('fail', () => {
        throw new MeshError('NOT_FOUND', huge, { reason: huge });
      }),
    );
    const { error } = await timed(() => client.call('fail'));
    expect(error.message).toMatch(/^é{1000,}… \[cut: 419430400 characters\]$/);
    const { ms } = await timed(() => client.call('fail'));
    // The rejection takes a few milliseconds on an idle machine; after an encoding it would take seconds.
    expect(ms).toBeLessThan(1_000);
  });

  it('of a call that may be tried again', async () => {
    const resilience = { retry: { maxAttempts: 3 } };
    const { client } = await pair((mesh) => mesh.handle('echo', () => 1), {}, { resilience });
    await client.call('echo');
    const { error, ms } = await timed(() => client.call('echo', { note: huge }));
    expect(error).toMatchObject(TOO_LARGE);
    // The rejection takes a few milliseconds on an idle machine; after an encoding it would take seconds.
    expect(ms).toBeLessThan(1_000);
  });
});

describe('what is found too large at once', () => {
  it.each<[string, unknown, boolean]>([
    ['a string as long as the limit', 'x'.repeat(100), false],
    ['a longer one', 'x'.repeat(101), true],
    ['what speaks for itself', { big: 'x'.repeat(5_000), toJSON: () => 1 }, false],
    ['what is inherited', Object.create({ big: 'x'.repeat(5_000) }), false],
    ['many small ones, which is for JSON to tell', { a: 'x'.repeat(60), b: 'x'.repeat(60) }, false],
    ['a list of 51', new Array(51).fill(1), true],
    ['a list of 50', new Array(50).fill(1), false],
  ])('%s', (_name, value, expected) => {
    expect(isSurelyLarger(value, 100)).toBe(expected);
    // The check never rejects a value that fits.
    if (expected) expect((JSON.stringify(value) ?? '').length).toBeGreaterThan(100);
  });

  it('leaves alone what throws', () => {
    const thrower = new Proxy(
      {},
      {
        ownKeys: () => {
          throw new Error('no');
        },
      },
    );
    expect(isSurelyLarger(thrower, 1)).toBe(false);
  });

  it('is no limit of its own: what the core counts is told likewise', async () => {
    const { client } = await pair((mesh) =>
      mesh
        .handle('make', (n: number) => 'é'.repeat(n))
        .handle('size', (text: string) => text.length),
    );
    expect(await client.call('size', 'é'.repeat(LIMIT / 2 - 1))).toBe(LIMIT / 2 - 1);
    expect(await errorOf(client.call('size', 'é'.repeat(LIMIT / 2)))).toMatchObject(TOO_LARGE);
    expect(await errorOf(client.call('make', LIMIT / 2))).toMatchObject(TOO_LARGE);
  });
});
