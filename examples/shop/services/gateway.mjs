// @ts-check
import { Readable } from 'node:stream';
import Fastify from 'fastify';
import { fastifyErrors, SecureMesh, serve } from '@lemur-bookstores/secure-stack-mesh';
import { catalog, orders, stock } from '../contracts.mjs';

// It calls others, and cannot be called: it has no port of the mesh.
const mesh = new SecureMesh({ serviceId: 'gateway', logger: console });
const products = mesh.connect(catalog);
const shelf = mesh.connect(stock);
const app = Fastify();
app.setErrorHandler(fastifyErrors());

// All calls of a request have two seconds together, and its id.
const within = (request, run) => mesh.scope({ timeoutMs: 2_000, requestId: request.id }, run);

app.get('/products', (request) => within(request, () => products.list()));
app.post('/orders', async (request, reply) => {
  reply.code(201);
  return within(request, () => mesh.connect(orders).create(request.body));
});
app.get('/orders/:id', (request) =>
  within(request, () => mesh.connect(orders).get({ id: request.params.id })),
);
app.get('/stock/:sku', (request, reply) => {
  async function* events() {
    for await (const { left } of shelf.watch({ sku: request.params.sku }))
      yield `data: ${left}\n\n`;
  }
  reply.type('text/event-stream').send(Readable.from(events()));
});

await app.listen({ port: Number(process.env.PORT ?? 8080), host: process.env.HOST ?? '127.0.0.1' });
await serve(mesh, { beforeDrain: () => app.close() });
