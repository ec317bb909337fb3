// This package as in its README: encrypted and mutually authenticated, with all its checks and limits, one of
// which is higher.
import { SecureMesh } from '../lib/mesh.mjs';
import { order } from '../lib/payloads.mjs';
import { readAdmin } from '../lib/readers.mjs';

const mesh = async (serviceId, { directory, tracing, collector, ...options }) => {
  const seen = tracing && (await import('../lib/telemetry.mjs')).sight(tracing, collector);
  return new SecureMesh({ serviceId, paths: { keysDir: directory }, ...seen, ...options });
};

/** Trust by the certificates of this run, with TLS beneath or without. */
export const certified = ({ ca, cert, key }, tls) => ({
  certificate: { ca, cert, key, names: 'dns' },
  tls,
});

/** Adds the handlers for the clients of the measurements. */
export function handlers(server) {
  server.handle('json', (input) => input);
  server.handle('bytes', (input) => input);
  server.handle('down', async function* ({ count }) {
    const item = order(1024);
    for (let sent = 0; sent < count; sent += 1) yield item;
  });
  server.handle('up', { kind: 'clientStream' }, async (items) => {
    let count = 0;
    for await (const _ of items) count += 1;
    return count;
  });
}

/**
 * This package as a peer, with options of both sides that are made of the material for TLS. `after` is called with each
 * mesh that has started, and returns nothing that is waited for.
 */
export const peer = (title, extra = () => ({}), after = () => {}) => ({
  title,
  secure: true,
  package: undefined,
  bytes: true,
  streams: true,
  async serve({ directory, tracing, collector, tls }) {
    // No other peer has such a limit, and the calls of a pause in an open loop must wait here too.
    const limits = { maxConcurrentCalls: 10_000 };
    const server = await mesh('server', {
      directory,
      tracing,
      collector,
      port: 0,
      limits,
      ...extra(tls),
    });
    handlers(server);
    await server.initialize();
    after(server);
    if (tracing && server.adminAddress()) readAdmin(server);
    return server.address();
  },
  async connect({ host, port }, { directory, tracing, collector, tls }) {
    const services = [{ id: 'server', host, port }];
    const discovery = { services };
    const client = await mesh('client', {
      directory,
      tracing,
      collector,
      discovery,
      ...extra(tls),
    });
    await client.initialize();
    after(client);
    if (tracing && client.adminAddress()) readAdmin(client);
    const server = client.connect('server');
    return {
      json: (value) => server.call('json', value),
      bytes: (buffer) => server.call('bytes', buffer),
      async down(count, onItem) {
        for await (const item of server.serverStream('down', { count })) onItem(item);
      },
      up: (count, value) => server.clientStream('up', repeat(count, value)),
    };
  },
});

export default peer('secure-stack-mesh');

function* repeat(count, value) {
  for (let sent = 0; sent < count; sent += 1) yield value;
}
