// Two services in two processes: `shop` asks `inventory` for its stock.
//
//   npm start                              both: the shop starts the inventory
//   node dist/mesh-example.js inventory    the inventory alone
//
// There is no security configuration: the two prove to each other that they run
// as the same user on this machine. With an inventory on another machine, only
// `discovery` and `security` would change.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { MeshError, SecureMesh } from '@lemur-bookstores/secure-stack-mesh';

interface Item {
  sku: string;
  count: number;
}

// ---- the service that answers ---------------------------------------------

async function inventory(): Promise<void> {
  const stock = new Map([
    ['lemur-mug', 3],
    ['lemur-poster', 0],
  ]);
  const mesh = new SecureMesh({ serviceId: 'inventory', port: 0 });

  mesh.handle<{ sku: string }, Item>('stock.get', async ({ sku }) => {
    const count = stock.get(sku);
    if (count === undefined) throw new MeshError('NOT_FOUND', `no such item: ${sku}`);
    return { sku, count };
  });

  mesh.handle<Item, Item>('stock.reserve', async ({ sku, count }, ctx) => {
    // The mesh has proved the caller's identity; the handler decides about its permission.
    if (ctx.caller.serviceId !== 'shop') {
      throw new MeshError('PERMISSION_DENIED', 'only the shop reserves');
    }
    const left = (stock.get(sku) ?? 0) - count;
    if (left < 0) {
      throw new MeshError('FAILED_PRECONDITION', 'not enough in stock', {
        reason: 'OUT_OF_STOCK',
        data: { missing: -left },
      });
    }
    stock.set(sku, left);
    return { sku, count: left };
  });

  // Bytes as input and as result, without JSON.
  mesh.handle<Uint8Array, Uint8Array>('label.print', async (text) => {
    return Buffer.from(Buffer.from(text).toString('utf8').toUpperCase());
  });

  // Never answers: the caller's deadline ends the call and aborts `signal`.
  mesh.handle('stock.recount', async (_input, ctx) => {
    await once(ctx.signal, 'abort');
  });

  await mesh.initialize();
  const address = mesh.address();
  process.send?.(address);
  console.log('inventory: listening on', address);

  await once(process, process.send ? 'disconnect' : 'SIGINT');
  await mesh.cleanup();
}

// ---- the service that calls -------------------------------------------------

async function shop(): Promise<void> {
  const child = fork(fileURLToPath(import.meta.url), ['inventory']);
  const [address] = (await once(child, 'message')) as [{ host: string; port: number }];

  // Without a port the shop calls other services, and cannot be called.
  const mesh = new SecureMesh({
    serviceId: 'shop',
    discovery: { services: [{ id: 'inventory', ...address }] },
  });
  await mesh.initialize();
  const client = mesh.connect('inventory');

  // Concurrent first calls share one connection and one handshake.
  const items = await Promise.all([
    client.call<{ sku: string }, Item>('stock.get', { sku: 'lemur-mug' }),
    client.call<{ sku: string }, Item>('stock.get', { sku: 'lemur-poster' }),
  ]);
  console.log('shop: in stock', items);

  const left = await client.call<Item, Item>('stock.reserve', { sku: 'lemur-mug', count: 2 });
  console.log('shop: reserved, left', left);

  // A MeshError of the handler arrives unchanged.
  await client.call<Item, Item>('stock.reserve', { sku: 'lemur-mug', count: 2 }).catch(report);

  const label = await client.call<Uint8Array, Uint8Array>('label.print', Buffer.from('lemur mug'));
  console.log('shop: label', Buffer.from(label).toString('utf8'));

  // A call never waits beyond its deadline.
  await client.call('stock.recount', {}, { timeoutMs: 200 }).catch(report);

  console.log('shop: active sessions', mesh.getStats().activeSessions);
  await mesh.cleanup();

  child.disconnect();
  const [code] = (await once(child, 'exit')) as [number | null];
  console.log('shop: the inventory has left with', code);
}

function report(error: unknown): void {
  if (!(error instanceof MeshError)) throw error;
  console.log('shop: refused with', error.code, error.reason, ...(error.data ? [error.data] : []));
}

await (process.argv[2] === 'inventory' ? inventory() : shop());
