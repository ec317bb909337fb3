// The errors of nested calls, as the first caller receives them.
import { describe, expect, it } from 'vitest';
import {
  defineContract,
  MeshError,
  serverStream,
  unary,
  type Context,
  type SecureMesh,
} from '../../js/index.js';
import { services } from '../support/kit.js';
import { call, entry, serve } from '../support/meshes.js';
import { errorOf, sleep } from '../support/promises.js';

type Handle = (input: unknown, ctx: Context) => unknown;

/** Returns the error that a caller of b receives, and the lines that b logs. */
async function through(
  handler: Handle,
  c: Record<string, Handle> = {},
  config: object = {},
): Promise<{ error: MeshError; logged: Record<string, any>[] }> {
  const logged: Record<string, any>[] = [];
  const logger = { error: (_: string, fields?: object) => void logged.push(fields ?? {}) };
  const kit = await services({ c: { ok: () => 1, ...c }, b: { m: handler } }, (id) =>
    id === 'b' ? { ...config, logger } : {},
  );
  const error = await errorOf(kit.connect('b').call('m', 1));
  return { error, logged };
}

const MASKED = { code: 'INTERNAL', reason: 'HANDLER', message: 'internal error', remote: true };

describe('a call of a handler that fails', () => {
  it('of a service that is down says nothing of it to the caller', async () => {
    const c = await serve('c', () => {});
    const address = entry('c', c);
    await c.cleanup();
    const logged: Record<string, any>[] = [];
    const b = await serve('b', (mesh) => mesh.handle('m', (_, ctx) => ctx.call('c', 'x')), {
      discovery: { services: [address] },
      logger: { error: (_: string, fields?: object) => void logged.push(fields ?? {}) },
    });
    const { client } = await call(b);
    const error = await errorOf(client.call('m'));
    expect(error).toMatchObject({ ...MASKED, service: 'b', retryable: false });
    expect(JSON.stringify(error)).not.toContain('127.0.0.1');
    const entries = logged.filter(({ event }) => event === 'handler.failed');
    expect(entries).toHaveLength(1);
    expect(entries[0]).toMatchObject({
      errorId: error.errorId,
      error: { code: 'UNAVAILABLE', reason: 'CONNECT_FAILED', service: 'c', method: 'x' },
    });
    expect(entries[0]!['error'].message).toContain(`${address.port}`);
  });

  it.each<[string, Handle]>([
    ['by ctx.call', (_, ctx) => ctx.call('c', 'no')],
    [
      'by a stream',
      async (_, ctx) => {
        for await (const item of ctx.connect('c').serverStream('no')) return item;
        return 0;
      },
    ],
    ['that is none by its name', (_, ctx) => ctx.call('d', 'x')],
    ['with wrong options', (_, ctx) => ctx.call('c', 'ok', 1, { timeout: 1 } as object)],
    ['with an input that has no JSON', (_, ctx) => ctx.call('c', 'ok', 1n)],
    ['with too large an input', (_, ctx) => ctx.call('c', 'ok', 'x'.repeat(5 << 20))],
    [
      'that its own signal cancels',
      (_, ctx) => ctx.call('c', 'ok', 1, { signal: AbortSignal.abort() }),
    ],
    [
      'that has too little time of its own',
      (_, ctx) => ctx.call('c', 'slow', 1, { timeoutMs: 20 }),
    ],
  ])('%s is internal', async (_name, handler) => {
    const { error, logged } = await through(handler, { slow: () => sleep(200) });
    expect(error).toMatchObject(MASKED);
    expect(logged).toHaveLength(1);
    expect(logged[0]).toMatchObject({ errorId: error.errorId, event: 'handler.failed' });
    expect(logged[0]!['error']).toBeInstanceOf(MeshError);
  });

  it('with an open breaker is internal', async () => {
    const circuitBreaker = { failureThreshold: 1, successThreshold: 1, timeout: 60_000 };
    const { error, logged } = await through(
      async (_, ctx) => {
        await ctx.call('c', 'bug').catch(() => {});
        return ctx.call('c', 'bug');
      },
      {
        bug: () => {
          throw new Error('bug');
        },
      },
      { resilience: { circuitBreaker } },
    );
    expect(error).toMatchObject(MASKED);
    expect(logged[0]!['error']).toMatchObject({ reason: 'CIRCUIT_OPEN' });
  });

  it('on purpose is an error of c, not of b', async () => {
    const { error, logged } = await through((_, ctx) => ctx.call('c', 'find'), {
      find: () => {
        throw new MeshError('NOT_FOUND', 'no such order of c', { data: { id: 7 } });
      },
    });
    expect(error).toMatchObject(MASKED);
    expect(error).not.toHaveProperty('data');
    expect(logged[0]!['error']).toMatchObject({ code: 'NOT_FOUND', data: { id: 7 }, remote: true });
  });

  it('with a declared error of c is no declared error of b', async () => {
    const errors = { GONE: { code: 'NOT_FOUND' } } as const;
    const contract = (name: string) => defineContract(name, { find: unary({ errors }) });
    const kit = await services({
      c: (mesh: SecureMesh) =>
        mesh.implement(contract('c'), {
          find: (_: unknown, ctx: any) => {
            throw ctx.errors.GONE();
          },
        }),
      b: (mesh: SecureMesh) =>
        mesh.implement(contract('b'), {
          find: (input: unknown, ctx: any) => ctx.connect(contract('c')).find(input),
        }),
    });
    expect(await errorOf(kit.connect(contract('b')).find(1) as Promise<unknown>)).toMatchObject(
      MASKED,
    );
  });

  it('in a stream of answers is internal', async () => {
    const contract = defineContract('b', { all: serverStream({}) });
    const kit = await services({
      c: { ok: () => 1 },
      b: (mesh: SecureMesh) =>
        mesh.implement(contract, {
          async *all(_: unknown, ctx: any) {
            yield 1;
            yield await ctx.call('c', 'none');
          },
        }),
    });
    const items: unknown[] = [];
    const read = (async () => {
      for await (const item of kit.connect(contract).all(1)) items.push(item);
    })();
    expect(await errorOf(read)).toMatchObject(MASKED);
    expect(items).toEqual([1]);
  });

  it('says what the handler makes of it', async () => {
    const { error, logged } = await through(async (_, ctx) => {
      try {
        return await ctx.call('c', 'none');
      } catch (cause) {
        throw new MeshError('UNAVAILABLE', 'the stock is away', { reason: 'STOCK_AWAY', cause });
      }
    });
    expect(error).toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'STOCK_AWAY',
      message: 'the stock is away',
      retryable: true,
    });
    expect(logged).toHaveLength(0);
  });

  it('keeps nothing under an idempotency key when it can be tried again', async () => {
    let tries = 0;
    const kit = await services({
      c: {
        busy: () => {
          tries += 1;
          if (tries === 1) throw new MeshError('UNAVAILABLE', 'in a moment');
          return 'done';
        },
      },
      b: { m: (_: unknown, ctx: Context) => ctx.call('c', 'busy') },
    });
    const client = kit.connect('b');
    const options = { idempotencyKey: 'k-1' };
    expect(await errorOf(client.call('m', 1, options))).toMatchObject(MASKED);
    expect(await client.call('m', 1, options)).toBe('done');
  });

  it('leaves the line of whoever awaits it in the stack', async () => {
    let stack = '';
    await through(async (_, ctx) => {
      try {
        await ctx.call('c', 'none');
      } catch (error) {
        stack = (error as Error).stack ?? '';
      }
      throw new MeshError('ABORTED', 'seen');
    });
    expect(stack).toContain('nested-errors.test.ts');
  });
});
