if (echoed !== 'Echo: hello') throw new Error(`echoed ${echoed}`);
if (JSON.stringify(order) !== '{"id":7,"for":"migrated-shop"}')
  throw new Error(JSON.stringify(order));
old.disconnect();
server.stop();
await shop.cleanup();
await orders.cleanup();
