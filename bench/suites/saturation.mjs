// 10,000 calls in flight to a handler that is slow: memory, what calls beyond
// the limit are told, and what calls to another, idle service feel.
import { start } from '../lib/processes.mjs';

export const name = 'saturation';
export const title = 'Saturation: 10,000 calls in flight to a slow handler';

/** `{ answered, failed, refused, clientGrown, serverGrown, idle, beside }`; the last two are times in ms. */
export async function run({ quick, context: { directory } }) {
  const paths = { keysDir: directory };
  const [slow, other] = [start('mesh-server'), start('mesh-server')];
  const [busy, calm] = [start('clients'), start('clients')];
  const limits = { maxConcurrentCalls: 20_000, maxPendingCalls: 10_000 };
  const serve = (server, more) =>
    server.run('serve', { serviceId: 'server', port: 0, paths, ...more });
  const addresses = [await serve(slow, { limits }), await serve(other, {})];
  const config = (address, more) => ({
    serviceId: 'client',
    paths,
    discovery: { services: [{ id: 'server', ...address }] },
    ...more,
  });
  await busy.run('make', [config(addresses[0], { limits })]);
  await calm.run('make', [config(addresses[1], {})]);
  await calm.run('ping', 0.5);
  const idle = await calm.run('ping', quick ? 1 : 4);
  const load = { inFlight: 10_000, ms: 500, beyond: 20 };
  // Fills pools and heaps; what grows after it would grow for ever.
  await busy.run('saturate', { ...load, seconds: quick ? 1 : 4 });
  const before = [await busy.run('settle'), await slow.run('settle')];
  const under = busy.run('saturate', { ...load, seconds: quick ? 2 : 8 });
  const beside = await calm.run('ping', quick ? 1.5 : 7);
  const { memory, ...result } = await under;
  const after = [await busy.run('settle'), await slow.run('settle')];
  for (const one of [busy, calm, slow, other]) await one.stop();
  return {
    ...result,
    peak: Math.max(...memory),
    clientGrown: after[0] - before[0],
    serverGrown: after[1] - before[1],
    idle,
    beside,
  };
}
