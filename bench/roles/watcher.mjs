// A process that joins as an observer, with an admin port, and the requests of an open page to it: the picture every
// two seconds, the history every half minute, and the stream of calls.
import { SecureMesh } from '../lib/mesh.mjs';

const PICTURE_MS = 2_000;
const HISTORY_MS = 30_000;

let url;
let picture;

export async function open(services) {
  const mesh = new SecureMesh({
    serviceId: 'watcher',
    discovery: { services },
    admin: { port: 0 },
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
  setInterval(() => void look().catch(() => undefined), PICTURE_MS);
  setInterval(() => void read('history?window=3600&step=10').catch(() => undefined), HISTORY_MS);
  const events = await fetch(`${url}events`);
  void (async () => {
    for await (const _ of events.body);
  })().catch(() => undefined);
}

/** How many processes report themselves. */
export function seen() {
  const { nodes } = JSON.parse(Buffer.from(picture).toString('utf8'));
  const direct = nodes.filter(({ report }) => report === 'direct');
  return { reporting: direct.reduce((sum, { instances }) => sum + instances.length, 0) };
}
