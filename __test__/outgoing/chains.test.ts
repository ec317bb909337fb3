// Chains of calls, each made by the handler of the previous one, end.
import { describe, expect, it } from 'vitest';
import type { Context, SecureMesh, SecureMeshClient } from '../../js/index.js';
import type { TestConfig } from '../../js/testing/index.js';
import { Caller, type Answered } from '../hostile/caller.js';
import { FIELD } from '../hostile/constants.js';
import { identityOf } from '../hostile/identity.js';
import { payload } from '../hostile/messages.js';
import { services } from '../support/kit.js';
import { make, serve } from '../support/meshes.js';
import { errorOf, sleep } from '../support/promises.js';
import { compared } from '../support/compared.js';

/** The nested call of a handler. */
type Next = (ctx: Context, to: string, client: SecureMeshClient) => unknown;

/** Two services whose methods `l` call each other endlessly. */
async function ring(
  next: Next,
  config?: TestConfig,
  options: object = {},
): Promise<{ client: SecureMeshClient; hops: () => number }> {
  let hops = 0;
  const service =
    (to: string) =>
    (mesh: SecureMesh): void => {
      const client = mesh.connect(to);
      mesh.handle('l', options, (_: unknown, ctx: Context) => {
        hops += 1;
        return next(ctx, to, client);
      });
    };
  const kit = await services({ a: service('b'), b: service('a') }, config);
  return { client: kit.connect('a'), hops: () => hops };
}

const byContext: Next = (ctx, to) => ctx.call(to, 'l', 1);
const byScope: Next = (_, __, client) => client.call('l', 1);

describe('a deadline', () => {
  it.each<[string, Next, TestConfig]>([
    ['by ctx.call', byContext, {}],
    ['by a client made before', byScope, {}],
    ['by ctx.connect', (ctx, to) => ctx.connect(to).call('l', 1), {}],
    ['with retries', byContext, { resilience: { retry: { maxAttempts: 3 } } }],
    ['of calls that ask for more', (ctx, to) => ctx.call(to, 'l', 1, { timeoutMs: 60_000 }), {}],
  ])('ends services that call each other, %s', compared, async (_name, next, config) => {
    const { client, hops } = await ring(next, { ...config, limits: { maxCallDepth: 254 } });
    const pause: Next = async (ctx, to, own) => (await sleep(3), next(ctx, to, own));
    const slow = await ring(pause, { ...config, limits: { maxCallDepth: 254 } });
    for (const [one, count] of [[client, hops] as const, [slow.client, slow.hops] as const]) {
      const begin = performance.now();
      const error = await errorOf(one.call('l', 1, { timeoutMs: 300 }));
      expect(performance.now() - begin).toBeLessThan(600);
      expect(error.code).toMatch(/DEADLINE_EXCEEDED|FAILED_PRECONDITION/);
      await sleep(200);
      const after = count();
      await sleep(200);
      expect(count(), 'nobody goes on').toBe(after);
    }
  });

  it('is never later than the request, whatever is done to the options', async () => {
    const left: number[] = [];
    const look = (_: unknown, ctx: Context): number => ctx.timeoutMs();
    const kit = await services({
      c: { look },
      b: (mesh) => {
        mesh.useClient((call, next) => {
          call.options.timeoutMs = 60_000;
          return next();
        });
        mesh.handle('relay', async (_: unknown, ctx: Context) => {
          left.push(await ctx.call<number, number>('c', 'look', 1));
          return ctx.timeoutMs();
        });
      },
    });
    await kit.connect('b').call('relay', 1, { timeoutMs: 2_000 });
    expect(left[0]).toBeLessThanOrEqual(2_000);
  });

  it('with less than a millisecond left sends nothing', async () => {
    let calls = 0;
    const kit = await services({ a: { count: () => (calls += 1) } });
    const client = kit.connect('a');
    await client.call('count');
    for (const timeoutMs of [0.000_1, 0.5, 0.999]) {
      const error = await errorOf(client.call('count', 1, { timeoutMs }));
      expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED', reason: 'DEADLINE', remote: false });
    }
    expect(await client.call('count')).toBe(2);
  });

  it('stays a deadline for the caller of the caller', async () => {
    const logged: unknown[] = [];
    const logger = { error: (...entry: unknown[]) => void logged.push(entry) };
    const kit = await services(
      {
        c: { never: () => new Promise(() => {}) },
        b: { relay: (_: unknown, ctx: Context) => ctx.call('c', 'never') },
      },
      { logger },
    );
    const error = await errorOf(kit.connect('b').call('relay', 1, { timeoutMs: 100 }));
    expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED', reason: 'DEADLINE' });
  });
});

describe('a cycle without a deadline', () => {
  it.each<[string, Next]>([
    ['by ctx.call', byContext],
    ['by a client made before', byScope],
  ])('ends at depth 64 and names its path, %s', async (_name, next) => {
    const { client, hops } = await ring(next);
    const error = await errorOf(client.call('l', 1));
    expect(error).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'CALL_DEPTH',
      retryable: false,
    });
    expect(error.message).toMatch(/^call 65 of a chain, and limits.maxCallDepth is 64: /);
    expect(error.message).toMatch(/test > a l > b l > a l > .*> b l > a l$/);
    expect(hops()).toBe(64);
  });

  it('ends where the limit is, however often it is tried', async () => {
    const limits = { maxCallDepth: 3 };
    const retry = { maxAttempts: 5, initialDelay: 1 };
    const { client, hops } = await ring(byContext, { limits, resilience: { retry } });
    const error = await errorOf(client.call('l', 1, { idempotent: true }));
    expect(error.message).toBe(
      'call 4 of a chain, and limits.maxCallDepth is 3: test > a l > b l > a l > b l',
    );
    expect(hops()).toBe(3);
  });

  it('ends for streams, which have no deadline', async () => {
    const next: Next = async function* (ctx, to) {
      yield* ctx.connect(to).serverStream('l', 1);
    };
    const { client, hops } = await ring(next, {}, { kind: 'serverStream' });
    const items = (async () => {
      for await (const item of client.serverStream('l', 1)) expect(item).toBeUndefined();
    })();
    expect(await errorOf(items)).toMatchObject({ reason: 'CALL_DEPTH' });
    expect(hops()).toBe(64);
  });

  it('names the newest calls of a path that is too long', async () => {
    const method = `m${'x'.repeat(150)}`;
    const chain = (to: string) => ({
      [method]: (_: unknown, ctx: Context) => ctx.call(to, method, 1),
    });
    const kit = await services({ a: chain('b'), b: chain('a') });
    const error = await errorOf(kit.connect('a').call(method, 1));
    expect(error.message).toMatch(/is 64: \.\.\. > [ab] mx+ > .* > a mx+$/);
    expect(error.message.length).toBeLessThan(1_400);
  });

  it('does not count what is detached', async () => {
    let rounds = 0;
    const kit = await services({
      a: {
        tick: async (_: unknown, ctx: Context): Promise<void> => {
          rounds += 1;
          if (rounds < 100) await ctx.call('b', 'tick', 1, { detached: true });
        },
      },
      b: { tick: (_: unknown, ctx: Context) => ctx.call('a', 'tick', 1, { detached: true }) },
    });
    await kit.connect('a').call('tick');
    expect(rounds).toBe(100);
  });
});

describe('the depth that a peer claims', () => {
  const jwtSecret = 'a secret of the chain tests, 0123456789';
  const depth = (value: number): Buffer => Buffer.from([value]);

  async function attacked(): Promise<{ caller: Caller; paths: string[] }> {
    const paths: string[] = [];
    const c = await serve('c', (mesh) => mesh.handle('end', () => 'end'), {
      security: { jwtSecret },
    });
    const address = c.address()!;
    const server = make('server', {
      port: 0,
      security: { jwtSecret, peerKeys: 'ignore' },
      discovery: { services: [{ id: 'c', ...address }] },
    });
    server.handle('go', async (_: unknown, ctx: Context) => {
      try {
        return await ctx.call('c', 'end', 1);
      } catch (error) {
        paths.push((error as Error).message);
        throw error;
      }
    });
    await server.initialize();
    const { port } = server.address()!;
    const caller = await Caller.connect({
      id: 'mallory',
      peer: 'server',
      port,
      secret: jwtSecret,
      identity: identityOf('mallory'),
    });
    return { caller, paths };
  }

  it('only shortens its own chain', async () => {
    const { caller, paths } = await attacked();
    const call = (value: number): Promise<unknown> =>
      caller.call('go', 1, { fields: new Map([[FIELD.depth, depth(value)]]) });
    expect(await call(0)).toBe('end');
    expect(await call(63)).toBe('end');
    for (const value of [64, 65, 255]) {
      const error = await call(value).catch((thrown: unknown) => thrown as Answered);
      expect((error as Answered).reason).toBe('CALL_DEPTH');
    }
    expect(paths, 'only the one that came in was called').toHaveLength(1);
    caller.close();
  });

  it('comes with a path that is text and short, or the session ends', async () => {
    for (const path of ['\x1b[2J', 'a\nb', 'x'.repeat(1025), 'é']) {
      const { caller } = await attacked();
      const fields = new Map([[FIELD.path, Buffer.from(path)]]);
      const call = caller.request('go', payload(1), { fields });
      await expect(caller.messages(call).next(5_000)).rejects.toThrow(/over/);
    }
  });
});
