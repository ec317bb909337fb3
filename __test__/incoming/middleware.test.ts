// Middleware around handlers and around calls.
import { describe, expect, it } from 'vitest';
import { MeshError, type Context, type Middleware, type OutgoingCall } from '../../js/index.js';
import { pair } from '../support/kit.js';
import { make } from '../support/meshes.js';
import { deferred, errorOf } from '../support/promises.js';

/** Collects the items of a stream. */
async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe('middleware', () => {
  it('is around every handler, outermost first, whenever it is added', async () => {
    const seen: string[] = [];
    const trace =
      (name: string): Middleware =>
      async (ctx, next) => {
        seen.push(`${name}> ${ctx.method}`);
        const result = await next();
        seen.push(`<${name}`);
        return result;
      };
    const { client } = await pair((mesh) =>
      mesh
        .use(trace('first'))
        .handle('echo', { use: [trace('own')] }, (input) => {
          seen.push('handler');
          return input;
        })
        .use(trace('second')),
    );
    expect(await client.call('echo', 1)).toBe(1);
    expect(seen).toEqual([
      'first> echo',
      'second> echo',
      'own> echo',
      'handler',
      '<own',
      '<second',
      '<first',
    ]);
  });

  it.each<[string, Middleware, unknown]>([
    ['leaves the result when it returns nothing', async (_, next) => void (await next()), 'result'],
    ['leaves it when it does not wait for it', (_, next) => void next(), 'result'],
    ['answers with what it returns', async (_, next) => [await next()], ['result']],
    ['answers without the handler', () => 'own', 'own'],
    ['answers nothing without the handler', () => undefined, undefined],
    ['answers null', async (_, next) => (await next(), null), null],
  ])('%s', async (_name, middleware, expected) => {
    const { client } = await pair((mesh) => mesh.use(middleware).handle('get', () => 'result'));
    expect(await client.call('get')).toEqual(expected);
  });

  it('can catch what the handler throws, and throw itself', async () => {
    const { client } = await pair((mesh) =>
      mesh
        .handle('fail', () => {
          throw new Error('secret detail');
        })
        .handle('refused', () => 'never')
        .handle('swallowed', { use: [(_, next) => next().catch(() => undefined)] }, () => {
          throw new Error('x');
        })
        .use(async (ctx, next) => {
          if (ctx.method === 'refused') throw new MeshError('PERMISSION_DENIED', 'not today');
          try {
            return await next();
          } catch {
            throw new MeshError('ABORTED', 'caught', { data: ctx.method });
          }
        }),
    );
    expect(await errorOf(client.call('fail'))).toMatchObject({ code: 'ABORTED', data: 'fail' });
    expect(await errorOf(client.call('refused'))).toMatchObject({ message: 'not today' });
    expect(await client.call('swallowed')).toBeUndefined();
  });

  it('that calls next() twice is this service’s fault', async () => {
    const logged: any[] = [];
    let runs = 0;
    const { client } = await pair(
      (mesh) =>
        mesh
          .use(async (_, next) => {
            await next();
            return next();
          })
          .handle('get', () => (runs += 1)),
      { logger: { error: (...entry) => void logged.push(entry) } },
    );
    expect(await errorOf(client.call('get'))).toMatchObject({ code: 'INTERNAL' });
    expect(String(logged[0][1].error)).toMatch(/next\(\) more than once/);
    expect(runs).toBe(1);
  });

  it('is around streams: next() is over when the stream is', async () => {
    const seen: unknown[] = [];
    const ended = deferred();
    const { client } = await pair((mesh) =>
      mesh
        .use(async (ctx, next) => {
          seen.push(`${ctx.kind} begins`);
          try {
            seen.push(await next());
          } catch (error) {
            seen.push((error as Error).message);
            throw error;
          } finally {
            seen.push(`${ctx.kind} ends`);
            if (seen.length >= 6) ended.resolve();
          }
        })
        .handle('count', async function* (to: number) {
          for (let n = 0; n < to; n += 1) {
            seen.push(n);
            yield n;
          }
          if (to > 1) throw new MeshError('ABORTED', 'too many');
        })
        .handle('sum', { kind: 'clientStream' }, async (numbers: AsyncIterable<number>) => {
          return (await collect(numbers)).length;
        }),
    );
    expect(await collect(client.serverStream('count', 1))).toEqual([0]);
    expect(seen).toEqual(['serverStream begins', 0, undefined, 'serverStream ends']);
    seen.length = 0;
    expect(await errorOf(collect(client.serverStream('count', 2)))).toMatchObject({
      code: 'ABORTED',
    });
    expect(seen).toEqual(['serverStream begins', 0, 1, 'too many', 'serverStream ends']);
    seen.length = 0;
    expect(await client.clientStream('sum', [1, 2, 3])).toBe(3);
    expect(seen).toEqual(['clientStream begins', 3, 'clientStream ends']);
  });

  it('refuses a stream by throwing, before anything is yielded', async () => {
    const { client } = await pair((mesh) =>
      mesh
        .use(() => {
          throw new MeshError('PERMISSION_DENIED', 'not today');
        })
        .handle('count', async function* () {
          yield 1;
        }),
    );
    expect(await errorOf(collect(client.serverStream('count')))).toMatchObject({
      code: 'PERMISSION_DENIED',
    });
  });

  it('must be functions', () => {
    const mesh = make('server');
    expect(() => mesh.use(7 as never)).toThrow(/middleware must be a function, got number/);
    expect(() => mesh.useClient({} as never)).toThrow(/middleware must be a function, got object/);
    expect(() => mesh.handle('x', { use: [() => 1, 7] } as never, () => 1)).toThrow(
      /options\.use\[1\] must be a function/,
    );
    expect(() => mesh.handle('x', { use: 7 } as never, () => 1)).toThrow(/array of middleware/);
  });
});

describe('client middleware', () => {
  it('sees a call, and changes its input, options and result', async () => {
    let context!: Context;
    const { client, mesh } = await pair((server) =>
      server.handle('double', (input: number, ctx) => {
        context = ctx;
        return input * 2;
      }),
    );
    const calls: OutgoingCall[] = [];
    mesh.useClient(async (outgoing, next) => {
      calls.push({ ...outgoing });
      outgoing.options.metadata['tenant'] = 't1';
      outgoing.options.timeoutMs = 700;
      outgoing.input = 21;
      return `result ${String(await next())}`;
    });
    const options = { timeoutMs: 5000 };
    expect(await client.call('double', 1, options)).toBe('result 42');
    expect(calls[0]).toMatchObject({
      service: 'server',
      method: 'double',
      kind: 'unary',
      input: 1,
    });
    expect(context.metadata).toMatchObject({ tenant: 't1' });
    expect(context.timeoutMs()).toBeLessThanOrEqual(700);
    // The caller's own options are unchanged.
    expect(options).toEqual({ timeoutMs: 5000 });
  });

  it('sees errors, and wrong options never reach it', async () => {
    let runs = 0;
    const { client, mesh } = await pair((server) =>
      server.handle('fail', () => {
        throw new MeshError('NOT_FOUND', 'none');
      }),
    );
    mesh.useClient(async (_, next) => {
      runs += 1;
      try {
        return await next();
      } catch (error) {
        return (error as MeshError).code;
      }
    });
    expect(await client.call('fail')).toBe('NOT_FOUND');
    expect(runs).toBe(1);
    expect(await errorOf(client.call('fail', 1, { metadata: 'x' } as never))).toMatchObject({
      reason: 'ARGUMENT',
    });
    expect(runs).toBe(1);
  });

  it('is in order, around streams too', async () => {
    const seen: unknown[] = [];
    const { client, mesh } = await pair((server) =>
      server.handle('count', async function* (to: number) {
        for (let n = 0; n < to; n += 1) yield n;
      }),
    );
    mesh
      .useClient(async (outgoing, next) => {
        seen.push(`outer ${outgoing.kind}`);
        await next();
        seen.push('over');
      })
      .useClient((_, next) => {
        seen.push('inner');
        return next();
      });
    expect(await collect(client.serverStream('count', 2))).toEqual([0, 1]);
    expect(seen).toEqual(['outer serverStream', 'inner', 'over']);
  });

  it('cannot call twice', async () => {
    let runs = 0;
    const { client, mesh } = await pair((server) => server.handle('get', () => (runs += 1)));
    mesh.useClient(async (_, next) => {
      await next();
      return next();
    });
    expect(String(await errorOf(client.call('get')))).toMatch(/next\(\) more than once/);
    expect(runs).toBe(1);
  });
});
