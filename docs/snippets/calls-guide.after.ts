if (JSON.stringify(reserved) !== '{"sku":"A-1","by":"shop","tenant":"t1"}') {
  throw new Error(JSON.stringify(reserved));
}
await mesh.cleanup();
await service.cleanup();
