// Schemas around handlers: zod, valibot and arktype, by their common standard.
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { MeshError, type StandardSchema } from '../../js/index.js';
import { pair } from '../support/kit.js';
import { make } from '../support/meshes.js';
import { errorOf } from '../support/promises.js';

/** A handwritten schema. */
function schema<T>(validate: (value: any) => any): StandardSchema<T> {
  return { '~standard': { version: 1, vendor: 'test', validate } };
}

// Arktype's own types do not compile with `exactOptionalPropertyTypes`.
const arktype: string = 'arktype';
const { type } = (await import(arktype)) as { type: (shape: object) => StandardSchema<any> };

const item = { sku: 'A-1', count: 2 };

describe.each<[string, StandardSchema<typeof item>]>([
  ['zod', z.object({ sku: z.string(), count: z.number().int() })],
  ['valibot', v.object({ sku: v.string(), count: v.pipe(v.number(), v.integer()) })],
  ['arktype', type({ sku: 'string', count: 'number.integer' })],
])('a schema of %s', (_name, Item) => {
  it('lets pass what fits, and names what does not', async () => {
    let runs = 0;
    const { client } = await pair((mesh) =>
      mesh.handle('take', { input: Item }, (input) => {
        runs += 1;
        return input;
      }),
    );
    expect(await client.call('take', item)).toEqual(item);
    const error = await errorOf(client.call('take', { ...item, count: 'two' }));
    expect(error).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'VALIDATION',
      remote: true,
      retryable: false,
      data: { issues: [{ path: ['count'], message: expect.any(String) }] },
    });
    expect(error.message).toMatch(/^the input is not valid: count: /);
    expect(runs).toBe(1);
  });

  it('keeps a wrong result from being sent, and logs what is wrong with it', async () => {
    const logged: any[] = [];
    const { client } = await pair(
      (mesh) =>
        mesh
          .handle('right', { output: Item }, () => item)
          .handle('wrong', { output: Item }, () => ({ sku: 'SECRET', count: 1.5 })),
      { logger: { error: (...entry) => void logged.push(entry) } },
    );
    expect(await client.call('right')).toEqual(item);
    const error = await errorOf(client.call('wrong'));
    expect(error).toMatchObject({ code: 'INTERNAL', reason: 'HANDLER', message: 'internal error' });
    expect(JSON.stringify(error)).not.toContain('count');
    expect(logged).toHaveLength(1);
    expect(logged[0][1]).toMatchObject({ errorId: error.errorId });
    expect(logged[0][1].error.issues).toMatchObject([{ path: ['count'] }]);
  });

  it('is asked about each item of a stream', async () => {
    const { client } = await pair((mesh) =>
      mesh.handle(
        'each',
        { kind: 'bidiStream', input: Item, output: Item },
        async function* (items: AsyncIterable<unknown>) {
          yield* items as AsyncIterable<typeof item>;
        },
      ),
    );
    const seen: unknown[] = [];
    const error = await errorOf(
      (async () => {
        for await (const one of client.bidiStream('each', [item, { ...item, sku: 7 }])) {
          seen.push(one);
        }
      })(),
    );
    expect(seen).toEqual([item]);
    expect(error).toMatchObject({ reason: 'VALIDATION', data: { issues: [{ path: ['sku'] }] } });
  });
});

describe('schemas', () => {
  it('can change what the handler reads and what is sent', async () => {
    const { client } = await pair((mesh) =>
      mesh.handle(
        'day',
        {
          input: z.object({ on: z.iso.datetime().transform((text) => new Date(text)) }),
          output: z.date().transform((date) => date.getUTCFullYear()),
        },
        ({ on }) => {
          expect(on).toBeInstanceOf(Date);
          return on;
        },
      ),
    );
    expect(await client.call('day', { on: '2031-05-06T07:08:09Z' })).toBe(2031);
  });

  it('can take their time', async () => {
    const Taken = z.string().refine(async (name) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return name !== 'taken';
    }, 'is taken');
    const { client } = await pair((mesh) => mesh.handle('name', { input: Taken }, (name) => name));
    expect(await client.call('name', 'free')).toBe('free');
    expect(await errorOf(client.call('name', 'taken'))).toMatchObject({
      message: 'the input is not valid: is taken',
      data: { issues: [{ path: [], message: 'is taken' }] },
    });
  });

  it('are asked before any middleware and after all of it', async () => {
    const seen: string[] = [];
    const { client } = await pair((mesh) =>
      mesh
        .use(async (_ctx, next) => {
          seen.push('middleware');
          return (await next()) === 'kept' ? 'kept' : 7;
        })
        .handle('text', { input: z.string(), output: z.string() }, (text) => text),
    );
    await errorOf(client.call('text', 1));
    expect(seen).toEqual([]);
    expect(await client.call('text', 'kept')).toBe('kept');
    // The schema checks the result of the middleware.
    expect(await errorOf(client.call('text', 'other'))).toMatchObject({ code: 'INTERNAL' });
  });

  it('say only so much to a caller', async () => {
    const Loud = schema<unknown>(() => ({
      issues: Array.from({ length: 5000 }, (_, index) => ({
        message: 'x'.repeat(10_000),
        path: [{ key: index }, Symbol('s'), ...Array.from({ length: 100 }, () => 'deep')],
      })),
    }));
    const { client } = await pair((mesh) => mesh.handle('loud', { input: Loud }, () => 1));
    const { data, message } = await errorOf(client.call('loud', 1));
    expect(data.issues).toHaveLength(20);
    expect(data.issues[3].path.slice(0, 3)).toEqual([3, 'Symbol(s)', 'deep']);
    expect(data.issues[3].path).toHaveLength(16);
    expect(data.issues[3].message.length).toBeLessThan(250);
    expect(message.length).toBeLessThan(600);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('secret detail');
      },
    ],
    ['rejects', () => Promise.reject(new Error('secret detail'))],
  ])('that fail are this service’s fault: one that %s', async (_name, validate) => {
    const { client } = await pair((mesh) =>
      mesh.handle('broken', { input: schema(validate) }, () => 1),
    );
    const error = await errorOf(client.call('broken', 1));
    expect(error).toMatchObject({ code: 'INTERNAL', reason: 'HANDLER' });
    expect(JSON.stringify(error)).not.toContain('secret');
  });

  it('that report failure without an issue still fail', async () => {
    const { client } = await pair((mesh) =>
      mesh.handle('never', { input: schema(() => ({ issues: [] })) }, () => 1),
    );
    expect(await errorOf(client.call('never', 1))).toMatchObject({
      reason: 'VALIDATION',
      message: 'the input is not valid',
    });
  });

  it('must be schemas', () => {
    const mesh = make('server');
    for (const wrong of [7, {}, null, () => 1, { '~standard': { version: 2 } }]) {
      expect(() => mesh.handle('x', { input: wrong } as never, () => 1)).toThrow(
        /options\.input must be a Standard Schema/,
      );
    }
    expect(() => mesh.handle('x', { output: 7 } as never, () => 1)).toThrow(MeshError);
  });
});
