const found = await client.call<unknown, { caller: string }>('product.get', { id: 7 });
if (found.caller !== 'gateway') throw new Error('not found');
await kit.cleanup();
