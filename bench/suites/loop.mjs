// The delay of the event loop at full load, and during the generation of an RSA-4096 key.
import { startPairs } from '../lib/pairs.mjs';
import { start } from '../lib/processes.mjs';

export const name = 'loop';
export const title = 'How late the event loop is, ms';

const PEERS = ['mesh', 'moleculer', 'tcp'];

/**
 * Returns `load`, a list of `{ peer, client, server }`, each `{ p50, p99, max, held }`; `keys`, the same of a
 * process that generates a key; and `nothing`, the same of an idle process, which is the share of the
 * machine.
 */
export async function run({ quick, context }) {
  const options = { kind: 'json', size: 1024, inFlight: 256, seconds: quick ? 0.6 : 3 };
  const load = [];
  for (const pair of await startPairs(PEERS, context)) {
    await pair.client.run('keepBusy', options);
    for (const side of [pair.client, pair.server]) await side.run('watchLoop');
    await pair.client.run('keepBusy', options);
    const [client, server] = [
      await pair.client.run('loopDelay'),
      await pair.server.run('loopDelay'),
    ];
    load.push({ peer: pair.peer, client, server });
    await pair.stop();
  }
  const maker = start('clients');
  // Loads the addon, whose time is not that of a key.
  await maker.run('makeKey', 2048);
  await maker.run('settle');
  await maker.run('watchLoop');
  await maker.run('makeKey', 4096);
  const keys = await maker.run('loopDelay');
  await maker.run('watchLoop');
  await maker.run('rest', quick ? 1 : 3);
  const nothing = await maker.run('loopDelay');
  await maker.stop();
  return { load, keys, nothing };
}
