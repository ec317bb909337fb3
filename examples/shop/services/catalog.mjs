// @ts-check
import { SecureMesh, serve } from '@lemur-bookstores/secure-stack-mesh';
import { catalog } from '../contracts.mjs';

const products = new Map([
  ['lemur-mug', { sku: 'lemur-mug', title: 'Lemur mug', cents: 1250 }],
  ['lemur-poster', { sku: 'lemur-poster', title: 'Lemur poster', cents: 990 }],
]);

const mesh = new SecureMesh({ serviceId: 'catalog', logger: console });

mesh.implement(catalog, {
  list: () => [...products.values()],
  get({ sku }, ctx) {
    const product = products.get(sku);
    if (product === undefined) throw ctx.errors.NO_PRODUCT();
    return product;
  },
});

await serve(mesh);
