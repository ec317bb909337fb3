// 10,000 calls in flight to a slow handler: the memory, the errors of calls beyond the limit, and the
// latencies of calls to another, idle service, made by another process and by the saturated one.
//
// The handler waits for half to one and a half times a mean, so that answers are spread. The number of calls
// in flight is high, not their rate: with few cores, four busy processes would wait for each other in any
// case.
import { start } from '../lib/processes.mjs';

export const name = 'saturation';
export const title = 'Saturation: 10,000 calls in flight to a slow handler';

/**
 * Returns `{ answered, failed, refused, clientGrown, serverGrown, alone, beside, within }`. The last three
 * are latencies in ms of calls to the idle service: before the saturation, then by another process, and by
 * the saturated one.
 */
export async function run({ quick, context: { directory } }) {
  const paths = { keysDir: directory };
  const [slow, other] = [start('mesh-server'), start('mesh-server')];
  const [busy, calm] = [start('clients'), start('clients')];
  // The limit of the slow service; the client keeps its higher default.
  const limits = { maxConcurrentCalls: 10_000, maxPendingCalls: 20_000 };
  const serve = (server, serviceId, more) =>
    server.run('serve', { serviceId, port: 0, paths, ...more });
  const addresses = [await serve(slow, 'server', { limits }), await serve(other, 'other', {})];
  const config = (more) => ({
    serviceId: 'client',
    paths,
    discovery: {
      services: ['server', 'other'].map((id, index) => ({ id, ...addresses[index] })),
    },
    ...more,
  });
  await busy.run('make', [config({ limits })]);
  await calm.run('make', [config({})]);
  await calm.run('ping', 0.5);
  const alone = await calm.run('ping', quick ? 1 : 4);
  const load = { inFlight: 10_000, ms: 2_000, beyond: 20 };
  // Fills pools and heaps, so that later growth would be a leak.
  await busy.run('saturate', { ...load, seconds: quick ? 1 : 4 });
  const before = [await busy.run('settle'), await slow.run('settle')];
  const under = busy.run('saturate', { ...load, seconds: quick ? 4.5 : 12 });
  // Waits until all calls are in flight.
  await calm.run('rest', 1);
  const seconds = quick ? 1.5 : 5;
  const beside = await calm.run('ping', seconds);
  const within = await busy.run('ping', seconds);
  const { memory, ...result } = await under;
  const after = [await busy.run('settle'), await slow.run('settle')];
  for (const one of [busy, calm, slow, other]) await one.stop();
  return {
    ...result,
    peak: Math.max(...memory),
    clientGrown: after[0] - before[0],
    serverGrown: after[1] - before[1],
    alone,
    beside,
    within,
  };
}
