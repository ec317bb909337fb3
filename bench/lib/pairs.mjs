// The two processes of a peer, and the measurement of both together.
import { start } from './processes.mjs';

/** Starts a peer's server and client, with options as of `start`. */
export async function startPair(peer, context, options) {
  const server = start('server', options);
  const client = start('client', options);
  const address = await server.run('serve', peer, context);
  await client.run('connect', peer, address, context);
  return { peer, server, client, stop: () => Promise.all([server.stop(), client.stop()]) };
}

/** Starts several pairs concurrently. */
export const startPairs = (peers, context) =>
  Promise.all(peers.map((peer) => startPair(peer, context)));

/**
 * Runs a function of the client, and adds the cost in both processes: microseconds of CPU per call on each
 * side, memory in bytes at the end, and its growth.
 */
export async function measure({ server, client }, name, options) {
  const before = [await client.usage(), await server.usage()];
  const result = await client.run(name, options);
  const after = [await client.usage(), await server.usage()];
  const [clientCpu, serverCpu] = after.map(({ cpuUs }, side) => cpuUs - before[side].cpuUs);
  const [clientGrown, serverGrown] = after.map(({ rss }, side) => rss - before[side].rss);
  const calls = result.calls ?? options.count;
  return {
    ...result,
    rate: calls / result.seconds,
    clientCpuUs: clientCpu / calls,
    serverCpuUs: serverCpu / calls,
    clientRss: after[0].rss,
    serverRss: after[1].rss,
    clientGrown,
    serverGrown,
  };
}
