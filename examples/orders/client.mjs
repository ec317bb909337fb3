// @ts-check
// The service that calls. It starts the other service in a process of its own, and
// stops it again.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { safe, SecureMesh } from '@lemur-bookstores/secure-stack-mesh';
import { orders } from './contract.mjs';

const service = fork(fileURLToPath(new URL('service.mjs', import.meta.url)));
const [address] = await once(service, 'message');

// Without a port this service calls others, and cannot be called.
const mesh = new SecureMesh({
  serviceId: 'shop',
  discovery: { services: [{ id: 'orders', ...address }] },
});

// This middleware runs around every call.
mesh.useClient((call, next) => {
  call.options.metadata.tenant = 'madagascar';
  return next();
});
await mesh.initialize();
const client = mesh.connect(orders);

// Unary. The schemas validate the input and the result.
console.log('shop: created', await client.create({ sku: 'lemur-mug', quantity: 2 }));

// A declared error is a value; the compiler knows its reason and data.
const second = await safe(client.create({ sku: 'lemur-mug', quantity: 2 }));
if (!second.ok && second.declared) {
  console.log('shop: refused', second.error.reason, second.error.data);
}

// An invalid input never reaches the handler.
const third = await safe(client.create({ sku: 'lemur-mug', quantity: -1 }));
if (!third.ok) console.log('shop: refused', third.error.code, third.error.reason);

// Server stream.
for await (const event of client.watch({ id: 1 })) console.log('shop:', event);

// Client stream.
const boxes = ['lemur-mug', 'lemur-poster'].map((sku) => ({ sku, quantity: 10 }));
console.log('shop: delivered', await client.restock(boxes));

// Bidirectional stream.
for await (const { sku, total } of client.quote(boxes)) console.log('shop:', sku, 'costs', total);

const [peer] = mesh.getStats().peers;
console.log('shop: one session with', peer.serviceId, 'by', peer.suite);

await mesh.cleanup();
service.disconnect();
const [code] = await once(service, 'exit');
console.log('shop: the service has left with', code);
