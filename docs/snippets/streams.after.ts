if (sum !== 6) throw new Error(`the sum is ${sum}`);
await mesh.cleanup();
await service.cleanup();
