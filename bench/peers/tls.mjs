import tls from 'node:tls';
import { callSocket, serveSocket } from './lines.mjs';

export default {
  title: 'Node TLS, mutual, coalesced',
  secure: true,
  package: undefined,
  bytes: true,
  streams: false,
  async serve({ tls: { ca, cert, key } }) {
    const server = tls.createServer({ ca, cert, key, requestCert: true, noDelay: true });
    server.on('secureConnection', serveSocket);
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    return { port: server.address().port };
  },
  connect: ({ port }, { tls: { ca, cert, key } }) =>
    callSocket(
      () =>
        new Promise((resolve, reject) => {
          const socket = tls.connect(
            { port, host: '127.0.0.1', servername: 'localhost', ca, cert, key },
            () => resolve(socket.setNoDelay(true)),
          );
          socket.on('error', reject);
        }),
    ),
};
