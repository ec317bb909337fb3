// Streams of 1 KiB of JSON an item, one at a time.
import { measure, startPairs } from '../lib/pairs.mjs';
import { medians } from '../lib/stats.mjs';
import { load, peers } from '../peers/index.mjs';

export const name = 'streams';
export const title = 'Streams, 1 KiB of JSON an item';

/** Returns a list of `{ peer, kind, …medians }`; `rate` is in items per second. */
export async function run({ quick, rounds, context }) {
  const seconds = quick ? 0.2 : 1;
  const able = [];
  for (const peer of Object.keys(peers)) {
    if ((await load(peer)).streams) able.push(peer);
  }
  const pairs = await startPairs(able, context);
  const samples = new Map();
  for (const pair of pairs) {
    for (const kind of ['down', 'up']) {
      // Also warms up.
      await pair.client.run('stream', { kind, count: 500 });
      const { rate } = await measure(pair, 'stream', { kind, count: 1000 });
      samples.set({ pair, kind, count: Math.ceil(rate * seconds) }, []);
    }
  }
  for (let round = 0; round < rounds; round += 1) {
    for (const [{ pair, kind, count }, list] of samples) {
      list.push(await measure(pair, 'stream', { kind, count }));
    }
  }
  for (const pair of pairs) await pair.stop();
  return [...samples].map(([{ pair, kind }, list]) => ({
    peer: pair.peer,
    kind,
    ...medians(list),
  }));
}
