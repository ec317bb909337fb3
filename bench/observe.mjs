// The cost of being watched: twenty instances under load, with and without a process that shows their mesh and a page
// that reads it. Each round measures both, so that only differences within a round count.
//
//   node bench/observe.mjs [rounds, default 5] [seconds of each half, default 20]

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

const rounds = Number(process.argv[2] ?? 5);
const seconds = Number(process.argv[3] ?? 20);
if (!(rounds >= 1 && seconds >= 5)) {
  throw new Error('the arguments are a number of rounds, and at least 5 seconds');
}

const percent = (share) => `${(share * 100).toFixed(2)} %`;

const keysDir = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-bench-'));
try {
  const [instances, services] = await observed();
  const [lost, used] = [[], []];
  for (let round = 0; round < rounds; round++) {
    const [alone] = await cpu(instances);
    const watcher = start('watcher', { env: { BENCH_KEYS: keysDir } });
    await watcher.run('open', services);
    // Sessions are made once, and not in each second.
    await sleep(5_000);
    const [watched, own] = await cpu(instances, watcher);
    const { reporting } = await watcher.run('seen');
    if (reporting !== SERVICES.length * INSTANCES) {
      throw new Error(`${reporting} of ${SERVICES.length * INSTANCES} instances report`);
    }
    await watcher.stop();
    lost.push(watched - alone);
    used.push(own);
    console.log(
      `round ${round + 1}: an instance uses ${percent(alone)} of a core alone, ${percent(watched)} watched; ` +
        `the watching process uses ${percent(own)}`,
    );
  }
  const [more, mine] = [median(lost), median(used)];
  console.log(`\nan observed instance loses ${percent(more)} of a core, of ${percent(MOST_LOST)}`);
  console.log(`the watching process uses ${percent(mine)} of a core, of ${percent(MOST_USED)}`);
  process.exitCode = more <= MOST_LOST && mine <= MOST_USED ? 0 : 1;
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

/** The mean share of a core of the instances, and that of the watching process. */
async function cpu(instances, watcher) {
  const all = watcher === undefined ? instances : [...instances, watcher];
  const usage = () => Promise.all(all.map((worker) => worker.usage()));
  const [before, began] = [await usage(), performance.now()];
  await sleep(seconds * 1_000);
  const [after, took] = [await usage(), performance.now() - began];
  const shares = after.map(({ cpuUs }, i) => (cpuUs - before[i].cpuUs) / 1_000 / took);
  const own = watcher === undefined ? undefined : shares.pop();
  return [shares.reduce((sum, share) => sum + share, 0) / shares.length, own];
}
