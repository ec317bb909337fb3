// other-service, as a process of its own: the peer of the callers in the documents.
import { MeshError, SecureMesh } from '@lemur-bookstores/secure-stack-mesh';

const mesh = new SecureMesh({ serviceId: 'other-service', port: 50052 });
mesh.handle('methodName', async (input, ctx) => ({ hello: ctx.caller.serviceId, input }));
mesh.handle<{ id: string }>('orders.get', ({ id }) => {
  if (id !== '1') throw new MeshError('NOT_FOUND', 'no such order', { data: { id } });
  return { id, title: 'The Left Hand of Darkness' };
});
await mesh.initialize();
console.log('ready');
