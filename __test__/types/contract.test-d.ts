// The types of contracts.
import {
  bidiStream,
  clientStream,
  defineContract,
  isDeclaredError,
  MeshError,
  safe,
  SecureMesh,
  serverStream,
  unary,
  type DeclaredError,
} from '@lemur-bookstores/secure-stack-mesh';
import { same, schema } from './schema.js';

interface Order {
  id: number;
  sku: string;
}

const orders = defineContract('orders', {
  create: unary({
    input: schema<{ sku: string; on: string }, { sku: string; on: Date }>(),
    output: schema<Order>(),
    errors: {
      OUT_OF_STOCK: { code: 'FAILED_PRECONDITION', data: schema<{ sku: string }>() },
      CLOSED_TODAY: { code: 'UNAVAILABLE', message: 'come back tomorrow' },
    },
  }),
  ping: unary(),
  find: unary({ input: schema<string | undefined>(), output: schema<Order | null>() }),
  watch: serverStream({ input: schema<{ since: number }>(), output: schema<Order>() }),
  upload: clientStream({ input: schema<Uint8Array>(), output: schema<number>() }),
  chat: bidiStream({ input: schema<string>(), output: schema<{ text: string }>() }),
});

declare const mesh: SecureMesh;
const client = mesh.connect(orders);
mesh.connect(orders, { service: 'orders-eu' });
// @ts-expect-error there is no such option
mesh.connect(orders, { servis: 'orders-eu' });

// The caller's side: arguments have the input types of the schemas, results the output types.
const order = await client.create({ sku: 'A', on: '2031-01-01' }, { timeoutMs: 800 });
same<typeof order, Order>();
await client.ping();
await client.ping(7, { idempotencyKey: 'k' });
await client.find();
await client.find('A');
const found = await client.find(undefined, { timeoutMs: 5 });
same<typeof found, Order | null>();
for await (const one of client.watch({ since: 1 })) same<typeof one, Order>();
const size = await client.upload([new Uint8Array(1)]);
same<typeof size, number>();
for await (const one of client.chat(['a'])) same<typeof one, { text: string }>();

// @ts-expect-error the input is missing
await client.create();
// @ts-expect-error the input is not complete
await client.create({ sku: 'A' });
// @ts-expect-error the input is of another type
await client.create({ sku: 7, on: '' });
// @ts-expect-error a caller passes the input type of the schema, not its output type
await client.create({ sku: 'A', on: new Date() });
// @ts-expect-error there is no such method
await client.destroy({});
// @ts-expect-error there is no such option
await client.ping(1, { timeout: 5 });
// @ts-expect-error one item is not many
await client.upload(7);
// @ts-expect-error a stream of results is not a promise of one
(await client.watch({ since: 1 })).id;

// The reason narrows the type of an error.
const result = await safe(client.create({ sku: 'A', on: '' }));
if (result.ok) {
  same<typeof result.data, Order>();
  same<typeof result.error, undefined>();
} else if (result.declared) {
  same<typeof result.error.reason, 'OUT_OF_STOCK' | 'CLOSED_TODAY'>();
  if (result.error.reason === 'OUT_OF_STOCK') same<typeof result.error.data, { sku: string }>();
  // @ts-expect-error there is no such error
  if (result.error.reason === 'GONE') throw result.error;
} else {
  same<typeof result.error, MeshError>();
  same<typeof result.error.data, unknown>();
}
const plain = await safe(client.ping());
// Without declared errors, `declared` is always false.
if (!plain.ok) same<typeof plain.declared, false>();

try {
  await client.create({ sku: 'A', on: '' });
} catch (error) {
  if (isDeclaredError(orders.procedures.create, error) && error.reason === 'OUT_OF_STOCK') {
    same<typeof error, DeclaredError<'OUT_OF_STOCK', { sku: string }>>();
  }
}

// The service's side.
mesh.implement(
  orders,
  {
    async create(input, ctx) {
      same<typeof input, { sku: string; on: Date }>();
      // @ts-expect-error the data is missing
      if (input.sku === '') throw ctx.errors.OUT_OF_STOCK();
      // @ts-expect-error the data is of another type
      if (input.sku === '') throw ctx.errors.OUT_OF_STOCK({ sku: 7 });
      // @ts-expect-error there is no such error
      if (input.sku === '') throw ctx.errors.GONE();
      if (input.sku === '') throw ctx.errors.CLOSED_TODAY();
      throw ctx.errors.OUT_OF_STOCK({ sku: input.sku }, { message: 'gone', cause: 1 });
    },
    ping: () => 1,
    find: (sku) => {
      same<typeof sku, string | undefined>();
      return null;
    },
    async *watch({ since }, ctx) {
      same<typeof since, number>();
      while (!ctx.signal.aborted) yield { id: since, sku: '' };
    },
    async upload(chunks) {
      let bytes = 0;
      for await (const chunk of chunks) bytes += chunk.length;
      return bytes;
    },
    chat: async function* (texts) {
      for await (const text of texts) yield { text };
    },
  },
  { allow: ['gateway'], methods: { create: { timeoutMs: 5 } } },
);

const small = defineContract('small', {
  get: unary({ output: schema<number>() }),
  count: serverStream({ output: schema<number>() }),
});
// @ts-expect-error a handler is missing
mesh.implement(small, { get: () => 1 });
// @ts-expect-error there is no such method
mesh.implement(small, { get: () => 1, count: () => [1], other: () => 1 });
// @ts-expect-error the result is of another type
mesh.implement(small, { get: () => 'one', count: () => [1] });
const texts = async function* (): AsyncGenerator<string> {
  yield 'one';
};
// @ts-expect-error an item is of another type
mesh.implement(small, { get: async () => 1, count: texts });
// @ts-expect-error one result is not many
mesh.implement(small, { get: () => 1, count: () => 1 });
// @ts-expect-error there is no such method to configure
mesh.implement(small, { get: () => 1, count: () => [1] }, { methods: { got: {} } });

// @ts-expect-error not a gRPC code
unary({ errors: { GONE: { code: 'GONE' } } });
// @ts-expect-error not a schema
unary({ input: 7 });
// @ts-expect-error not created by unary or one of its siblings
defineContract('x', { get: () => 1 });
