// Many sessions with one server: the memory of an idle session, the cost of calls beside many sessions, and a
// storm of clients that reconnect together.
//
// A client has a session with each instance of a service. The many addresses
// of the loopback network make instances of one server.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { measure } from '../lib/pairs.mjs';
import { start } from '../lib/processes.mjs';
import { medians } from '../lib/stats.mjs';

export const name = 'sessions';
export const title = 'Many sessions with one server';

const security = { jwtSecret: 'of this run, and of loopback only', rsaKeySize: 2048 };

const loopback = (number) => `127.1.${number >> 8}.${number & 255}`;

/** Configurations of `clients` clients, each with `instances` addresses of the server. */
function configs(clients, instances, port, directory, name = 'client') {
  return Array.from({ length: clients }, (_, client) => ({
    serviceId: `${name}-${client}`,
    security,
    paths: { keysDir: directory },
    discovery: {
      services: Array.from({ length: instances }, (_, instance) => ({
        id: 'server',
        host: loopback(client * instances + instance + 1),
        port,
      })),
    },
  }));
}

const serverConfig = (directory, port, limits = {}) => ({
  serviceId: 'server',
  port,
  host: '0.0.0.0',
  security,
  paths: { keysDir: directory },
  limits,
});

/** Returns `null` on systems with one loopback address; else `{ idle, growth, storm }`. */
export async function run(environment) {
  if (process.platform !== 'linux') return null;
  // A separate directory, because the key size differs from that of the other suites.
  const directory = join(environment.context.directory, 'sessions');
  const { quick, rounds, progress } = environment;
  const options = { quick, rounds, progress, directory };
  return {
    idle: await idle(options),
    growth: await growth(options),
    storm: await storm(options),
  };
}

/**
 * Returns a list of `{ sessions, bytesPerSession, serverCpuUs, aloneCpuUs, idleCpuShare }` for growing
 * numbers of idle sessions, each of which carried one call. The measured calls use ten other sessions, in
 * turns with the same calls (`alone…`) on a server without idle sessions.
 */
async function idle({ quick, rounds, directory, progress }) {
  const counts = quick ? [0, 1000] : [0, 1000, 10_000];
  const most = counts.at(-1);
  const meshes = 10;
  const limits = { maxSessions: 2 * most, maxSessionsPerPeer: most, maxConnections: 2 * most };
  const calls = { size: 1024, inFlight: 64, seconds: quick ? 0.4 : 2 };
  const busy = async () => {
    const [server, client] = [start('mesh-server'), start('clients')];
    const { port } = await server.run('serve', serverConfig(directory, 0, limits));
    await client.run('make', configs(1, 10, port, directory, 'busy'));
    await client.run('open', 10);
    await client.run('closed', calls);
    return { server, client, port };
  };
  const [alone, crowded] = [await busy(), await busy()];
  const { server, port } = crowded;
  const idle = start('clients');
  const rest = quick ? 0.5 : 11;
  const results = [];
  let base;
  for (const count of counts) {
    progress(`${count} idle sessions`);
    await idle.run('close');
    if (count > 0) {
      await idle.run('make', configs(meshes, count / meshes, port, directory));
      await idle.run('open', count);
    }
    const cpu = [];
    for (let round = 0; round < rounds; round += 1) {
      const [{ serverCpuUs: aloneCpuUs }, { serverCpuUs }] = [
        await measure(alone, 'closed', calls),
        await measure(crowded, 'closed', calls),
      ];
      cpu.push({ aloneCpuUs, serverCpuUs });
    }
    const sessions = await server.run('sessions');
    const rss = await server.run('settle');
    const before = await server.usage();
    await sleep(rest * 1000);
    const after = await server.usage();
    const grown = base && (rss - base.rss) / (sessions - base.sessions);
    base ??= { sessions, rss };
    results.push({
      sessions,
      bytesPerSession: grown ?? null,
      ...medians(cpu),
      idleCpuShare: (after.cpuUs - before.cpuUs) / 1e6 / rest,
    });
  }
  await idle.stop();
  for (const one of [alone, crowded]) await Promise.all([one.client.stop(), one.server.stop()]);
  return results;
}

/**
 * Returns a list of `{ peers, rate, serverCpuUs, clientCpuUs }` for 1, 10 and 100 peers in turns, each with
 * 64 calls in flight.
 */
async function growth({ quick, rounds, directory, progress }) {
  const crowds = [];
  for (const peers of [1, 10, 100]) {
    progress(`${peers} connected peers`);
    const calls = { size: 1024, inFlight: 64 * peers, seconds: quick ? 0.4 : 2 };
    const [server, client] = [start('mesh-server'), start('clients')];
    const { port } = await server.run('serve', serverConfig(directory, 0));
    // As few meshes as possible: each has an I/O thread, and the measurement is about the server.
    const meshes = Math.ceil(peers / 50);
    await client.run('make', configs(meshes, peers / meshes, port, directory));
    await client.run('open', peers);
    await client.run('closed', calls);
    crowds.push({ peers, server, client, calls, samples: [] });
  }
  for (let round = 0; round < rounds; round += 1) {
    for (const crowd of crowds) crowd.samples.push(await measure(crowd, 'closed', crowd.calls));
  }
  for (const { client, server } of crowds) await Promise.all([client.stop(), server.stop()]);
  return crowds.map(({ peers, samples }) => {
    const { rate, serverCpuUs, clientCpuUs } = medians(samples);
    return { peers, rate, serverCpuUs, clientCpuUs };
  });
}

/** 1,000 connections that are lost with their server, and all used together after its restart. */
async function storm({ quick, directory, progress }) {
  const [meshes, instances] = quick ? [10, 20] : [20, 50];
  progress(`a storm of ${meshes * instances}`);
  // All connections come from one address here, and the limit for one address is not measured.
  const limits = { maxPendingHandshakesPerAddress: 256 };
  let server = start('mesh-server');
  const client = start('clients');
  const { port } = await server.run('serve', serverConfig(directory, 0, limits));
  await client.run('make', configs(meshes, instances, port, directory));
  const opened = await client.run('open', meshes * instances);
  await server.stop();
  server = start('mesh-server');
  for (let wait = 0; (await client.run('sessions')) > 0 && wait < 100; wait += 1) await sleep(50);
  await server.run('serve', serverConfig(directory, port, limits));
  const before = await server.usage();
  const result = await client.run('storm', instances);
  const after = await server.usage();
  await client.stop();
  await server.stop();
  return { opened, ...result, serverCpuMs: (after.cpuUs - before.cpuUs) / 1000 };
}
