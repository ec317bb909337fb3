// A peer's two processes, and what is measured of both at once.
import { start } from './processes.mjs';

/** Starts a peer's server and client, with options as of `start`. */
export async function startPair(peer, context, options) {
  const server = start('server', options);
  const client = start('client', options);
  const address = await server.run('serve', peer, context);
  await client.run('connect', peer, address, context);
  return { peer, server, client, stop: () => Promise.all([server.stop(), client.stop()]) };
}

/** Starts several at once. */
export const startPairs = (peers, context) =>
  Promise.all(peers.map((peer) => startPair(peer, context)));

/**
 * Has the client do something, and adds what it took of both processes:
 * microseconds of CPU per call on each side, memory in bytes at the end and
 * how much it has grown.
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
