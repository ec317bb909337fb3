// Real schema libraries in a contract keep their types.
import { type } from 'arktype';
import * as v from 'valibot';
import { z } from 'zod';
import { defineContract, SecureMesh, unary } from '@lemur-bookstores/secure-stack-mesh';
import { same } from './schema.js';

const contract = defineContract('libraries', {
  zod: unary({
    input: z.object({
      on: z.string().transform((text) => new Date(text)),
      n: z.number().default(1),
    }),
    output: z.string(),
  }),
  valibot: unary({ input: v.object({ sku: v.string() }), output: v.number() }),
  arktype: unary({ input: type({ 'sku?': 'string' }), output: type('boolean') }),
});

declare const mesh: SecureMesh;
const client = mesh.connect(contract);
const text = await client.zod({ on: '2031-01-01' });
same<typeof text, string>();
const number = await client.valibot({ sku: 'A' });
same<typeof number, number>();
const flag = await client.arktype({});
same<typeof flag, boolean>();
// @ts-expect-error the input is of another type
await client.valibot({ sku: 7 });
// @ts-expect-error the input is of another type
await client.arktype({ sku: 7 });

mesh.implement(contract, {
  zod: (input) => {
    same<typeof input, { on: Date; n: number }>();
    return 'x';
  },
  valibot: ({ sku }) => sku.length,
  arktype: async ({ sku }) => sku === undefined,
});
