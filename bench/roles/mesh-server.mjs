// One server of this package, configured as a suite wants it.
import { setTimeout as sleep } from 'node:timers/promises';
import { SecureMesh } from '../lib/mesh.mjs';
import { handlers } from '../peers/mesh.mjs';

let server;

/** Starts it; its address. Handlers: those of the peer, and `slow(ms)`. */
export async function serve(config) {
  server = new SecureMesh(config);
  handlers(server);
  server.handle('slow', async ({ ms }) => {
    await sleep(ms);
    return ms;
  });
  await server.initialize();
  return server.address();
}

/** How many sessions there are. */
export function sessions() {
  return server.getStats().activeSessions;
}

/** Ends it in good order. */
export async function close() {
  await server.cleanup();
}
