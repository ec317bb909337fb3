// @ts-check
// The contracts of the shop, which its services share. They contain no code of a service.

import { defineContract, serverStream, unary } from '@lemur-bookstores/secure-stack-mesh';
import { z } from 'zod';

const Sku = z.string().regex(/^[a-z0-9-]{1,40}$/);
const Product = z.object({ sku: Sku, title: z.string(), cents: z.int() });
const Line = z.object({ sku: Sku, quantity: z.int().min(1).max(100) });
const Order = Line.extend({ id: z.string(), title: z.string(), cents: z.int() });

const NO_PRODUCT = /** @type {const} */ ({ code: 'NOT_FOUND' });
const OUT_OF_STOCK = /** @type {const} */ ({
  code: 'FAILED_PRECONDITION',
  data: z.object({ left: z.int() }),
});

export const catalog = defineContract('catalog', {
  list: unary({ output: z.array(Product), idempotent: true }),
  get: unary({
    input: z.object({ sku: Sku }),
    output: Product,
    errors: { NO_PRODUCT },
    idempotent: true,
  }),
});

export const stock = defineContract('stock', {
  /** Takes so many from the shelf. */
  reserve: unary({
    input: Line,
    output: z.object({ left: z.int() }),
    errors: { OUT_OF_STOCK },
  }),
  /** What is left, now and after every change. */
  watch: serverStream({ input: z.object({ sku: Sku }), output: z.object({ left: z.int() }) }),
});

export const orders = defineContract('orders', {
  create: unary({ input: Line, output: Order, errors: { NO_PRODUCT, OUT_OF_STOCK } }),
  get: unary({
    input: z.object({ id: z.string() }),
    output: Order,
    errors: { NO_ORDER: { code: 'NOT_FOUND' } },
    idempotent: true,
  }),
});
