// The cost of seeing: the same calls with nothing recorded, with metrics, with an admin port that is read, with the
// spans of an SDK, and with those of the core. The variants take turns in short rounds, and each is compared with
// another one in the same round, so that what else the machine does affects them alike.
import { startCollector } from '../lib/collector.mjs';
import { measure, startPair } from '../lib/pairs.mjs';
import { median, medians } from '../lib/stats.mjs';

export const name = 'tracing';
export const title = 'Metrics, tracing, admin port: 1 KiB of JSON × 64';

/** The variants, by their titles. */
export const VARIANTS = {
  unrecorded: 'nothing recorded',
  off: 'metrics recorded',
  admin: 'admin port, scraped and its events read',
  core: 'spans of the core, 1 % sampled',
  coreAll: 'spans of the core, all sampled',
  everything: 'metrics, admin port read, spans of the core at 1 %',
  api: '@opentelemetry/api without an SDK',
  sampled: 'with an SDK, 1 % sampled',
  all: 'with an SDK, all sampled',
};

/** The variants that are compared with nothing recorded; the others are compared with `off`. */
const WHOLE = ['unrecorded', 'off', 'everything'];

/** Returns a list of `{ variant, rate, clientCpuUs, serverCpuUs, ratio }`; the last is the CPU of both sides. */
export async function run({ quick, rounds, context, progress }) {
  const options = { kind: 'json', size: 1024, inFlight: 64, seconds: quick ? 0.25 : 0.5 };
  const pairs = [];
  const collector = await startCollector();
  for (const variant of Object.keys(VARIANTS)) {
    const pair = await startPair('mesh', {
      ...context,
      tracing: variant,
      collector: collector.url,
    });
    await pair.client.run('closed', { ...options, seconds: quick ? 0.5 : 2 });
    pairs.push({ variant, pair, samples: [] });
  }
  const turns = quick ? rounds : rounds * 8;
  for (let turn = 0; turn < turns; turn += 1) {
    progress(`round ${turn + 1} of ${turns}`);
    // In turn forwards and backwards, so that no variant is always the first.
    for (const one of turn % 2 === 0 ? pairs : pairs.toReversed()) {
      one.samples.push(await measure(one.pair, 'closed', options));
    }
  }
  for (const { pair } of pairs) await pair.stop();
  collector.stop();
  const cpu = ({ clientCpuUs, serverCpuUs }) => clientCpuUs + serverCpuUs;
  const [unrecorded, off] = pairs.map(({ samples }) => samples.map(cpu));
  return pairs.map(({ variant, samples }) => {
    const { rate, clientCpuUs, serverCpuUs } = medians(samples);
    const base = WHOLE.includes(variant) ? unrecorded : off;
    const ratio = median(samples.map((sample, turn) => cpu(sample) / base[turn]));
    return { variant, rate, clientCpuUs, serverCpuUs, ratio };
  });
}
