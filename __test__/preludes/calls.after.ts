if (order.title !== 'Lemurs of Madagascar') throw new Error(order.title);
await mesh.cleanup();
