// The cost of a session: the CPU of both sides for a client's first call (TCP, HTTP/2, handshake with
// RSA-4096 and the hybrid exchange, the call itself), and for a call that resumes a lost session.
import { setTimeout as sleep } from 'node:timers/promises';
import { measure } from '../lib/pairs.mjs';
import { start } from '../lib/processes.mjs';
import { certified } from '../peers/mesh.mjs';

export const name = 'handshake';
export const title = 'A session, ms of CPU on each side';

/**
 * Returns `{ full, resumption, certificate, tls }`, each `{ count, clientMs, serverMs, wallMs }`; `resumption` is
 * null if none was resumed. `certificate` is a full handshake with certificates whose chains are verified anew, `tls`
 * the same over TLS.
 */
export async function run({ quick, context: { directory, tls } }) {
  const count = quick ? 10 : 40;
  const { full, resumption } = await sessions({ count, directory });
  const certificate = await sessions({ count, directory, security: certified(tls, 'off') });
  const overTls = await sessions({ count, directory, security: certified(tls, 'required') });
  return { full, resumption, certificate: certificate.full, tls: overTls.full };
}

async function sessions({ count, directory, security }) {
  const paths = { keysDir: directory };
  const server = start('mesh-server');
  const client = start('clients');
  const address = await server.run('serve', { serviceId: 'server', port: 0, paths, security });
  const config = {
    serviceId: 'client',
    paths,
    // The shortest timeout, so that idle sessions end soon.
    security: { ...security, sessionTimeout: '1s' },
    discovery: { services: [{ id: 'server', ...address }] },
  };
  const each = ({ seconds, ...result }) => ({
    count,
    clientMs: result.clientCpuUs / 1000,
    serverMs: result.serverCpuUs / 1000,
    wallMs: (seconds * 1000) / count,
  });
  // Warms up the work of a process's first calls.
  await client.run('make', [config]);
  await client.run('callEach');
  await client.run('close');

  await client.run('make', Array(count).fill(config));
  const full = await measure({ client, server }, 'callEach');
  for (let wait = 0; (await client.run('sessions')) > 0 && wait < 50; wait += 1) await sleep(100);
  const again = await measure({ client, server }, 'callEach');
  await client.stop();
  await server.stop();
  return { full: each(full), resumption: again.resumed === count ? each(again) : null };
}
