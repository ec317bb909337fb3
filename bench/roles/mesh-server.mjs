// One server of this package with the configuration of a suite.
import { setTimeout as sleep } from 'node:timers/promises';
import { SecureMesh } from '../lib/mesh.mjs';
import { handlers } from '../peers/mesh.mjs';

let server;

/** Starts the server; returns its address. Handlers: those of the peer, and `slow(ms)`. */
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

/** The number of sessions. */
export function sessions() {
  return server.getStats().activeSessions;
}

/** Stops the server gracefully. */
export async function close() {
  await server.cleanup();
}
