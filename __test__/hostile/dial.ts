// The connection of a client.
import * as http2 from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { Carrier } from './carrier.js';
import { PATH } from './constants.js';

/** A TCP connection with one open gRPC stream on it. */
export async function dial(port: number, host = '127.0.0.1'): Promise<Carrier> {
  const socket = connectSocket({ port, host });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  socket.setNoDelay(true);
  socket.on('error', () => {});
  const session = http2.connect(`http://${host}:${port}`, { createConnection: () => socket });
  session.on('error', () => {});
  const stream = session.request(
    {
      ':method': 'POST',
      ':path': PATH,
      'content-type': 'application/grpc',
      te: 'trailers',
    },
    { endStream: false },
  );
  const carrier = new Carrier(stream, socket);
  const look = (headers: http2.IncomingHttpHeaders) => {
    const status = headers['grpc-status'];
    if (status === undefined) return;
    carrier.over(Number(status), decodeURIComponent(String(headers['grpc-message'] ?? '')));
  };
  stream.on('response', look);
  stream.on('trailers', look);
  return carrier;
}
