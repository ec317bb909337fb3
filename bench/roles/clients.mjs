// Many clients of this package in one process.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { SecureMesh } from '../lib/mesh.mjs';
import { closedLoop } from '../lib/loops.mjs';
import { order } from '../lib/payloads.mjs';
import { Times } from '../lib/stats.mjs';

let clients = [];
let resumed = 0;

const logger = {
  info: (_message, fields) => {
    if (fields?.resumed === 'true') resumed += 1;
  },
};

/** Creates and initializes a client for each configuration; all of them know `server`, some know `other`. */
export async function make(configs) {
  for (const config of configs) {
    const mesh = new SecureMesh({ logger, ...config });
    await mesh.initialize();
    clients.push({ mesh, server: mesh.connect('server'), other: mesh.connect('other') });
  }
}

/** Closes all clients. */
export async function close() {
  await Promise.all(clients.map(({ mesh }) => mesh.cleanup()));
  clients = [];
}

/** Makes one call by each client in turn; returns the number of resumed sessions. */
export async function callEach() {
  const before = resumed;
  const began = performance.now();
  for (const { server } of clients) await server.call('json', 1);
  return {
    calls: clients.length,
    seconds: (performance.now() - began) / 1000,
    resumed: resumed - before,
  };
}

/** Makes calls, a few at a time, until the clients have `count` sessions together. */
export async function open(count) {
  const share = Math.ceil(count / clients.length);
  await Promise.all(
    clients.map(async ({ mesh, server }) => {
      while (mesh.getStats().activeSessions < share) {
        const burst = Math.min(4, share - mesh.getStats().activeSessions);
        const call = () => server.call('json', 1, { timeoutMs: 60_000 });
        await Promise.all(Array.from({ length: burst }, call));
      }
    }),
  );
  return sessions();
}

/** The number of sessions of all clients. */
export function sessions() {
  return clients.reduce((sum, { mesh }) => sum + mesh.getStats().activeSessions, 0);
}

/** A closed loop over all clients in turn. */
export function closed({ size, inFlight, seconds }) {
  const value = order(size);
  let turn = 0;
  const call = () => {
    turn = (turn + 1) % clients.length;
    return clients[turn].server.call('json', value);
  };
  return closedLoop(call, inFlight, seconds);
}

/** Makes `each` concurrent calls by each client; returns their outcomes. */
export async function storm(each) {
  const before = resumed;
  const times = new Times();
  const failures = {};
  const began = performance.now();
  const one = async (server) => {
    try {
      await server.call('json', 1, { timeoutMs: 60_000 });
      times.add(performance.now() - began);
    } catch (error) {
      const what = `${error.code} ${error.reason}`;
      failures[what] = (failures[what] ?? 0) + 1;
    }
  };
  await Promise.all(
    clients.flatMap(({ server }) => Array.from({ length: each }, () => one(server))),
  );
  return { answered: times.count, failures, resumed: resumed - before, ...times.summary() };
}

/**
 * Keeps `inFlight` calls of `slow` in flight for `seconds`, each of about `ms`, and periodically begins
 * `beyond` more. Returns the outcomes of these, and the memory of this process over time.
 */
export async function saturate({ inFlight, ms, seconds, beyond }) {
  const [{ server }] = clients;
  const end = performance.now() + seconds * 1000;
  const memory = [];
  const refused = { count: 0, withHint: 0, others: {} };
  let answered = 0;
  let [failed, failure] = [0, ''];
  const someTime = () => ({ ms: ms * (0.5 + Math.random()) });
  const one = async () => {
    while (performance.now() < end) {
      try {
        await server.call('slow', someTime());
        answered += 1;
      } catch (error) {
        failed += 1;
        failure = `${error.code} ${error.reason}`;
        await new Promise((resolve) => setTimeout(resolve, ms));
      }
    }
  };
  const extra = async () => {
    try {
      await server.call('slow', someTime());
      refused.others.answered = (refused.others.answered ?? 0) + 1;
    } catch (error) {
      if (error.code === 'RESOURCE_EXHAUSTED') {
        refused.count += 1;
        if (error.retryAfterMs > 0) refused.withHint += 1;
      } else {
        refused.others[error.code] = (refused.others[error.code] ?? 0) + 1;
      }
    }
  };
  const watch = setInterval(() => {
    memory.push(process.memoryUsage.rss());
    for (let number = 0; number < beyond; number += 1) void extra();
  }, 250);
  await Promise.all(Array.from({ length: inFlight }, one));
  clearInterval(watch);
  return { answered, failed, failure, refused, memory };
}

/** Returns the latencies of single calls of `other`, some milliseconds apart, over `seconds`. */
export async function ping(seconds) {
  const [{ other }] = clients;
  const times = new Times();
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    const began = performance.now();
    await other.call('json', 1);
    times.add(performance.now() - began);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return { calls: times.count, ...times.summary() };
}

/** Generates a key as in a first start. */
export async function makeKey(bits) {
  const keysDir = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-bench-'));
  const mesh = new SecureMesh({
    serviceId: 'maker',
    security: { rsaKeySize: bits },
    paths: { keysDir },
  });
  try {
    await mesh.initialize();
    await mesh.cleanup();
  } finally {
    rmSync(keysDir, { recursive: true, force: true });
  }
}
