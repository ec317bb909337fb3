// The calling side of a peer.
import { closedLoop, keepCalling, openLoop } from '../lib/loops.mjs';
import { noise, order } from '../lib/payloads.mjs';
import { load } from '../peers/index.mjs';

let client;

/** Connects, and checks with one call that the peer echoes. */
export async function connect(peer, address, context) {
  client = await (await load(peer)).connect(address, context);
  const value = order(1024);
  const echoed = await client.json(value);
  if (JSON.stringify(echoed) !== JSON.stringify(value)) throw new Error('the echo differs');
}

function caller(kind, size) {
  if (kind === 'json') {
    const value = order(size);
    return () => client.json(value);
  }
  const buffer = noise(size);
  return async () => {
    const { length } = await client.bytes(buffer);
    if (length !== size) throw new Error('the echo differs');
  };
}

/** Calls as fast as they are answered. */
export function closed({ kind, size, inFlight, seconds }) {
  return closedLoop(caller(kind, size), inFlight, seconds);
}

/** The same without recording latencies, since sorting them would block the event loop. */
export function keepBusy({ kind, size, inFlight, seconds }) {
  return keepCalling(caller(kind, size), inFlight, seconds, () => {});
}

/** Calls at a pace. */
export function open({ kind, size, rate, seconds }) {
  return openLoop(caller(kind, size), rate, seconds);
}

/** A stream of items of 1 KiB: `down` from the server, `up` to it. */
export async function stream({ kind, count }) {
  const began = performance.now();
  let arrived = 0;
  if (kind === 'down') await client.down(count, () => (arrived += 1));
  else arrived = await client.up(count, order(1024));
  if (arrived !== count) throw new Error(`${arrived} of ${count} items arrived`);
  return { seconds: (performance.now() - began) / 1000 };
}
