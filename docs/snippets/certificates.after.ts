if (me !== 'spiffe://shop.example/ns/prod/sa/gateway') throw new Error(`the caller is ${me}`);
const [peer] = gateway.getStats().peers;
if (peer?.trust !== 'certificate') throw new Error(`the trust is ${peer?.trust}`);
if (peer.certificate?.issuer !== 'CN=Shop Root') throw new Error('another issuer');
if ((await orders.revoke({ spiffeId: me })) !== 1) throw new Error('the session goes on');
await gateway.cleanup();
await orders.cleanup();
