// @ts-check
import { EventEmitter, on } from 'node:events';
import { SecureMesh, serve } from '@lemur-bookstores/secure-stack-mesh';
import { stock } from '../contracts.mjs';

const shelf = new Map([
  ['lemur-mug', 5],
  ['lemur-poster', 1],
]);
const changes = new EventEmitter();

const mesh = new SecureMesh({ serviceId: 'stock', logger: console });

mesh.implement(
  stock,
  {
    reserve({ sku, quantity }, ctx) {
      const left = (shelf.get(sku) ?? 0) - quantity;
      if (left < 0) throw ctx.errors.OUT_OF_STOCK({ left: left + quantity });
      shelf.set(sku, left);
      changes.emit(sku);
      return { left };
    },
    async *watch({ sku }, ctx) {
      const changed = on(changes, sku, { signal: ctx.signal });
      yield { left: shelf.get(sku) ?? 0 };
      for await (const _ of changed) yield { left: shelf.get(sku) ?? 0 };
    },
  },
  // The verified identity of the caller decides.
  { methods: { reserve: { allow: ['orders'] } } },
);

await serve(mesh);
