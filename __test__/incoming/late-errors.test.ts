// The errors of handlers whose request ended before them: the log has them, because the caller does not.
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { MeshError, type Context, type SecureMesh, type SecureMeshClient } from '../../js/index.js';
import { services } from '../support/kit.js';
import { deferred, errorOf } from '../support/promises.js';

type Handle = (input: unknown, ctx: Context) => unknown;
type Client = SecureMeshClient;

/** Ends a call of the method `m` early. Returns the lines of the service's log about failed handlers. */
async function logged(
  m: Handle,
  end: (client: Client) => Promise<unknown> = (client) => client.call('m', 1, { timeoutMs: 50 }),
): Promise<{ error: MeshError; lines: Record<string, any>[] }> {
  const lines: Record<string, any>[] = [];
  const logger = { error: (_: string, fields?: object) => void lines.push(fields ?? {}) };
  const over = deferred();
  const observed: Handle = async (input, ctx) => {
    try {
      return await m(input, ctx);
    } finally {
      over.resolve();
    }
  };
  const setup = (mesh: SecureMesh): void => {
    mesh.handle('m', observed);
    mesh.handle('items', { kind: 'serverStream' }, async function* (input, ctx) {
      yield 1;
      await observed(input, ctx);
    });
    mesh.handle('last', () => {
      throw new Error('last');
    });
  };
  const kit = await services({ c: { never: () => new Promise(() => {}) }, b: setup }, (id) =>
    id === 'b' ? { logger } : {},
  );
  const client = kit.connect('b');
  const error = await errorOf(end(client));
  await over.promise;
  // The service writes the line of an earlier failure before the answer of a later one.
  await errorOf(client.call('last'));
  const failed = lines.filter(({ event }) => event === 'handler.failed');
  expect(failed.pop()).toMatchObject({ error: { message: 'last' } });
  return { error, lines: failed };
}

const aborted = new AbortController();

it.each<[string, string, (client: Client) => Promise<unknown>]>([
  ['after the deadline', 'DEADLINE', (client) => client.call('m', 1, { timeoutMs: 50 })],
  [
    'of a request with an idempotency key',
    'DEADLINE',
    (client) => client.call('m', 1, { timeoutMs: 50, idempotencyKey: 'once' }),
  ],
  [
    'of a stream',
    'DEADLINE',
    async (client) => {
      for await (const item of client.serverStream('items', 1, { timeoutMs: 50 })) void item;
    },
  ],
  [
    'of a cancelled call',
    'CANCELLED',
    async (client) => {
      for await (const _item of client.serverStream('items', 1, { signal: aborted.signal }))
        aborted.abort();
    },
  ],
])('an error %s is in the log', async (_, reason, end) => {
  const { error, lines } = await logged(async (_, ctx) => {
    await once(ctx.signal, 'abort');
    throw new Error('the bug');
  }, end);
  expect(error).toMatchObject({ reason });
  expect(lines).toMatchObject([
    {
      errorId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      caller: 'test',
      ended: reason,
      error: { message: 'the bug' },
    },
  ]);
});

it.each<[string, Handle]>([
  [
    'the reason of its signal',
    async (_, ctx) => {
      await once(ctx.signal, 'abort');
      throw ctx.signal.reason;
    },
  ],
  ['what Node throws by its signal', (_, ctx) => pause(60_000, null, { signal: ctx.signal })],
  ['the end of a nested call', (_, ctx) => ctx.call('c', 'never')],
  [
    'an answer of the application',
    async (_, ctx) => {
      await once(ctx.signal, 'abort');
      throw new MeshError('NOT_FOUND', 'no such order');
    },
  ],
])('%s is no fault', async (_, handler) => {
  const { error, lines } = await logged(handler);
  expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  expect(lines).toEqual([]);
});
