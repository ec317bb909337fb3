// Unary calls in a closed loop: every peer, size, kind and number in flight,
// in interleaved rounds.
import { setTimeout as sleep } from 'node:timers/promises';
import { measure, startPairs } from '../lib/pairs.mjs';
import { SIZES, sizeName } from '../lib/payloads.mjs';
import { medians } from '../lib/stats.mjs';
import { load, peers } from '../peers/index.mjs';

export const name = 'calls';
export const title = 'Calls, closed loop';

/** The measured cells: the whole grid, or the part of it that the targets need. */
function cells(quick) {
  const cell = (kind, size, inFlight) => ({ kind, size, inFlight });
  if (quick) {
    return [
      cell('json', 1024, 1),
      cell('json', 1024, 64),
      cell('json', 100, 64),
      cell('json', 65_536, 64),
      cell('bytes', 65_536, 64),
    ];
  }
  return ['json', 'bytes'].flatMap((kind) =>
    SIZES.flatMap((size) =>
      [1, 64, 256]
        // 256 calls of a mebibyte each would measure the garbage collector.
        .filter((inFlight) => size < 1_048_576 || inFlight < 256)
        .map((inFlight) => cell(kind, size, inFlight)),
    ),
  );
}

/** Formats a cell for the tables. */
export const cellName = ({ kind, size, inFlight }) => `${kind}, ${sizeName(size)} × ${inFlight}`;

/** The peers in the targets. */
const QUICK = ['mesh', 'mesh-tls', 'grpc-mtls', 'moleculer', 'tcp', 'tls'];

/** Returns a list of `{ peer, kind, size, inFlight, …medians }`. */
export async function run({ quick, rounds, context, progress, failed }) {
  const seconds = quick ? 0.25 : 1;
  const pairs = await startPairs(quick ? QUICK : Object.keys(peers), context);
  progress('warming up');
  for (const pair of pairs) {
    const warmUp = { kind: 'json', size: 1024, inFlight: 64, seconds: quick ? 0.6 : 2 };
    await pair.client.run('closed', warmUp);
  }
  const samples = new Map();
  for (let round = 1; round <= rounds; round += 1) {
    progress(`round ${round} of ${rounds}`);
    for (const cell of cells(quick)) {
      for (const pair of pairs) {
        if (cell.kind === 'bytes' && !(await load(pair.peer)).bytes) continue;
        const key = JSON.stringify({ peer: pair.peer, ...cell });
        try {
          const sample = await measure(pair, 'closed', { ...cell, seconds });
          samples.set(key, [...(samples.get(key) ?? []), sample]);
        } catch (error) {
          // The sample is dropped; its calls may continue for the duration of a sample.
          failed(`${pair.peer}, ${cellName(cell)}: ${error.message}`);
          await sleep(seconds * 1000);
        }
      }
    }
  }
  for (const pair of pairs) await pair.stop();
  return [...samples].map(([key, list]) => ({ ...JSON.parse(key), ...medians(list) }));
}
