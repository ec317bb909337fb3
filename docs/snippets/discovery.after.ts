assert(service !== undefined);
assert.equal(service.id, 'my-service');
assert.equal(service.port, 50051);
assert.equal(discovery.lookup('another-service'), undefined);
