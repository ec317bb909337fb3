// The handlers do what the text says, for those whom it names.
await mesh.initialize();
const port = mesh.address()!.port;
for (const serviceId of ['my-service', 'somebody-else']) {
  const caller = new SecureMesh({
    serviceId,
    discovery: { services: [{ id: 'other-service', host: '127.0.0.1', port }] },
  });
  await caller.initialize();
  const client = caller.connect('other-service');
  const outcome = async (id: string) => {
    try {
      return (await client.call<{ id: string }, Order>('orders.get', { id })).title;
    } catch (error) {
      return error instanceof MeshError ? error.code : 'not a MeshError';
    }
  };
  const outcomes = [await outcome('1'), await outcome('none')].join();
  const wanted =
    serviceId === 'my-service'
      ? 'Lemurs of Madagascar,NOT_FOUND'
      : 'PERMISSION_DENIED,PERMISSION_DENIED';
  if (outcomes !== wanted) throw new Error(`${serviceId}: ${outcomes}`);
  const bytes = await client.call<Uint8Array, Uint8Array>('blob.reverse', Uint8Array.of(1, 2, 3));
  if (bytes.join() !== '3,2,1') throw new Error(`blob.reverse: ${bytes.join()}`);
  await caller.cleanup();
}
await mesh.cleanup();
