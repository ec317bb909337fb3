// Ten instances of a service, one ten times slower than the others, one that fails a fifth of its calls: the
// latency and the errors that a caller sees under each policy. Then a restart of one instance after another, all
// of them well, under the same load.
//
//   node bench/balance.mjs [seconds for each, default 5]

import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { SecureMesh } from './lib/mesh.mjs';

const INSTANCES = 10;
const CALLERS = 20;
const NORMAL_MS = 5;
const SLOW_MS = 10 * NORMAL_MS;

const mesh = (serviceId, options) =>
  new SecureMesh({
    serviceId,
    security: { rsaKeySize: 2048 },
    paths: { keysDir: process.env.BENCH_KEYS },
    ...options,
  });

/** An instance; `faulty` says what is wrong with it. */
async function instance(port, faulty) {
  const server = mesh('server', { port });
  let count = 0;
  server.handle('work', async () => {
    await sleep(faulty === 'slow' ? SLOW_MS : NORMAL_MS);
    count += 1;
    if (faulty === 'fails' && count % 5 === 0) throw new Error('a fifth of the calls');
    return count;
  });
  await server.initialize();
  return server;
}

/** The process of the instances. */
async function serve() {
  let servers = [];
  const commands = {
    start: async (faults) => {
      servers = [];
      for (let number = 0; number < INSTANCES; number += 1) {
        servers.push(await instance(0, faults[number]));
      }
      return servers.map((server) => server.address().port);
    },
    stop: () => Promise.all(servers.map((server) => server.cleanup())),
    restart: async (number) => {
      const { port } = servers[number].address();
      await servers[number].drain({ timeoutMs: 5000 });
      servers[number] = await instance(port);
    },
  };
  process.on('message', async ([name, argument]) => {
    process.send((await commands[name](argument)) ?? null);
  });
}

/** Calls from several callers at once, each one after another, until `over` resolves. */
async function load(client, over) {
  const times = [];
  let failed = 0;
  let running = true;
  const caller = async () => {
    while (running) {
      const begun = performance.now();
      await client.call('work', 1, { timeoutMs: 5000 }).catch(() => (failed += 1));
      times.push(performance.now() - begun);
    }
  };
  const callers = Array.from({ length: CALLERS }, caller);
  await over;
  running = false;
  await Promise.all(callers);
  times.sort((a, b) => a - b);
  const at = (share) => times[Math.floor(times.length * share)];
  return { calls: times.length, failed, p50: at(0.5), p99: at(0.99) };
}

async function measure(seconds) {
  const keys = mkdtempSync(join(tmpdir(), 'balance-'));
  process.env.BENCH_KEYS = keys;
  const child = fork(fileURLToPath(import.meta.url));
  const ask = (...command) => {
    const answer = new Promise((resolve) => child.once('message', resolve));
    child.send(command);
    return answer;
  };
  const caller = async (ports, balancing) => {
    const services = ports.map((port) => ({ id: 'server', host: '127.0.0.1', port }));
    const client = mesh('client', { discovery: { services }, balancing });
    await client.initialize();
    const connection = client.connect('server');
    // Sessions with all of them, before anything is measured.
    await load(connection, sleep(1000));
    return { client, connection };
  };
  const show = (name, { calls, failed, p50, p99 }) =>
    console.log(
      `${name.padEnd(16)} ${String(calls).padStart(6)} calls  p50 ${p50.toFixed(1).padStart(5)} ms  ` +
        `p99 ${p99.toFixed(1).padStart(5)} ms  failed ${((100 * failed) / calls).toFixed(2)} % (${failed})`,
    );

  const found = {};
  const faults = { 3: 'slow', 6: 'fails' };
  for (const policy of ['round-robin', 'random', 'p2c']) {
    const ports = await ask('start', faults);
    // Ejection belongs to the default; the others show what there is without.
    const balancing = policy === 'p2c' ? { policy } : { policy, ejection: false };
    const { client, connection } = await caller(ports, balancing);
    found[policy] = await load(connection, sleep(seconds * 1000));
    show(policy, found[policy]);
    await client.cleanup();
    await ask('stop');
  }

  const { client, connection } = await caller(await ask('start', {}), {});
  const steady = await load(connection, sleep(seconds * 1000));
  show('all well', steady);
  const restarts = async () => {
    for (let number = 0; number < INSTANCES; number += 1) await ask('restart', number);
  };
  const rolling = await load(connection, restarts());
  show('rolling restart', rolling);
  await client.cleanup();
  await ask('stop');
  child.kill();
  rmSync(keys, { recursive: true, force: true });

  const gain = found['round-robin'].p99 / found.p2c.p99;
  const errors = found.p2c.failed / found.p2c.calls;
  console.log(`\np99 of p2c is ${gain.toFixed(1)} × better than that of round robin`);
  const good = gain >= 5 && errors < 0.01 && rolling.failed === 0 && rolling.p99 <= 2 * steady.p99;
  if (!good)
    console.log(
      'MISSED: 5 × better, less than 1 % failed, no call lost in a restart, p99 within 2 ×',
    );
  process.exitCode = good ? 0 : 1;
}

if (process.send) await serve();
else await measure(Number(process.argv[2] ?? 5));
