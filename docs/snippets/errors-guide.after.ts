const expected =
  'declared OUT_OF_STOCK,NOT_FOUND NOT_FOUND,INTERNAL HANDLER,INVALID_ARGUMENT VALIDATION';
if (caught.join() !== expected) throw new Error(caught.join());
if (result.ok || !result.declared) throw new Error('not the declared error');
await mesh.cleanup();
await service.cleanup();
