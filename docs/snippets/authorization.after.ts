if (allowed || rule !== null) throw new Error(why);
if (!mesh.explain({ from: 'gateway', method: 'orders.get' }).allowed)
  throw new Error('not permitted');
await mesh.cleanup();
