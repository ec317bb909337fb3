import net from 'node:net';
import { callSocket, serveSocket } from './lines.mjs';

export default {
  title: 'Node TCP, coalesced',
  secure: false,
  package: undefined,
  bytes: true,
  streams: false,
  async serve() {
    const server = net.createServer(serveSocket);
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    return { port: server.address().port };
  },
  connect: ({ port }) =>
    callSocket(
      () =>
        new Promise((resolve, reject) => {
          const socket = net.connect({ port, host: '127.0.0.1', noDelay: true }, () =>
            resolve(socket),
          );
          socket.on('error', reject);
        }),
    ),
};
