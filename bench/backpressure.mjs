// A gibibyte through each kind of stream, to a consumer ten times slower than its producer. The program
// checks completeness, and measures the growth of memory and the latency of other calls of the session.
//
//   node bench/backpressure.mjs [MiB, default 1024]

import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SecureMesh } from '../dist/index.mjs';

const CHUNK = 64 * 1024;
const chunk = (number) => {
  const bytes = new Uint8Array(CHUNK);
  new DataView(bytes.buffer).setUint32(number % (CHUNK - 4), number);
  return bytes;
};

function* chunks(count) {
  for (let number = 0; number < count; number += 1) yield chunk(number);
}

/** Reads all items, with a pause after each; returns their digest. */
async function read(items, pauseMs) {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const item of items) {
    hash.update(item);
    bytes += item.length;
    if (pauseMs > 0) {
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
  return `${bytes}:${hash.digest('hex')}`;
}

const mesh = (serviceId, options) =>
  new SecureMesh({
    serviceId,
    security: { rsaKeySize: 2048 },
    paths: { keysDir: process.env.BENCH_KEYS },
    ...options,
  });

if (process.send) {
  const server = mesh('server', { port: 0 });
  let peak = 0;
  setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 20).unref();
  server.handle('echo', (input) => input);
  server.handle('reset', () => ((peak = 0), process.memoryUsage.rss()));
  server.handle('peak', () => peak);
  server.handle('down', async function* ({ count }) {
    yield* chunks(count);
  });
  server.handle('up', { kind: 'clientStream' }, async (items, ctx) =>
    read(items, Number(ctx.metadata.pause)),
  );
  server.handle('both', { kind: 'bidiStream' }, async function* (items, ctx) {
    yield await read(items, Number(ctx.metadata.pause));
  });
  await server.initialize();
  process.send(server.address().port);
} else {
  const count = (Number(process.argv[2] ?? 1024) * 1024 * 1024) / CHUNK;
  const keys = mkdtempSync(join(tmpdir(), 'streams-'));
  process.env.BENCH_KEYS = keys;
  const child = fork(fileURLToPath(import.meta.url));
  const port = await new Promise((resolve) => child.once('message', resolve));
  const client = mesh('client', {
    discovery: { services: [{ id: 'server', host: '127.0.0.1', port }] },
  });
  await client.initialize();
  const server = client.connect('server');
  const expected = await read(chunks(count), 0);

  const kinds = {
    serverStream: (many, pause) => read(server.serverStream('down', { count: many }), pause),
    clientStream: (many, pause) =>
      server.clientStream('up', chunks(many), { metadata: { pause: String(pause) } }),
    bidiStream: async (many, pause) => {
      const metadata = { pause: String(pause) };
      for await (const digest of server.bidiStream('both', chunks(many), { metadata })) {
        return digest;
      }
    },
  };

  const p99 = async (until) => {
    const times = [];
    let over = false;
    void until.finally(() => (over = true));
    while (!over) {
      const begun = performance.now();
      await server.call('echo', 1);
      times.push(performance.now() - begun);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    return times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? 0;
  };

  await p99(new Promise((resolve) => setTimeout(resolve, 1000)));
  const idle = await p99(new Promise((resolve) => setTimeout(resolve, 4000)));
  const mib = (bytes) => Math.round(bytes / 1024 / 1024);
  console.log(`unary p99 on an idle session: ${idle.toFixed(2)} ms`);
  let ok = true;
  for (const [kind, run] of Object.entries(kinds)) {
    const sample = Math.min(count, 4096);
    const begun = performance.now();
    await run(sample, 0);
    const msPerItem = (performance.now() - begun) / sample;
    const pause = Math.max(1, Math.round(msPerItem * 9));

    const before = [process.memoryUsage.rss(), await server.call('reset')];
    let peak = 0;
    const watch = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 20);
    const work = run(count, pause);
    const busy = await p99(work);
    clearInterval(watch);
    const grown = [peak - before[0], (await server.call('peak')) - before[1]].map(mib);
    const same = (await work) === expected;
    const good = same && Math.max(...grown) < 64 && busy <= 3 * idle;
    ok &&= good;
    console.log(
      `${kind}: ${(CHUNK / 1048.576 / msPerItem).toFixed(0)} MiB/s unhindered, then ${pause} ms between items; ` +
        `${same ? 'bytes equal' : 'BYTES DIFFER'}, grown by ${grown.join(' and ')} MiB ` +
        `(client and server), unary p99 ${busy.toFixed(2)} ms${good ? '' : ' — MISSED'}`,
    );
  }
  await client.cleanup();
  child.kill();
  rmSync(keys, { recursive: true, force: true });
  process.exitCode = ok ? 0 : 1;
}
