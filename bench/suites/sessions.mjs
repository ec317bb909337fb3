// Many sessions with one server: what an idle one takes, whether calls cost
// more beside many, and a storm of clients that all come back at once.
//
// A client has a session with each instance of a service. The many addresses
// of the loopback network make instances of one server.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { measure } from '../lib/pairs.mjs';
import { start } from '../lib/processes.mjs';

export const name = 'sessions';
export const title = 'Many sessions with one server';

const security = { jwtSecret: 'of this run, and of loopback only', rsaKeySize: 2048 };

const loopback = (number) => `127.1.${number >> 8}.${number & 255}`;

/** Configurations of so many clients, each with so many addresses of the server. */
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

/** `null` on systems with one loopback address; else `{ idle, growth, storm }`. */
export async function run(environment) {
  if (process.platform !== 'linux') return null;
  // Keys of another size than those of the other suites.
  const directory = join(environment.context.directory, 'sessions');
  const { quick, progress } = environment;
  const options = { quick, progress, directory };
  return {
    idle: await idle(options),
    growth: await growth(options),
    storm: await storm(options),
  };
}

/**
 * A list of `{ sessions, bytesPerSession, serverCpuUs, idleCpuShare }` for growing numbers of sessions.
 * The calls are always made on the same ten; the others carried one call each, and idle.
 */
async function idle({ quick, directory, progress }) {
  const counts = quick ? [0, 200, 1000] : [0, 1000, 10_000];
  const most = counts.at(-1);
  const meshes = 10;
  const server = start('mesh-server');
  const [idle, client] = [start('clients'), start('clients')];
  const limits = { maxSessions: 2 * most, maxSessionsPerPeer: most, maxConnections: 2 * most };
  const { port } = await server.run('serve', serverConfig(directory, 0, limits));
  const calls = { size: 1024, inFlight: 64, seconds: quick ? 0.4 : 2 };
  const rest = quick ? 0.5 : 11;
  const results = [];
  let base;
  await client.run('make', configs(1, 10, port, directory, 'busy'));
  await client.run('open', 10);
  await client.run('closed', calls);
  for (const count of counts) {
    progress(`${count} idle sessions`);
    await idle.run('close');
    if (count > 0) {
      await idle.run('make', configs(meshes, count / meshes, port, directory));
      await idle.run('open', count);
    }
    const { serverCpuUs } = await measure({ client, server }, 'closed', calls);
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
      serverCpuUs,
      idleCpuShare: (after.cpuUs - before.cpuUs) / 1e6 / rest,
    });
  }
  await idle.stop();
  await client.stop();
  await server.stop();
  return results;
}

/** A list of `{ peers, rate, serverCpuUs, clientCpuUs }`: 1, 10 and 100 of them, each with 64 calls in flight. */
async function growth({ quick, directory, progress }) {
  const results = [];
  for (const peers of [1, 10, 100]) {
    progress(`${peers} connected peers`);
    const calls = { size: 1024, inFlight: 64 * peers, seconds: quick ? 0.5 : 2 };
    const server = start('mesh-server');
    const client = start('clients');
    const { port } = await server.run('serve', serverConfig(directory, 0));
    const meshes = Math.min(peers, 10);
    await client.run('make', configs(meshes, peers / meshes, port, directory));
    await client.run('open', peers);
    await client.run('closed', calls);
    const { rate, serverCpuUs, clientCpuUs } = await measure({ client, server }, 'closed', calls);
    results.push({ peers, rate, serverCpuUs, clientCpuUs });
    await client.stop();
    await server.stop();
  }
  return results;
}

/** 1,000 connections that are lost with their server, and all used at once when it is back. */
async function storm({ quick, directory, progress }) {
  const [meshes, instances] = quick ? [10, 20] : [20, 50];
  progress(`a storm of ${meshes * instances}`);
  // They all come from one address here, and the limit for one address is not what is measured.
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
