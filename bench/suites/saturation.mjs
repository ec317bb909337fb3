// 10,000 calls in flight to a handler that is slow: memory, what calls beyond
// the limit are told, and what calls to another, idle service feel, made by
// another process and by the one that is saturated itself.
//
// The handler waits, for half to one and a half times a mean, so that answers are
// spread. It is the calls in flight that are many, not those of a second: with few
// cores, four processes that compute would wait for each other whatever they run.
import { start } from '../lib/processes.mjs';

export const name = 'saturation';
export const title = 'Saturation: 10,000 calls in flight to a slow handler';

/**
 * `{ answered, failed, refused, clientGrown, serverGrown, alone, beside, within }`; the last three are times in
 * ms of calls to the idle service: before, then by another process and by the saturated one.
 */
export async function run({ quick, context: { directory } }) {
  const paths = { keysDir: directory };
  const [slow, other] = [start('mesh-server'), start('mesh-server')];
  const [busy, calm] = [start('clients'), start('clients')];
  // The slow service takes so many; the client has room for more, as it has unless told otherwise.
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
  // Fills pools and heaps; what grows after it would grow for ever.
  await busy.run('saturate', { ...load, seconds: quick ? 1 : 4 });
  const before = [await busy.run('settle'), await slow.run('settle')];
  const under = busy.run('saturate', { ...load, seconds: quick ? 4.5 : 12 });
  // Until they are all under way.
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
