// @ts-check
// The contract that both sides share. It contains no code of the service. The
// schemas are zod's; any Standard Schema library works.

import {
  bidiStream,
  clientStream,
  defineContract,
  serverStream,
  unary,
} from '@lemur-bookstores/secure-stack-mesh';
import { z } from 'zod';

const NewOrder = z.object({ sku: z.string(), quantity: z.int().positive() });
const Order = NewOrder.extend({ id: z.int() });

export const orders = defineContract('orders', {
  /** One input, one result, and a declared error. */
  create: unary({
    input: NewOrder,
    output: Order,
    errors: {
      OUT_OF_STOCK: {
        code: 'FAILED_PRECONDITION',
        data: z.object({ left: z.int() }),
      },
    },
  }),
  /** One input, many results: the progress of an order. */
  watch: serverStream({ input: z.object({ id: z.int() }), output: z.string() }),
  /** Many inputs, one result: a delivery, box by box. */
  restock: clientStream({ input: NewOrder, output: z.object({ boxes: z.int() }) }),
  /** Many inputs, many results: a price for each question. */
  quote: bidiStream({ input: NewOrder, output: z.object({ sku: z.string(), total: z.number() }) }),
});
