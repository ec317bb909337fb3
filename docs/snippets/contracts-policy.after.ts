await kit.connect(orders, { as: 'shop' }).create('A-1');
const asGateway = kit.connect(orders, { as: 'gateway' });
if (JSON.stringify(await asGateway.list()) !== '["A-1"]') throw new Error('not listed');
const denied = await safe(asGateway.create('A-2'));
if (denied.ok || denied.error.code !== 'PERMISSION_DENIED') throw new Error('not denied');
await kit.cleanup();
