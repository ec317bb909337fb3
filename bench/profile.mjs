// The cost of a call by steps: node bench/profile.mjs [seconds] [step]
//
//   --kind bytes     bytes, not JSON
//   --size 65536     payload size, not 1 KiB
//   --in-flight 16   calls in flight, not 64
//
// Builds the addon with symbols, samples both processes with `perf` (Linux) during calls of an echo, and
// prints the microseconds of each step of a call on each side. docs/performance.md has such a table. With the
// name of a step, it also prints the symbols of that step's samples.
import { copyFileSync, cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from '../scripts/build.mjs';
import { capture, main, progress, root, run, StepFailed } from '../scripts/lib.mjs';
import { binaryName, currentPlatform } from '../scripts/platform.mjs';
import { measure, startPair } from './lib/pairs.mjs';
import { hasPerf, record, samples } from './profile/perf.mjs';
import { STEPS, stepOf } from './profile/steps.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    kind: { type: 'string', default: 'json' },
    size: { type: 'string', default: '1024' },
    'in-flight': { type: 'string', default: '64' },
  },
});
const [seconds, explained] = [Number(positionals[0] ?? 10), positionals[1] ?? 'unknown'];
const calls = {
  kind: values.kind,
  size: Number(values.size),
  inFlight: Number(values['in-flight']),
  seconds,
};

await main(async () => {
  if (!(await hasPerf())) throw new StepFailed('perf is not installed, or may not be used here');
  await build({ addon: false });
  const directory = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-profile-'));
  try {
    await buildPackage(directory);
    await profile(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

/** A copy of the package whose addon has symbols and frame pointers. */
async function buildPackage(directory) {
  progress('building the addon with symbols; the first time takes minutes');
  const args = ['build', '--locked', '--profile', 'profiling', '--package', 'secure-stack-mesh'];
  await run('cargo', args, { env: { RUSTFLAGS: '-C force-frame-pointers=yes' } });
  const metadata = await capture('cargo', ['metadata', '--no-deps', '--format-version=1']);
  const target = JSON.parse(metadata.stdout).target_directory;
  const library = join(target, 'profiling', 'libsecure_stack_mesh.so');
  copyFileSync(library, join(directory, binaryName(currentPlatform())));
  copyFileSync(join(root, 'package.json'), join(directory, 'package.json'));
  cpSync(join(root, 'dist'), join(directory, 'dist'), { recursive: true });
}

async function profile(directory) {
  // V8 also writes a log, by default into the working directory.
  const log = ['--no-logfile-per-isolate', `--logfile=${join(directory, 'v8-%p.log')}`];
  const options = { execArgv: ['--perf-basic-prof', ...log], env: { BENCH_PACKAGE: directory } };
  const pair = await startPair('mesh', { directory, tls: undefined }, options);
  progress('warming up');
  await pair.client.run('closed', { ...calls, seconds: 3 });
  progress(`sampling for ${seconds} s`);
  const plain = await measure(pair, 'closed', calls);
  const file = join(directory, 'perf.data');
  const stop = record([pair.client.pid, pair.server.pid], file);
  const sampled = await measure(pair, 'closed', calls);
  await stop();

  const totals = new Map(STEPS.map((step) => [step, { client: 0, server: 0 }]));
  const places = new Map();
  await samples(file, ({ pid, weightUs, frames }) => {
    const step = stepOf(frames);
    totals.get(step)[pid === pair.client.pid ? 'client' : 'server'] += weightUs / sampled.calls;
    if (step === explained) {
      const place = frames
        .slice(0, 4)
        .map(({ symbol }) => symbol)
        .join(' < ');
      places.set(place, (places.get(place) ?? 0) + 1);
    }
  });
  await pair.stop();
  print(totals, plain, sampled);
  const most = [...places].toSorted((a, b) => b[1] - a[1]).slice(0, 12);
  for (const [place, count] of most) progress(`${explained}: ${count} samples in ${place}`);
}

function print(totals, plain, sampled) {
  const lines = ['| step | client µs | server µs |', '|---|--:|--:|'];
  const sum = { client: 0, server: 0 };
  for (const [step, { client, server }] of totals) {
    sum.client += client;
    sum.server += server;
    if (client + server < 0.05) continue;
    lines.push(`| ${step} | ${client.toFixed(2)} | ${server.toFixed(2)} |`);
  }
  const row = (name, client, server) => `| ${name} | ${client.toFixed(2)} | ${server.toFixed(2)} |`;
  lines.push(row('**sum of the samples**', sum.client, sum.server));
  lines.push(row('CPU measured, sampling', sampled.clientCpuUs, sampled.serverCpuUs));
  lines.push(row('CPU measured, not sampling', plain.clientCpuUs, plain.serverCpuUs));
  process.stdout.write(`\n${lines.join('\n')}\n\n${Math.round(plain.rate)} calls/s\n`);
}
