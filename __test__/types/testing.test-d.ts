// The types of the test kit.
import {
  defineContract,
  MeshError,
  SecureMesh,
  unary,
  type Context,
} from '@lemur-bookstores/secure-stack-mesh';
import {
  createHandlerContext,
  createTestMesh,
  implementation,
  type Fault,
} from '@lemur-bookstores/secure-stack-mesh/testing';
import { same, schema } from './schema.js';

const orders = defineContract('orders', {
  get: unary({ input: schema<number>(), output: schema<{ sku: string }>() }),
});

const kit = await createTestMesh({
  services: {
    orders: implementation(orders, { get: () => ({ sku: 'a' }) }),
    stock: { left: (sku: string, ctx: Context) => sku.length + ctx.timeoutMs() },
    other: (mesh) => same<typeof mesh, SecureMesh>(),
  },
  config: (id) => ({ limits: { callTimeoutMs: id.length } }),
});

const order = await kit.connect(orders, { as: 'me' }).get(1);
same<typeof order, { sku: string }>();
const mesh = kit.mesh('anybody');
same<typeof mesh, SecureMesh>();
await kit.connect('stock').call('left', 'a');
// @ts-expect-error there is no such service
kit.connect('stok');
// @ts-expect-error there is no such service
kit.connect(orders, { service: 'stok' });
// @ts-expect-error the input is a number
await kit.connect(orders).get('1');
// @ts-expect-error the handler returns the wrong type
implementation(orders, { get: () => 7 });
// @ts-expect-error the kit sets the ports
await createTestMesh({ services: {}, config: { port: 1 } });
// @ts-expect-error the kit sets the keys
await createTestMesh({ services: {}, config: { security: { rsaKeySize: 4096 } } });

const fault = kit.faults.add({ service: 'stock', error: 'UNAVAILABLE' });
same<typeof fault, Fault>();
kit.faults.add({ error: new MeshError('ABORTED', 'x'), times: 1 });
// @ts-expect-error not a code
kit.faults.add({ error: 'BROKEN' });

const ctx = createHandlerContext({ errors: { GONE: { code: 'NOT_FOUND' } } });
const gone = ctx.errors.GONE();
same<typeof gone.reason, 'GONE'>();
// @ts-expect-error not declared
ctx.errors.LOST();
const plain: Context = createHandlerContext();
void plain;
