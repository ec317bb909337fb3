// The peer of the quick start: a process of its own, ready when it says so.
import { MeshError, SecureMesh } from '@lemur-bookstores/secure-stack-mesh';

const mesh = new SecureMesh({ serviceId: 'other-service', port: 50052 });
mesh.handle('methodName', async (input, ctx) => ({ hello: ctx.caller.serviceId, input }));
mesh.handle<{ id: string }, { id: string; title: string }>('orders.get', async ({ id }) => {
  if (id === '1') return { id, title: 'Lemurs of Madagascar' };
  throw new MeshError('NOT_FOUND', 'no such order', { data: { id } });
});
await mesh.initialize();
console.log('ready');
