await mesh.initialize();
const address = mesh.address();
assert(address !== null);

async function caller(serviceId: string): Promise<SecureMesh> {
  const services = [{ id: 'other-service', ...address! }];
  const made = new SecureMesh({ serviceId, discovery: { services } });
  await made.initialize();
  return made;
}

const mine = await caller('my-service');
const client = mine.connect('other-service');
assert.deepEqual(await client.call('orders.get', { id: '1' }), orders.get('1'));
await assert.rejects(client.call('orders.get', { id: '2' }), (error) => {
  assert(error instanceof MeshError);
  assert.equal(error.code, 'NOT_FOUND');
  assert.equal(error.message, 'no such order');
  assert.deepEqual(error.data, { id: '2' });
  assert.equal(error.remote, true);
  return true;
});
assert.deepEqual(await client.call('blob.reverse', Uint8Array.of(1, 2, 3)), Uint8Array.of(3, 2, 1));

const stranger = await caller('third-service');
await assert.rejects(stranger.connect('other-service').call('orders.get', { id: '1' }), {
  code: 'PERMISSION_DENIED',
  message: 'orders are for my-service only',
});

await stranger.cleanup();
await mine.cleanup();
await mesh.cleanup();
