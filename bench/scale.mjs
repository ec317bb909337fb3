// One caller and N services, each with a key, a port and a mesh of its own, all on this machine: what sessions cost
// the caller as N grows, in time, memory and processor, what a list of N instances that changes costs, and what happens
// when all services come back at once.
//
//   node bench/scale.mjs [N …, default 10 100 1000]

import { fork } from 'node:child_process';
import { generateKeyPair, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { SecureMesh } from './lib/mesh.mjs';

/** The keys of real services have 4,096 bits; their operations are off the I/O thread and are a row of the bench. */
const BITS = 2048;
const SECRET = (process.env.SCALE_SECRET ??= randomBytes(32).toString('base64url'));
/** How long a caller is watched while nothing is called, in seconds. */
const IDLE = 10;
/** How many lists of instances a provider reports. */
const REPORTS = 200;
const AT_ONCE = 64;

const makeKeys = promisify(generateKeyPair);
const name = (number) => `service-${number}`;

/** Runs `work` for each number below `count`, a few at a time. */
async function each(count, work) {
  let next = 0;
  const worker = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, count) }, worker));
}

/** The process of the services. */
async function serve() {
  const keysDir = mkdtempSync(join(tmpdir(), 'scale-services-'));
  const pems = [];
  const meshes = [];
  const start = async (number, port) => {
    const mesh = new SecureMesh({
      serviceId: name(number),
      port,
      host: '127.0.0.1',
      security: { jwtSecret: SECRET, privateKey: pems[number] },
      paths: { keysDir: join(keysDir, name(number)) },
    });
    mesh.handle('echo', (input) => input);
    await mesh.initialize();
    meshes[number] = mesh;
  };
  const commands = {
    start: async (count) => {
      await each(count, async (number) => {
        const format = { type: 'pkcs8', format: 'pem' };
        const options = { modulusLength: BITS, privateKeyEncoding: format };
        pems[number] ??= (await makeKeys('rsa', options)).privateKey;
        await start(number, 0);
      });
      return meshes.map((mesh) => mesh.address().port);
    },
    // All go at once and come back on their ports.
    restart: async () => {
      const ports = meshes.map((mesh) => mesh.address().port);
      await Promise.all(meshes.map((mesh) => mesh.cleanup()));
      await each(ports.length, (number) => start(number, ports[number]));
    },
    usage: () => usage(),
  };
  process.on('message', async ([command, argument]) => {
    process.send((await commands[command](argument)) ?? null);
  });
  process.once('disconnect', () => {
    rmSync(keysDir, { recursive: true, force: true });
    process.exit();
  });
}

function usage() {
  globalThis.gc?.();
  const { user, system } = process.cpuUsage();
  return { cpuMs: (user + system) / 1000, kib: process.memoryUsage.rss() / 1024 };
}

/** The process of the caller: everything about N services. */
async function call(ports) {
  const keysDir = mkdtempSync(join(tmpdir(), 'scale-caller-'));
  const security = { jwtSecret: SECRET, rsaKeySize: BITS };
  const services = ports.map((port, number) => ({ id: name(number), host: '127.0.0.1', port }));
  const lists = new EventTarget();
  const provider = {
    watch(_id, update, signal) {
      const on = ({ detail }) => update(detail);
      lists.addEventListener('list', on, { signal });
      update(list(0));
    },
  };
  /** N instances, of which another one is left out each time. */
  const list = (turn) =>
    ports
      .map((port) => ({ host: '127.0.0.1', port }))
      .filter((_, index) => ports.length === 1 || index !== turn % ports.length);
  const mesh = new SecureMesh({
    serviceId: 'caller',
    security,
    discovery: { services, provider },
    paths: { keysDir },
  });
  await mesh.initialize();
  const clients = services.map(({ id }) => mesh.connect(id));
  const callAll = () =>
    each(ports.length, (number) => clients[number].call('echo', number, { timeoutMs: 60_000 }));
  const timed = async (work) => {
    const [before, begun] = [usage(), performance.now()];
    await work();
    const ms = performance.now() - begun;
    const after = usage();
    return { ms, cpuMs: after.cpuMs - before.cpuMs, kib: after.kib - before.kib };
  };

  const connecting = await timed(callAll);
  await callAll();
  const calling = await timed(callAll);
  const idle = await timed(() => sleep(IDLE * 1000));
  // No service has this id, so that nothing is connected: the cost of the lists alone.
  await mesh
    .connect('listed')
    .call('echo', 1, { timeoutMs: 500 })
    .catch(() => {});
  const churn = await timed(async () => {
    for (let turn = 1; turn <= REPORTS; turn += 1) {
      lists.dispatchEvent(new CustomEvent('list', { detail: list(turn) }));
      await sleep(1);
    }
  });
  const nothing = await timed(async () => {
    for (let turn = 1; turn <= REPORTS; turn += 1) await sleep(1);
  });
  process.send({ ready: true });
  await once(process, 'message');
  // Every caller of a fleet does this when its services come back.
  const again = await timed(callAll);
  await mesh.cleanup();
  rmSync(keysDir, { recursive: true, force: true });
  return { connecting, calling, idle, churn, nothing, again };
}

async function measure(counts) {
  const self = fileURLToPath(import.meta.url);
  const execArgv = ['--expose-gc'];
  const row = (...cells) => console.log(cells.map((cell) => String(cell).padStart(13)).join(''));
  row(
    'services',
    'connect ms',
    'CPU ms each',
    'KiB each',
    'served KiB',
    'call µs CPU',
    'idle µs/s',
    'list ms CPU',
    'again ms',
    'CPU ms each',
  );
  for (const count of counts) {
    const server = fork(self, ['serve'], { execArgv });
    const ask = async (...command) => {
      server.send(command);
      return (await once(server, 'message'))[0];
    };
    const ports = await ask('start', count);
    const before = await ask('usage');
    const caller = fork(self, ['call'], { execArgv });
    caller.send(ports);
    await once(caller, 'message');
    const after = await ask('usage');
    await ask('restart');
    caller.send('go on');
    const [found] = await once(caller, 'message');
    const per = (value, digits = 1) => (value / count).toFixed(digits);
    row(
      count,
      found.connecting.ms.toFixed(0),
      per(found.connecting.cpuMs, 2),
      per(found.connecting.kib),
      per(after.kib - before.kib),
      per(found.calling.cpuMs * 1000, 0),
      per((found.idle.cpuMs * 1000) / IDLE, 1),
      ((found.churn.cpuMs - found.nothing.cpuMs) / REPORTS).toFixed(3),
      found.again.ms.toFixed(0),
      per(found.again.cpuMs, 2),
    );
    caller.kill();
    server.disconnect();
    await once(server, 'exit');
  }
}

const [role, ...rest] = process.argv.slice(2);
if (role === 'serve') await serve();
else if (role === 'call') {
  const [ports] = await once(process, 'message');
  process.send(await call(ports));
} else {
  const counts = [role, ...rest].filter(Boolean).map(Number);
  if (!counts.every((count) => count > 0)) throw new Error('usage: node bench/scale.mjs [N …]');
  await measure(counts.length > 0 ? counts : [10, 100, 1000]);
}
