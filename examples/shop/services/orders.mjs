// @ts-check
import { randomUUID } from 'node:crypto';
import { isDeclaredError, SecureMesh, serve } from '@lemur-bookstores/secure-stack-mesh';
import { catalog, orders, stock } from '../contracts.mjs';

const mesh = new SecureMesh({ serviceId: 'orders', logger: console });
const kept = new Map();

mesh.implement(
  orders,
  {
    async create({ sku, quantity }, ctx) {
      try {
        // Both calls have the deadline, the request id and the trace of the request.
        const { title, cents } = await ctx.connect(catalog).get({ sku });
        await ctx.connect(stock).reserve({ sku, quantity });
        const order = { id: randomUUID(), sku, quantity, title, cents: cents * quantity };
        kept.set(order.id, order);
        return order;
      } catch (error) {
        // What another service says is for this one. Two of its errors are for the caller as well.
        if (isDeclaredError(catalog.procedures.get, error)) throw ctx.errors.NO_PRODUCT();
        if (isDeclaredError(stock.procedures.reserve, error))
          throw ctx.errors.OUT_OF_STOCK(error.data);
        throw error;
      }
    },
    get({ id }, ctx) {
      const order = kept.get(id);
      if (order === undefined) throw ctx.errors.NO_ORDER();
      return order;
    },
  },
  { allow: ['gateway'] },
);

await serve(mesh);
