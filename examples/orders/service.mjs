// @ts-check
// The service that answers. client.mjs starts it, or it runs alone. It reports its
// address to its parent process, and stops when the parent disconnects.

import { once } from 'node:events';
import { SecureMesh } from '@lemur-bookstores/secure-stack-mesh';
import { orders } from './contract.mjs';

const stock = new Map([['lemur-mug', 3]]);
let last = 0;

const mesh = new SecureMesh({ serviceId: 'orders', port: 0 });

// This middleware runs around every handler, unary and stream.
mesh.use(async (ctx, next) => {
  let outcome = 'ok';
  try {
    return await next();
  } catch (error) {
    outcome = error.reason ?? 'failed';
    throw error;
  } finally {
    const { tenant } = ctx.metadata;
    console.log(`orders: ${ctx.method} for ${ctx.caller.serviceId} of ${tenant}: ${outcome}`);
  }
});

mesh.implement(
  orders,
  {
    async create({ sku, quantity }, ctx) {
      const left = stock.get(sku) ?? 0;
      if (left < quantity) throw ctx.errors.OUT_OF_STOCK({ left });
      stock.set(sku, left - quantity);
      return { id: (last += 1), sku, quantity };
    },
    async *watch({ id }) {
      for (const step of ['paid', 'packed', 'sent']) yield `order ${id} is ${step}`;
    },
    async restock(boxes) {
      let count = 0;
      for await (const { sku, quantity } of boxes) {
        stock.set(sku, (stock.get(sku) ?? 0) + quantity);
        count += 1;
      }
      return { boxes: count };
    },
    async *quote(questions) {
      for await (const { sku, quantity } of questions) yield { sku, total: 12.5 * quantity };
    },
  },
  // Only the verified identity of a caller counts.
  { allow: ['shop'] },
);

await mesh.initialize();
console.log('orders: ready');
process.send?.(mesh.address());

await once(process, process.send ? 'disconnect' : 'SIGINT');
await mesh.cleanup();
