const caller = new SecureMesh({
  serviceId: 'gateway',
  discovery: { services: [{ id: 'orders', host: 'localhost', port: 50061 }] },
});
await caller.initialize();
await caller.connect('orders').call('orders.get', { id: 'o-7' });
await provider.forceFlush();
const [request, call] = exporter.getFinishedSpans();
assert.equal(request?.name, 'orders/orders.get');
assert.equal(request?.attributes['order.id'], 'o-7');
assert.equal(request?.attributes['securestack.peer.service'], 'gateway');
assert.equal(call?.attributes['rpc.status_code'], 'OK');
assert.equal(request?.parentSpanContext?.spanId, call?.spanContext().spanId);
await caller.cleanup();
await mesh.cleanup();
await provider.shutdown();
