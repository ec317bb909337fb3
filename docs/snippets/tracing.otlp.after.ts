import assert from 'node:assert/strict';

const { host, port } = mesh.address() as { host: string; port: number };
const caller = new SecureMesh({
  serviceId: 'gateway',
  discovery: { services: [{ id: 'orders', host, port }] },
});
await caller.initialize();
// The caller samples nothing and says nothing, so that the service decides.
const { id } = (await caller.connect('orders').call('orders.get', { id: 'o-7' })) as { id: string };
assert.equal(id, 'o-7');
const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const { trace } = (await caller
  .connect('orders')
  .call('orders.get', { id: 'o-8' }, { metadata: { traceparent } })) as { trace: string };
assert.match(trace, /^00-4bf92f3577b34da6a3ce929d0e0e4736-(?!00f067aa0ba902b7)[0-9a-f]{16}-01$/);
await caller.cleanup();
await mesh.cleanup();
assert.equal(requests[0], 'Bearer of-the-collector');
server.close();
