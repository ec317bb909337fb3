// The cost of tracing: the same calls without it, with the API of OpenTelemetry alone, with an SDK that samples
// one trace in a hundred, and with one that samples all. The variants take turns in short rounds, and each is
// compared with the one without tracing in the same round, so that what else the machine does affects them alike.
import { measure, startPair } from '../lib/pairs.mjs';
import { median, medians } from '../lib/stats.mjs';

export const name = 'tracing';
export const title = 'Tracing, 1 KiB of JSON × 64';

/** The variants, by their titles. */
export const VARIANTS = {
  off: 'tracing: { enabled: false }',
  api: '@opentelemetry/api without an SDK',
  sampled: 'with an SDK, 1 % sampled',
  all: 'with an SDK, all sampled',
};

/** Returns a list of `{ variant, rate, clientCpuUs, serverCpuUs, ratio }`; the last is the CPU of both sides. */
export async function run({ quick, rounds, context, progress }) {
  const options = { kind: 'json', size: 1024, inFlight: 64, seconds: quick ? 0.25 : 0.5 };
  const pairs = [];
  for (const variant of Object.keys(VARIANTS)) {
    const pair = await startPair('mesh', { ...context, tracing: variant });
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
  const cpu = ({ clientCpuUs, serverCpuUs }) => clientCpuUs + serverCpuUs;
  const base = pairs[0].samples.map(cpu);
  return pairs.map(({ variant, samples }) => {
    const { rate, clientCpuUs, serverCpuUs } = medians(samples);
    const ratio = median(samples.map((sample, turn) => cpu(sample) / base[turn]));
    return { variant, rate, clientCpuUs, serverCpuUs, ratio };
  });
}
