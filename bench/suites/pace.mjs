// Calls at half of each peer's own peak rate, in an open loop: the latencies of a service that is busy but
// not overloaded.
import { measure, startPairs } from '../lib/pairs.mjs';
import { medians } from '../lib/stats.mjs';

export const name = 'pace';
export const title = 'Calls at half of the peak rate, 1 KiB of JSON';

const PEERS = ['mesh', 'moleculer', 'tls', 'tcp', 'grpc-mtls'];

/** Returns a list of `{ peer, peak, …medians }`. */
export async function run({ quick, rounds, context }) {
  const cell = { kind: 'json', size: 1024 };
  const closed = { ...cell, inFlight: 64, seconds: quick ? 0.3 : 1 };
  const pairs = await startPairs(quick ? PEERS.slice(0, 3) : PEERS, context);
  const peaks = new Map(pairs.map((pair) => [pair, []]));
  for (let round = 0; round <= rounds; round += 1) {
    for (const pair of pairs) {
      const { rate } = await measure(pair, 'closed', closed);
      // The first round warms up.
      if (round > 0) peaks.get(pair).push(rate);
    }
  }
  const results = new Map(pairs.map((pair) => [pair, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const pair of pairs) {
      const peak = medians(peaks.get(pair).map((rate) => ({ rate }))).rate;
      const options = { ...cell, rate: peak / 2, seconds: quick ? 0.4 : 2 };
      results.get(pair).push({ peak, ...(await measure(pair, 'open', options)) });
    }
  }
  for (const pair of pairs) await pair.stop();
  return [...results].map(([{ peer }, list]) => ({ peer, ...medians(list) }));
}
