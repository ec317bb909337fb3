// A process that joins as an observer, with an admin port, and the requests of an open page to it: the picture every
// two seconds, the history every half minute, and the stream of calls.
import { setTimeout as sleep } from 'node:timers/promises';
import { SecureMesh } from '../lib/mesh.mjs';

const PICTURE_MS = 2_000;
const HISTORY_MS = 30_000;
/** How long it may take until every instance reports. */
const PATIENCE_MS = 60_000;

let url;
let picture;

/** Opens the page, and returns once so many instances are in it. */
export async function open(services, instances) {
  const mesh = new SecureMesh({
    serviceId: 'watcher',
    discovery: { services },
    admin: { port: 0 },
    // Each instance in its turn gets a session by the calls below.
    balancing: { policy: 'round-robin' },
    security: { rsaKeySize: 2048 },
    paths: { keysDir: process.env.BENCH_KEYS },
  });
  await mesh.initialize();
  const { host, port } = mesh.adminAddress();
  url = `http://${host}:${port}/api/v1/`;
  // The page itself is another process, and reads these bytes there.
  const read = async (path) => (await fetch(`${url}${path}`)).arrayBuffer();
  const look = async () => (picture = await read('mesh'));
  await look();
  const clients = [...new Set(services.map(({ id }) => id))].map((id) => mesh.connect(id));
  const end = Date.now() + PATIENCE_MS;
  while (seen().reporting < instances) {
    if (Date.now() > end) throw new Error(`${seen().reporting} of ${instances} instances report`);
    await Promise.all(clients.map((client) => client.call('get', 1)));
    await sleep(100);
    await look();
  }
  setInterval(() => void look().catch(() => undefined), PICTURE_MS);
  setInterval(() => void read('history?window=3600&step=10').catch(() => undefined), HISTORY_MS);
  const events = await fetch(`${url}events`);
  void (async () => {
    for await (const _ of events.body);
  })().catch(() => undefined);
}

/** How many processes report themselves in the last picture, and how old that is. */
export function seen() {
  const { at, nodes } = JSON.parse(Buffer.from(picture).toString('utf8'));
  const direct = nodes.filter(({ report }) => report === 'direct');
  const reporting = direct.reduce((sum, { instances }) => sum + instances.length, 0);
  return { reporting, ageMs: Date.now() - at };
}
