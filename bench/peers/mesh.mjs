// This package as in its README: encrypted and mutually authenticated, with all its checks and limits, one of
// which is higher.
import { SecureMesh } from '../lib/mesh.mjs';
import { order } from '../lib/payloads.mjs';

const mesh = async (serviceId, { directory, tracing, ...options }) => {
  const traced = tracing && { tracing: (await import('../lib/telemetry.mjs')).trace(tracing) };
  return new SecureMesh({ serviceId, paths: { keysDir: directory }, ...traced, ...options });
};

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

export default {
  title: 'secure-stack-mesh',
  secure: true,
  package: undefined,
  bytes: true,
  streams: true,
  async serve({ directory, tracing }) {
    // No other peer has such a limit, and the calls of a pause in an open loop must wait here too.
    const limits = { maxConcurrentCalls: 10_000 };
    const server = await mesh('server', { directory, tracing, port: 0, limits });
    handlers(server);
    await server.initialize();
    return server.address();
  },
  async connect({ host, port }, { directory, tracing }) {
    const services = [{ id: 'server', host, port }];
    const client = await mesh('client', { directory, tracing, discovery: { services } });
    await client.initialize();
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
};

function* repeat(count, value) {
  for (let sent = 0; sent < count; sent += 1) yield value;
}
