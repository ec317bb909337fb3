// The cost of being watched: twenty instances under load, with and without a process that shows their mesh and a page
// that reads it. Each round measures both, in turns one or the other first, so that only differences within a round
// count. The CPU is that of the processes (`process.cpuUsage()`), with all their threads.
//
//   node bench/observe.mjs [rounds, default 6] [seconds of each half, default 20]
//   node bench/observe.mjs 2 6    # a look, in a minute

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { start, stopAll } from './lib/processes.mjs';
import { median } from './lib/stats.mjs';

const SERVICES = ['gateway', 'orders', 'payments', 'inventory', 'search'];
const INSTANCES = 4;
/** Calls a second of each instance to the next service: together a thousand. */
const PACE = 50;
/** The most CPU that an observed process may lose, and that the watching process may use: shares of a core. */
const MOST_LOST = 0.01;
const MOST_USED = 0.05;

/** The halves of a round are comparable if their calls differ by less than this share. */
const SAME_LOAD = 0.02;
/** The picture of an open page is not older than this. */
const FRESH_MS = 6_000;

const rounds = Number(process.argv[2] ?? 6);
const seconds = Number(process.argv[3] ?? 20);
if (!(rounds >= 1 && seconds >= 5)) {
  throw new Error('the arguments are a number of rounds, and at least 5 seconds');
}

const percent = (share) => `${(share * 100).toFixed(2)} %`;
/** The median of shares, and the least and the most of them. */
const spread = (shares) =>
  `${percent(median(shares))} of a core (${percent(Math.min(...shares))} to ${percent(Math.max(...shares))})`;

const keysDir = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-bench-'));
try {
  const [instances, services] = await observed();
  const [lost, used] = [[], []];
  for (let round = 1; round <= rounds; round++) {
    const halves = {
      alone: () => half(instances),
      watched: () => watchedHalf(instances, services),
    };
    const order = round % 2 === 1 ? ['alone', 'watched'] : ['watched', 'alone'];
    const found = {};
    for (const name of order) found[name] = await halves[name]();
    const { alone, watched } = found;
    const load = watched.calls / alone.calls;
    if (Math.abs(load - 1) > SAME_LOAD) {
      throw new Error(
        `the machine is too busy: ${alone.calls} calls alone, ${watched.calls} watched`,
      );
    }
    lost.push(watched.cpu - alone.cpu);
    used.push(watched.own);
    console.log(
      `round ${round}: an instance uses ${percent(alone.cpu)} of a core alone, ${percent(watched.cpu)} watched, at ` +
        `${Math.round(watched.calls / watched.seconds)} calls/s of all; the watching process uses ${percent(watched.own)}`,
    );
  }
  console.log(`\nan observed instance loses ${spread(lost)}; it may lose ${percent(MOST_LOST)}`);
  console.log(`the watching process uses ${spread(used)}; it may use ${percent(MOST_USED)}`);
  process.exitCode = median(lost) <= MOST_LOST && median(used) <= MOST_USED ? 0 : 1;
} finally {
  stopAll();
  rmSync(keysDir, { recursive: true, force: true });
}

/** Starts the instances; each calls the next service. */
async function observed() {
  const env = { BENCH_KEYS: keysDir };
  const started = [];
  for (const id of SERVICES) {
    for (let i = 0; i < INSTANCES; i++) {
      const worker = start('observed', { env });
      started.push({ id, worker, port: await worker.run('serve', id) });
    }
  }
  const services = started.map(({ id, port }) => ({ id, host: '127.0.0.1', port }));
  for (const { id, worker } of started) {
    const next = SERVICES[(SERVICES.indexOf(id) + 1) % SERVICES.length];
    const its = services.filter((service) => service.id === next);
    await worker.run('call', next, its, PACE);
  }
  await sleep(5_000);
  return [started.map(({ worker }) => worker), services];
}

/** A half of a round with a process that watches, and an open page. */
async function watchedHalf(instances, services) {
  const watcher = start('watcher', { env: { BENCH_KEYS: keysDir } });
  await watcher.run('open', services, instances.length);
  // Sessions are made once, and not in each second.
  await sleep(5_000);
  const found = await half(instances, watcher);
  const { reporting, ageMs } = await watcher.run('seen');
  if (reporting !== instances.length || ageMs > FRESH_MS) {
    throw new Error(`${reporting} of ${instances.length} instances report, ${ageMs} ms ago`);
  }
  await watcher.stop();
  return found;
}

/** The calls of a half, the mean share of a core of the instances, and that of the watching process. */
async function half(instances, watcher) {
  const all = watcher === undefined ? instances : [...instances, watcher];
  const usage = () => Promise.all(all.map((worker) => worker.usage()));
  const made = () => Promise.all(instances.map((worker) => worker.run('made')));
  const [callsBefore, before, began] = [await made(), await usage(), performance.now()];
  await sleep(seconds * 1_000);
  const [after, took, callsAfter] = [await usage(), performance.now() - began, await made()];
  const grown = (field) =>
    callsAfter.reduce((sum, now, i) => sum + now[field] - callsBefore[i][field], 0);
  if (grown('failed') > 0) throw new Error(`${grown('failed')} calls of the instances failed`);
  const shares = after.map(({ cpuUs }, i) => (cpuUs - before[i].cpuUs) / 1_000 / took);
  const own = watcher === undefined ? undefined : shares.pop();
  const cpu = shares.reduce((sum, share) => sum + share, 0) / shares.length;
  return { calls: grown('done'), cpu, own, seconds: took / 1_000 };
}
