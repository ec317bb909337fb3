// Contracts: defined once, typed and checked on both sides.
import { expect, it } from 'vitest';
import {
  bidiStream,
  clientStream,
  defineContract,
  isDeclaredError,
  MeshError,
  safe,
  serverStream,
  unary,
} from '../../js/index.js';
import { implementation } from '../../js/testing/index.js';
import { pair, services } from '../support/kit.js';
import { deferred, errorOf } from '../support/promises.js';

/** A handwritten Standard Schema, the only interface of this package to schema libraries. */
function schema<T>(name: string, check: (value: unknown) => value is T) {
  return {
    '~standard': {
      version: 1 as const,
      vendor: 'test',
      types: undefined as unknown as { input: T; output: T },
      validate: (value: unknown) =>
        check(value) ? { value } : { issues: [{ message: `not a ${name}`, path: [name] }] },
    },
  };
}

const NewOrder = schema('order', (value): value is { sku: string } => {
  return typeof (value as { sku?: unknown } | null)?.sku === 'string';
});
const Order = schema('result', (value): value is { id: number; sku: string } => {
  return typeof (value as { id?: unknown } | null)?.id === 'number';
});
const Count = schema('count', (value): value is number => typeof value === 'number');

const orders = defineContract('orders', {
  create: unary({
    input: NewOrder,
    output: Order,
    errors: { OUT_OF_STOCK: { code: 'FAILED_PRECONDITION', data: NewOrder } },
  }),
  count: serverStream({ input: Count, output: Count }),
  sum: clientStream({ input: Count, output: Count }),
  double: bidiStream({ input: Count, output: Count }),
});

async function shop() {
  const kit = await services({
    orders: implementation(orders, {
      async create({ sku }, ctx) {
        if (sku === 'gone') throw ctx.errors.OUT_OF_STOCK({ sku });
        if (sku === 'bad') return { id: 'no number' } as never;
        return { id: 1, sku };
      },
      async *count(to) {
        for (let number = 0; number < to; number += 1) yield number;
      },
      async sum(numbers) {
        let sum = 0;
        for await (const number of numbers) sum += number;
        return sum;
      },
      async *double(numbers) {
        for await (const number of numbers) yield number * 2;
      },
    }),
  });
  return kit.connect(orders);
}

it('all four kinds, by name', async () => {
  const client = await shop();
  expect(await client.create({ sku: 'a' }, { timeoutMs: 5000 })).toEqual({ id: 1, sku: 'a' });
  const seen: number[] = [];
  for await (const number of client.count(3)) seen.push(number);
  expect(seen).toEqual([0, 1, 2]);
  expect(await client.sum([1, 2, 3])).toBe(6);
  for await (const number of client.double([4])) expect(number).toBe(8);
});

it('declared errors are values with types', async () => {
  const client = await shop();
  const result = await safe(client.create({ sku: 'gone' }));
  expect(result.ok).toBe(false);
  if (!result.ok && isDeclaredError(orders.procedures.create, result.error)) {
    expect(result.error.reason).toBe('OUT_OF_STOCK');
    expect(result.error.data).toEqual({ sku: 'gone' });
    expect(result.error).toBeInstanceOf(MeshError);
  } else {
    throw new Error('not the declared error');
  }
  expect(await safe(client.create({ sku: 'a' }))).toMatchObject({ ok: true, data: { id: 1 } });
});

it('what does not fit is refused: inputs with their issues, results in silence', async () => {
  const client = await shop();
  expect(await errorOf(client.create({} as never))).toMatchObject({
    code: 'INVALID_ARGUMENT',
    reason: 'VALIDATION',
    data: { issues: [{ message: 'not a order', path: ['order'] }] },
  });
  const bad = await errorOf(client.create({ sku: 'bad' }));
  expect(bad).toMatchObject({ code: 'INTERNAL' });
  expect(JSON.stringify(bad)).not.toContain('not a result');
  expect(await errorOf(client.sum(['x' as never]))).toMatchObject({ reason: 'VALIDATION' });
});

it.each<[any, any, RegExp]>([
  ['', {}, /the name of a contract is letters/],
  ['a b', {}, /got "a b"/],
  ['a', null, /a must be an object of methods/],
  ['a', { 'b.c': unary() }, /a\.b\.c: a method's name is a letter/],
  ['a', { then: unary() }, /a\.then: .*not a name such as then/],
  ['a', { toString: unary() }, /a\.toString: /],
  ['a', { constructor: unary() }, /a\.constructor: /],
  ['a', { get: () => 1 }, /a\.get must be made by unary/],
  ['a', { get: { kind: 'toString' } }, /a\.get must be made by unary/],
])('a contract is refused when it is none: %j %j', (name, procedures, message) => {
  expect(() => defineContract(name, procedures)).toThrow(message);
});

it('a procedure is checked when it is written', () => {
  expect(() => unary({ inputs: Count } as never)).toThrow(/unary\.inputs does not exist; did you/);
  expect(() => serverStream({ output: 7 } as never)).toThrow(
    /serverStream\.output must be a Standard Schema/,
  );
});

it('a client of a contract can be awaited, and has its methods only', async () => {
  const kit = await services({ orders: () => {} });
  const mesh = kit.mesh('caller');
  const client = await Promise.resolve(mesh.connect(orders));
  expect(Object.keys(client)).toEqual(['create', 'count', 'sum', 'double']);
  expect('toString' in client).toBe(false);
  expect(Object.isFrozen(client)).toBe(true);
  expect(() => mesh.connect(orders, { servic: 'x' } as never)).toThrow(/did you mean service/);
});

it('a contract is served by whoever is named, and from within handlers', async () => {
  const ids = defineContract('ids', { next: unary({ idempotent: true }) });
  const kit = await services({
    'orders-eu': implementation(ids, {
      next: (_, ctx) => ({ id: ctx.requestId, left: ctx.timeoutMs() }),
    }),
    front: {
      next: (_: unknown, ctx) => ctx.connect(ids, { service: 'orders-eu' }).next(undefined),
    },
  });
  const client = kit.connect('front');
  const options = { metadata: { 'x-request-id': 'r-1' }, timeoutMs: 2000 };
  const answer: any = await client.call('next', 1, options);
  expect(answer.id).toBe('r-1');
  expect(answer.left).toBeLessThanOrEqual(2000);
});

it('a contract is implemented by an object with methods, under a policy', async () => {
  class Counter {
    count = 0;
    next(): number {
      return (this.count += 1);
    }
    reset(): number {
      return (this.count = 0);
    }
  }
  const counter = defineContract('counter', { next: unary(), reset: unary() });
  const policy = { allow: ['caller'], methods: { reset: { allow: ['admin'] } } };
  const kit = await services({ counter: implementation(counter, new Counter(), policy) });
  const client = kit.connect(counter, { as: 'caller' });
  expect([await client.next(), await client.next()]).toEqual([1, 2]);
  expect(await errorOf(client.reset())).toMatchObject({ code: 'PERMISSION_DENIED' });
  expect(() =>
    kit.mesh('other').implement(counter, { next: () => 1, reset: () => 1 }, {
      methods: { reste: {} },
    } as never),
  ).toThrow(/options\.methods\.reste does not exist; did you mean reset/);
});

it('a contract is implemented whole, and nothing besides', async () => {
  const server = (await services({ orders: () => {} })).mesh('orders');
  const some = { create: async () => ({ id: 1, sku: '' }) };
  expect(() => server.implement(orders, some as never)).toThrow(/count/);
  expect(() =>
    server.implement(defineContract('c', { a: unary() }), { a: () => 1, b: () => 2 } as never),
  ).toThrow(/b/);
});

it('an idempotency key runs a handler once', async () => {
  let runs = 0;
  const go = deferred();
  const { client } = await pair((mesh) => {
    mesh.handle('pay', async (input) => {
      runs += 1;
      await go.promise;
      return { run: runs, input };
    });
  });
  const options = { idempotencyKey: 'key-1' };
  const both = [client.call('pay', 1, options), client.call('pay', 1, options)];
  go.resolve();
  expect(await Promise.all(both)).toEqual([
    { run: 1, input: 1 },
    { run: 1, input: 1 },
  ]);
  expect(await client.call('pay', 1, options)).toEqual({ run: 1, input: 1 });
  expect(await errorOf(client.call('pay', 2, options))).toMatchObject({
    reason: 'IDEMPOTENCY_MISMATCH',
  });
  expect(await client.call('pay', 2, { idempotencyKey: 'key-2' })).toMatchObject({ run: 2 });
});

it('a router of SecureStack is mounted under its name', async () => {
  const routes = new Map([
    ['get', { type: 'query', config: { handler: ({ input }: any) => ({ id: input.id }) } }],
  ]);
  const { client } = await pair((mesh) => {
    mesh.mount({ product: { getRoutes: () => routes } });
  });
  expect(await client.call('product.get', { id: 7 })).toEqual({ id: 7 });
});

it('calls inside of a handler inherit its deadline, without anything being passed', async () => {
  const kit = await services({
    inner: { left: (_: unknown, ctx) => ctx.timeoutMs() },
    outer: (mesh) => {
      const inner = mesh.connect('inner');
      mesh.handle('left', () => inner.call('left'));
      mesh.handle('free', () => inner.call('left', undefined, { detached: true }));
    },
  });
  const client = kit.connect('outer');
  expect(await client.call('left', undefined, { timeoutMs: 700 })).toBeLessThanOrEqual(700);
  expect(await client.call('free', undefined, { timeoutMs: 700 })).toBeGreaterThan(5000);
});
