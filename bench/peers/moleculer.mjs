// Moleculer's own TCP transporter, which encrypts nothing. It carries JSON only.
import moleculer from 'moleculer';

const broker = (nodeID, options) =>
  new moleculer.ServiceBroker({
    nodeID,
    logger: false,
    transporter: {
      type: 'TCP',
      options: { udpDiscovery: false, maxPacketSize: 16 << 20, ...options },
    },
  });

export default {
  title: 'Moleculer, TCP',
  secure: false,
  package: 'moleculer',
  bytes: false,
  streams: false,
  async serve() {
    const server = broker('server', {});
    server.createService({ name: 'echo', actions: { json: (context) => context.params } });
    await server.start();
    return { port: server.transit.tx.opts.port };
  },
  async connect({ port }) {
    const client = broker('client', { urls: [`tcp://127.0.0.1:${port}/server`] });
    await client.start();
    await client.waitForServices('echo', 20_000);
    return { json: (value) => client.call('echo.json', value) };
  },
};
