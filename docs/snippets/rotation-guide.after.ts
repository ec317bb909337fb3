if (count !== 7) throw new Error(`count is ${count}`);
if (stock.getStats().keyThumbprint !== thumbprint) throw new Error('the key is another');
await shop.cleanup();
await stock.cleanup();
