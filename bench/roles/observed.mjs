// An instance that answers, and calls another service at a steady pace.
import { SecureMesh } from '../lib/mesh.mjs';

let mesh;
let config;

export async function serve(serviceId) {
  config = {
    serviceId,
    observe: true,
    security: { rsaKeySize: 2048 },
    paths: { keysDir: process.env.BENCH_KEYS },
  };
  mesh = new SecureMesh({ ...config, port: 0 });
  mesh.handle('get', (input) => input);
  await mesh.initialize();
  return mesh.address().port;
}

/** Calls so often a second from now on. */
export async function call(service, services, pace) {
  const caller = new SecureMesh({ ...config, discovery: { services } });
  await caller.initialize();
  const client = caller.connect(service);
  await client.call('get', 1);
  setInterval(() => void client.call('get', 1).catch(() => undefined), 1_000 / pace);
}
