if (count !== 3) throw new Error(`count is ${String(count)}`);
await orders.cleanup();
await stock.cleanup();
