// Errors across the wire, declared and not.
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  defineContract,
  isDeclaredError,
  MeshError,
  safe,
  serverStream,
  unary,
  type Context,
} from '../../js/index.js';
import { call, make, pair, serve } from '../support/meshes.js';
import { errorOf } from '../support/promises.js';

const shop = defineContract('shop', {
  buy: unary({
    errors: {
      OUT_OF_STOCK: {
        code: 'FAILED_PRECONDITION',
        message: 'none left',
        data: z.object({ sku: z.string(), left: z.coerce.string() }),
      },
      CLOSED_TODAY: { code: 'UNAVAILABLE' },
      TRY_LATER: { code: 'ABORTED', retryable: true },
    },
  }),
  watch: serverStream({ errors: { GONE: { code: 'NOT_FOUND' } } }),
});

type Buy = Context<NonNullable<typeof shop.procedures.buy.errors>>;

/** A client of a shop whose `buy` the test provides, and the log of the shop. */
async function open(buy: (ctx: Buy) => never) {
  const logged: any[] = [];
  const server = await serve(
    'shop',
    (mesh) =>
      mesh.implement(shop, {
        buy: (_, ctx) => buy(ctx),
        watch: async function* (_, ctx) {
          yield 1;
          throw ctx.errors.GONE();
        },
      }),
    { logger: { error: (...entry) => void logged.push(entry) } },
  );
  const { mesh } = await call(server);
  return { client: mesh.connect(shop), mesh, logged };
}

describe('a declared error', () => {
  it('arrives with its reason, message and data, and safe() tells it apart', async () => {
    const { client } = await open((ctx) => {
      throw ctx.errors.OUT_OF_STOCK({ sku: 'A', left: 0 }, { retryAfterMs: 500, cause: 'secret' });
    });
    const result = await safe(client.buy());
    expect(result).toMatchObject({ ok: false, declared: true });
    if (result.ok || !result.declared || result.error.reason !== 'OUT_OF_STOCK') throw result.error;
    expect(result.error).toBeInstanceOf(MeshError);
    // The schema converts the number to a string.
    expect(result.error.data).toEqual({ sku: 'A', left: '0' });
    expect(result.error).toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: 'none left',
      retryAfterMs: 500,
      retryable: false,
      remote: true,
      service: 'shop',
      method: 'shop.buy',
      attempts: 1,
    });
    expect(JSON.stringify(result.error)).not.toContain('secret');
  });

  it('has its name for a message, and may say more', async () => {
    const { client } = await open((ctx) => {
      throw ctx.attempt > 0 && ctx.errors.CLOSED_TODAY(undefined, { message: 'open tomorrow' });
    });
    expect(await errorOf(client.buy())).toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'CLOSED_TODAY',
      message: 'open tomorrow',
      retryable: true,
    });
    const mesh = make('x');
    mesh.handle('y', { errors: { GONE: { code: 'NOT_FOUND' } } }, (_, ctx) => {
      expect(ctx.errors.GONE().message).toBe('GONE');
      expect(ctx.errors.GONE().stack).toContain('errors-remote.test');
    });
  });

  it('with data that is not what is declared is this service’s fault', async () => {
    const { client, logged } = await open((ctx) => {
      throw ctx.errors.OUT_OF_STOCK({ sku: 7, secret: 'x' } as never);
    });
    const result = await safe(client.buy());
    expect(result).toMatchObject({
      ok: false,
      declared: false,
      error: { code: 'INTERNAL', reason: 'HANDLER', message: 'internal error' },
    });
    expect(String(logged[0][1].error)).toMatch(/the data of OUT_OF_STOCK is not valid: sku/);
  });

  it('thrown by hand is one all the same, and with another code is none', async () => {
    let code: 'FAILED_PRECONDITION' | 'ABORTED' = 'FAILED_PRECONDITION';
    const { client } = await open(() => {
      throw new MeshError(code, 'x', { reason: 'OUT_OF_STOCK', data: { sku: 'A', left: 1 } });
    });
    const first = await errorOf(client.buy());
    expect(isDeclaredError(shop.procedures.buy, first)).toBe(true);
    expect(first.data).toEqual({ sku: 'A', left: '1' });
    code = 'ABORTED';
    const second = await safe(client.buy());
    expect(second).toMatchObject({ ok: false, declared: false, error: { reason: 'OUT_OF_STOCK' } });
  });

  it('of a stream ends it', async () => {
    const { client } = await open(() => {
      throw new Error();
    });
    const seen: unknown[] = [];
    let error: unknown;
    try {
      for await (const item of client.watch()) seen.push(item);
    } catch (caught) {
      error = caught;
    }
    expect(seen).toEqual([1]);
    expect(isDeclaredError(shop.procedures.watch, error)).toBe(true);
  });

  it('is never one that was made on this side', async () => {
    const error = new MeshError('FAILED_PRECONDITION', 'x', { reason: 'OUT_OF_STOCK' });
    expect(isDeclaredError(shop.procedures.buy, error)).toBe(false);
    expect(isDeclaredError(unary(), error)).toBe(false);
  });

  it.each<[any, RegExp]>([
    [{ gone: { code: 'NOT_FOUND' } }, /errors\.gone: a name must be an upper-case word/],
    [{ GONE: { code: 'GONE' } }, /errors\.GONE\.code must be one of the gRPC codes.*got GONE/],
    [
      { GONE: { code: 'NOT_FOUND', dta: 1 } },
      /errors\.GONE\.dta does not exist; did you mean data/,
    ],
    [{ GONE: { code: 'NOT_FOUND', data: 7 } }, /errors\.GONE\.data must be a Standard Schema/],
    [7, /errors must be an object, got 7/],
  ])('is declared right: %j', (errors, message) => {
    expect(() => unary({ errors })).toThrow(message);
    expect(() => make('server').handle('x', { errors }, () => 1)).toThrow(message);
  });
});

describe('safe', () => {
  it('never rejects, whatever is thrown', async () => {
    expect(await safe(Promise.resolve(1))).toEqual({ ok: true, data: 1 });
    const cause = new TypeError('mine');
    const result = await safe(Promise.reject(cause));
    expect(result).toMatchObject({ ok: false, declared: false, error: { code: 'INTERNAL' } });
    expect(result.error?.cause).toBe(cause);
  });
});

describe('what a handler throws', () => {
  it.each<[string, () => unknown]>([
    ['an Error', () => new Error('secret detail')],
    [
      'an error with a code',
      () => Object.assign(new Error('secret detail'), { code: 'NOT_FOUND' }),
    ],
    ['a text', () => 'secret detail'],
    ['an object', () => ({ code: 'NOT_FOUND', message: 'secret detail' })],
    ['a look-alike', () => ({ name: 'MeshError', code: 'NOT_FOUND', message: 'secret detail' })],
  ])('is masked unless it is a MeshError: %s', async (_name, make_) => {
    const { client } = await pair((mesh) =>
      mesh
        .handle('unary', () => {
          throw make_();
        })
        .handle('stream', async function* () {
          throw make_();
        }),
    );
    for (const failed of [client.call('unary'), client.serverStream('stream').next()]) {
      const error = await errorOf(failed);
      expect(error).toMatchObject({ code: 'INTERNAL', reason: 'HANDLER', remote: true });
      expect(error.errorId).toMatch(/^[0-9a-f-]{36}$/);
      expect(JSON.stringify({ ...error, message: error.message })).not.toContain('secret');
    }
  });

  it('of another service is passed on as it is', async () => {
    const { client } = await pair((mesh) =>
      mesh.handle('relay', async () => {
        throw new MeshError('RESOURCE_EXHAUSTED', 'slow down', {
          reason: 'QUOTA',
          retryAfterMs: 12.3,
          data: ['é', null],
          errorId: 'e-1',
        });
      }),
    );
    expect(await errorOf(client.call('relay'))).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'QUOTA',
      retryAfterMs: 13,
      data: ['é', null],
      errorId: 'e-1',
    });
  });
});
