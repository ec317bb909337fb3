import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SecureMesh } from '@lemur-bookstores/secure-stack-mesh';

const requests: (string | undefined)[] = [];
const server = createServer((request, response) => {
  requests.push(request.headers.authorization);
  request.resume().on('end', () => response.end());
}).listen(0, '127.0.0.1');
await new Promise((resolve) => server.once('listening', resolve));
const collector = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
