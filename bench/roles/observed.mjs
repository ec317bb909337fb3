// An instance that answers, and calls another service at a steady pace.
import { SecureMesh } from '../lib/mesh.mjs';

/** How often it looks how many calls are due. A late look makes up for it, so that the load of each second is the same. */
const BEAT_MS = 20;

let mesh;
let config;
let [done, failed] = [0, 0];

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
  const began = performance.now();
  let begun = 0;
  setInterval(() => {
    for (const due = ((performance.now() - began) * pace) / 1_000; begun < due; begun += 1) {
      void client.call('get', 1).then(
        () => (done += 1),
        () => (failed += 1),
      );
    }
  }, BEAT_MS);
}

/** The calls so far. */
export function made() {
  return { done, failed };
}
