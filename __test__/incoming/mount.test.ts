// Routers of SecureStack's core, according to their published types.
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { MeshError } from '../../js/index.js';
import { pair } from '../support/kit.js';
import { make } from '../support/meshes.js';
import { errorOf } from '../support/promises.js';

type Next = () => Promise<void>;

interface Procedure {
  input?: unknown;
  output?: unknown;
  handler(call: { input: any; ctx: any }): unknown;
}

/** The shape of the core's `Router`. */
class CoreRouter {
  readonly #routes = new Map<string, { type: string; config: Procedure }>();
  readonly #middleware: unknown[] = [];
  query(name: string, config: Procedure): this {
    this.#routes.set(name, { type: 'query', config });
    return this;
  }
  mutation(name: string, config: Procedure): this {
    this.#routes.set(name, { type: 'mutation', config });
    return this;
  }
  subscription(name: string, config: Procedure): this {
    this.#routes.set(name, { type: 'subscription', config });
    return this;
  }
  use(middleware: (ctx: any, next: Next) => Promise<void> | void): this {
    this.#middleware.push(middleware);
    return this;
  }
  getRoutes(): Map<string, { type: string; config: Procedure }> {
    return this.#routes;
  }
  getMiddlewares(): unknown[] {
    return this.#middleware;
  }
}

const router = (): CoreRouter => new CoreRouter();

const product = (): CoreRouter =>
  router()
    .query('get', {
      input: z.object({ id: z.number() }),
      handler: ({ input, ctx }) => ({ id: input.id, by: ctx.caller.serviceId }),
    })
    .mutation('put', { handler: async ({ input }) => input })
    .subscription('watch', {
      handler: async function* ({ input }) {
        yield input;
        yield 'more';
      },
    });

describe('a mounted router', () => {
  it('answers its queries, mutations and subscriptions by name', async () => {
    const { client } = await pair((mesh) => mesh.mount({ product: product() }));
    expect(await client.call('product.get', { id: 7 })).toEqual({ id: 7, by: 'caller' });
    expect(await client.call('product.put', [1])).toEqual([1]);
    const seen: unknown[] = [];
    for await (const item of client.serverStream('product.watch', 'first')) seen.push(item);
    expect(seen).toEqual(['first', 'more']);
    expect(await errorOf(client.call('product.get', { id: 'x' }))).toMatchObject({
      reason: 'VALIDATION',
    });
    expect(await errorOf(client.call('product.watch'))).toMatchObject({ reason: 'CALL_KIND' });
  });

  it.each<[string, (mesh: any) => void, string]>([
    ['alone', (mesh) => mesh.mount(product()), 'put'],
    ['under a name', (mesh) => mesh.mount('product', product()), 'product.put'],
    ['nested', (mesh) => mesh.mount({ shop: { product: product() } }), 'shop.product.put'],
    ['under a name, nested', (mesh) => mesh.mount('v1', { product: product() }), 'v1.product.put'],
  ])('is mounted %s', async (_name, setup, method) => {
    const { client } = await pair(setup);
    expect(await client.call(method, 1)).toBe(1);
  });

  it('has its own middleware around its own procedures', async () => {
    const seen: string[] = [];
    const guarded = product().use(async (ctx, next) => {
      seen.push(`> ${ctx.method}`);
      if (ctx.method === 'product.get') throw new MeshError('PERMISSION_DENIED', 'no');
      expect(await next()).toBeUndefined();
      seen.push('<');
    });
    const { client } = await pair((mesh) =>
      mesh.mount({ product: guarded }).handle('other', () => 'other'),
    );
    expect(await client.call('product.put', 5)).toBe(5);
    expect(await client.call('other')).toBe('other');
    expect(await errorOf(client.call('product.get', { id: 1 }))).toMatchObject({
      code: 'PERMISSION_DENIED',
    });
    expect(seen).toEqual(['> product.put', '<', '> product.get']);
  });

  it('is for whom the policy allows', async () => {
    const { client } = await pair((mesh) =>
      mesh
        .mount('a', product(), { allow: ['somebody'] })
        .mount({ b: product() }, { timeoutMs: 900 }),
    );
    expect(await errorOf(client.call('a.put', 1))).toMatchObject({ code: 'PERMISSION_DENIED' });
    expect(await client.call('b.put', 1)).toBe(1);
  });

  it('is mounted whole or not at all', async () => {
    const { client } = await pair((mesh) => {
      mesh.handle('product.watch', { kind: 'serverStream' }, () => []);
      expect(() => mesh.mount({ product: product() })).toThrow(/product\.watch has a handler/);
    });
    expect(await errorOf(client.call('product.put', 1))).toMatchObject({
      reason: 'METHOD_NOT_FOUND',
    });
  });

  const cycle: Record<string, unknown> = {};
  cycle['a'] = cycle;
  it.each<[unknown, RegExp]>([
    [7, /the router must be a router/],
    [{ a: { b: null } }, /a\.b must be a router/],
    [cycle, /nested too deeply/],
    [router().query('x', { handler: 7 as never }), /x must have a handler, got number/],
    [
      { getRoutes: () => new Map([['x', { type: 'push', config: {} }]]) },
      /x must be a query, a mutation or a subscription, got "push"/,
    ],
    [router().query('x', { input: 7, handler: () => 1 }), /must be a Standard Schema/],
  ])('must be one: %o', (wrong, message) => {
    expect(() => make('server').mount(wrong as never)).toThrow(message);
  });
});
