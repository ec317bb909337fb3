// Spans that the core exports by OTLP/HTTP, without an SDK: one trace through three processes, the decision about it,
// and collectors that are slow, away, wrong or hostile.
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { expect, it, onTestFinished } from 'vitest';
import { SecureMesh, type MeshConfig } from '../../js/index.js';
import { Authority } from '../support/authority.js';
import { answer, collector, type Exported } from '../support/collector.js';
import { config, entry, make, pair, serve } from '../support/meshes.js';
import { run } from '../support/processes.js';
import { errorOf, until } from '../support/promises.js';
import { telemetry } from '../support/telemetry.js';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const REMOTE = '00f067aa0ba902b7';
const TOKEN = 'Bearer a-token-that-nobody-may-see';

const look = (mesh: SecureMesh): void =>
  void mesh.handle('look', (_, ctx) => ctx.metadata['traceparent']);

/** The options of a call that continues a recorded trace. */
const SAMPLED = { metadata: { traceparent: `00-${TRACE}-${REMOTE}-01` } };

/** The value of a metric. */
function metric(mesh: SecureMesh, name: string): number | undefined {
  const line = mesh
    .metricsText()
    .split('\n')
    .find((one) => one.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.split(' ')[1]);
}

const dropped = (mesh: SecureMesh, reason: string): number | undefined =>
  metric(mesh, `securestack_spans_dropped_total{reason="${reason}"}`);

/** A caller whose spans go to a collector, and its service, which exports none. */
function exporting(url: string, extra: Partial<MeshConfig> = {}, more: object = {}) {
  return pair(look, {}, { tracing: { otlp: url, ...more }, ...extra });
}

it('is one trace through three processes', async () => {
  const { url: otlp, spans, span, requests } = await collector();
  const common = { otlp, token: TOKEN };
  const at = (id: string, { address }: any) => ({ next: { id, ...address } });
  const stock = run('exported', { id: 'stock', ...common });
  const orders = run('exported', { id: 'orders', ...common, ...at('stock', await stock.next()) });
  const shop = run('exported', {
    id: 'shop',
    first: true,
    ...common,
    ...at('orders', await orders.next()),
  });
  const { seen } = await shop.next();
  const path = [
    ['shop', 'CLIENT', 'orders/get'],
    ['orders', 'SERVER', 'orders/get'],
    ['orders', 'CLIENT', 'stock/get'],
    ['stock', 'SERVER', 'stock/get'],
  ] as const;
  await Promise.all(path.map(([, kind, name]) => span(kind, name)));
  const found = path.map(([service, kind, name]) =>
    spans.filter((one) => one.service === service && one.kind === kind && one.name === name),
  );
  expect(found.map((ones) => ones.length)).toEqual([1, 1, 1, 1]);
  const chain = found.map(([one]) => one as Exported);
  expect(chain[0]!.parent).toBe('');
  expect(chain.slice(1).map((one) => one.parent)).toEqual(chain.slice(0, 3).map((one) => one.id));
  expect(new Set(chain.map((one) => one.trace)).size).toBe(1);
  expect(new Set(spans.map((one) => one.id)).size).toBe(spans.length);
  // The handler of `orders` saw the span of its own request.
  expect(seen).toBe(`00-${chain[1]!.trace}-${chain[1]!.id}-01`);
  for (const [index, one] of chain.entries()) {
    expect(one.end > one.start).toBe(true);
    // The clock of one machine; a millisecond for its reading at two starts.
    if (index > 0) expect(one.start + 1_000_000n >= chain[index - 1]!.start).toBe(true);
  }
  expect(chain[0]!.attributes).toMatchObject({
    'rpc.system.name': 'securestack',
    'rpc.method': 'orders/get',
    'rpc.status_code': 'OK',
    'server.address': '127.0.0.1',
    'server.port': expect.stringMatching(/^\d+$/),
    'securestack.peer.service': 'orders',
  });
  expect(chain[1]!.attributes).toMatchObject({
    'securestack.peer.service': 'shop',
    'securestack.peer.trust': 'embedded',
  });
  const shaken = spans.filter((one) => one.name === 'securestack.handshake');
  expect(shaken.some((one) => one.kind === 'CLIENT' && one.service === 'shop')).toBe(true);
  expect(shaken.some((one) => one.kind === 'SERVER' && one.service === 'stock')).toBe(true);
  expect(shaken.every((one) => one.trace !== chain[0]!.trace && one.parent === '')).toBe(true);
  for (const headers of requests) {
    expect(headers).toMatchObject({
      path: '/v1/traces',
      authorization: TOKEN,
      'content-type': 'application/x-protobuf',
    });
  }
}, 60_000);

it('follows the decision of a trace, and tells its own', async () => {
  const { url, span, spans } = await collector();
  const { client, mesh } = await exporting(url, {}, { sample: 0 });
  const own = await client.call<undefined, string>('look');
  expect(own).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  const above = (flags: string) => ({
    metadata: { traceparent: `00-${TRACE}-${REMOTE}-${flags}`, tracestate: 'a=b' },
  });
  expect(await client.call('look', null, above('00'))).toBe(`00-${TRACE}-${REMOTE}-00`);
  const seen = await client.call<null, string>('look', null, above('01'));
  const { id, trace, parent } = await span('CLIENT', 'server/look');
  expect([trace, parent, seen]).toEqual([TRACE, REMOTE, `00-${TRACE}-${id}-01`]);
  await mesh.cleanup();
  expect(spans).toHaveLength(1);
});

it('shows failures, and streams with their kind', async () => {
  const { url, span } = await collector();
  const { mesh, client } = await exporting(url);
  await errorOf(client.call('missing'));
  const failed = await span('CLIENT', 'server/missing');
  expect(failed.attributes).toMatchObject({
    'error.type': 'UNIMPLEMENTED',
    'rpc.status_code': 'UNIMPLEMENTED',
    'securestack.reason': 'METHOD_NOT_FOUND',
  });
  expect(failed.status).toMatchObject({ code: 'STATUS_CODE_ERROR' });
  const server = await serve('counting', (own) => {
    own.handle('count', { kind: 'serverStream' }, async function* () {
      yield 1;
    });
  });
  const caller = make('other', {
    discovery: { services: [entry('counting', server)] },
    tracing: { otlp: url },
  });
  await caller.initialize();
  for await (const item of caller.connect('counting').serverStream('count')) expect(item).toBe(1);
  const streamed = await span('CLIENT', 'counting/count');
  expect(streamed.attributes['securestack.call.kind']).toBe('server-stream');
  await mesh.cleanup();
});

it('sends a batch again that a collector could not take, and none that it refuses', async () => {
  const statuses = [503, 200, 400];
  const { url, span, requests } = await collector((response, count) => {
    const status = statuses[count - 1] ?? 200;
    response.writeHead(status, { 'retry-after': '1' }).end(answer());
    return status === 200;
  });
  const { mesh, client } = await exporting(url, {}, { sample: 0 });
  await client.call('look', null, SAMPLED);
  await span('CLIENT', 'server/look');
  expect(requests).toHaveLength(2);
  expect(dropped(mesh, 'export_failed')).toBe(0);
  await client.call('look', null, SAMPLED);
  await until(() => dropped(mesh, 'export_failed') === 1);
  expect(requests).toHaveLength(3);
});

it('believes what a collector rejects', async () => {
  const { url } = await collector((response) => {
    response.end(answer(1, 'no room\u001b[2J'));
    return true;
  });
  const lines: string[] = [];
  const logger = Object.fromEntries(
    ['debug', 'info', 'warn', 'error'].map((level) => [
      level,
      (...all: unknown[]) => void lines.push(JSON.stringify(all)),
    ]),
  ) as any;
  const { mesh, client } = await exporting(
    url,
    { logger },
    { sample: 0, headers: { 'x-key': TOKEN } },
  );
  await client.call('look', null, SAMPLED);
  await until(() => dropped(mesh, 'rejected') === 1);
  await until(() => lines.some((line) => line.includes('export.failed')));
  const line = lines.find((one) => one.includes('export.failed'));
  expect(line).toContain('no room');
  expect(line).not.toContain('\\u001b[2J"');
  expect(lines.join()).not.toContain(TOKEN);
});

/** A server that answers each connection with the same bytes. */
async function blunt(reply: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    reply(socket);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const hostile: Record<string, () => Promise<string>> = {
  away: async () => 'http://127.0.0.1:1',
  silent: () => blunt(() => {}),
  'no HTTP': () => blunt((socket) => void socket.write('\u0000\u0001 garbage \r\n\r\n'.repeat(99))),
  endless: () =>
    blunt((socket) => {
      const head = 'HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\n\r\n';
      socket.write(head);
      const more = (): void => {
        while (socket.writable && socket.write(Buffer.alloc(65_536)));
      };
      socket.on('drain', more);
      more();
    }),
};

it.each(Object.keys(hostile))(
  'delays no call and no end for a collector that is %s',
  async (kind) => {
    const { mesh, client } = await exporting(await hostile[kind]!());
    await client.call('look');
    const before = process.memoryUsage.rss();
    for (let round = 0; round < 20; round += 1) {
      const began = performance.now();
      await Promise.all(Array.from({ length: 200 }, () => client.call('look')));
      expect(performance.now() - began).toBeLessThan(5_000);
    }
    // More than the queue holds, and than a batch under way does.
    if (kind !== 'endless') await until(() => dropped(mesh, 'queue_full')! > 0);
    const began = performance.now();
    await mesh.cleanup();
    expect(performance.now() - began).toBeLessThan(4_500);
    expect(process.memoryUsage.rss() - before).toBeLessThan(100 * 2 ** 20);
  },
  60_000,
);

it('reads an answer of 10 MB no further than it has to, and one of garbage as its status', async () => {
  const bodies = [Buffer.alloc(10 * 2 ** 20, 7), Buffer.from('not a message')];
  const { url, spans } = await collector((response, count) => {
    response.end(bodies[count - 1] ?? answer());
    return true;
  });
  const { mesh, client } = await exporting(url);
  for (let round = 1; round <= 3; round += 1) {
    await client.call('look');
    const seen = (): number => spans.filter((one) => one.name === 'server/look').length;
    await until(() => seen() === round);
  }
  await until(() => metric(mesh, 'securestack_spans_exported_total') === spans.length);
});

it('exports what waits at the end of a mesh', async () => {
  const { url, spans } = await collector();
  const { mesh, client } = await exporting(url);
  await Promise.all(Array.from({ length: 1_000 }, () => client.call('look')));
  await mesh.cleanup();
  expect(spans.filter((one) => one.name === 'server/look')).toHaveLength(1_000);
});

it('speaks TLS to a collector that its anchors know, and to no other', async () => {
  const authority = new Authority();
  const files = authority.issue('collector', { dns: 'localhost' });
  const tls = { cert: readFileSync(files.cert), key: readFileSync(files.key) };
  const { url, span, requests } = await collector(undefined, tls);
  const trusting = await exporting(url, {}, { ca: files.ca });
  await trusting.client.call('look');
  await span('CLIENT', 'server/look');
  const before = requests.length;
  const lines: string[] = [];
  const log = (...all: unknown[]): void => void lines.push(JSON.stringify(all));
  const logger = { debug: log, info: log, warn: log, error: log };
  const wary = make('wary', {
    discovery: { services: [entry('server', trusting.server)] },
    tracing: { otlp: url, ca: new Authority('Another').path('ca.crt') },
    logger,
  });
  await wary.initialize();
  await wary.connect('server').call('look');
  await until(() => lines.some((line) => /export\.failed/.test(line) && /tls/.test(line)), 15_000);
  expect(requests).toHaveLength(before);
});

it('is refused beside an SDK, which would have a trace of its own', async () => {
  const { url } = await collector();
  telemetry();
  expect(() => new SecureMesh(config('beside', { tracing: { otlp: url } }))).toThrow(
    /tracing\.otlp .*one is registered/,
  );
  // Without spans of the core there is nothing to refuse.
  new SecureMesh(config('beside', { tracing: { otlp: url, enabled: false } }));
});

it('leaves the spans to the core where an SDK is registered later', async () => {
  const { url, span } = await collector();
  const { client } = await exporting(url, {}, { enabled: true });
  const sdk = telemetry();
  await client.call('look');
  await span('CLIENT', 'server/look');
  expect(sdk.spans().filter((one) => one.kind === 2)).toEqual([]);
});

it.each([
  [{ otlp: 'collector:4318' }, /tracing\.otlp must be an http:\/\/ or https:\/\/ URL/],
  [{ otlp: 'http://user:hush@collector' }, /credentials go into tracing\.headers/],
  [{ otlp: 'http://c', sample: 2 }, /tracing\.sample must be a number from 0 to 1/],
  [
    { otlp: 'http://c', headers: { 'a b': 'hush' } },
    /tracing\.headers\.a b must be a header's name/,
  ],
  [{ otlp: 'http://c', headers: { key: 'hush\n' } }, /tracing\.headers\.key must be printable/],
  [{ otlp: 'http://c', headers: { key: 1234567 } }, /tracing\.headers\.key must be a string/],
  [{ otlp: 'http://c', headers: { Host: 'x' } }, /tracing\.headers\.Host must be absent/],
  [{ otlp: 'http://c', ca: '/ca.pem' }, /tracing\.ca must be absent with an http:\/\/ URL/],
  [{ oltp: 'http://c' }, /tracing\.oltp is not an option; did you mean tracing\.otlp/],
])('names what is wrong with %j', (tracing, text) => {
  let error: any;
  try {
    new SecureMesh(config('wrong', { tracing } as any));
  } catch (caught) {
    error = caught;
  }
  expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'CONFIG' });
  expect(error.message).toMatch(text);
  expect(error.message).not.toMatch(/hush|1234567/);
});
