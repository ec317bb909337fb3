if (result.ok || result.error.reason !== 'OUT_OF_STOCK') throw new Error('not the declared error');
await mesh.cleanup();
await service.cleanup();
