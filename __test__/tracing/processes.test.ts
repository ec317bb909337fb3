// One HTTP request through a Fastify gateway, three services and an outgoing fetch, each in a process of its own
// with the real SDK: one trace with the right parents, as ES modules, as CommonJS and in a bundle.
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { build, transform } from 'esbuild';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { manifest, root } from '../../scripts/lib.mjs';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const REMOTE = '00f067aa0ba902b7';
const SOURCE = join(root, '__test__/fixtures/traced.mjs');

/** A span as a process reports it. */
interface Reported {
  readonly service: string;
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parent: string | undefined;
  readonly attributes: Record<string, unknown>;
}

let directory: string;
/** A folder without a node_modules above it. */
let alone: string;
beforeAll(() => {
  alone = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-bundle-'));
  directory = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-traced-'));
  const link = (target: string, path: string): void => {
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync(target, path, 'junction');
  };
  link(root, join(directory, 'node_modules', manifest.name));
  for (const name of ['@opentelemetry', '@fastify', 'fastify']) {
    link(join(root, 'node_modules', name), join(directory, 'node_modules', name));
  }
});
afterAll(() => {
  for (const path of [directory, alone]) rmSync(path, { recursive: true, force: true });
});

/** Writes the program in a form of modules. */
const forms: Record<string, () => Promise<string>> = {
  'ES modules': async () => {
    const file = join(directory, 'traced.mjs');
    writeFileSync(file, readFileSync(SOURCE));
    return file;
  },
  CommonJS: async () => {
    const file = join(directory, 'traced.cjs');
    const { code } = await transform(readFileSync(SOURCE, 'utf8'), { format: 'cjs' });
    writeFileSync(file, code);
    return file;
  },
  // The bundle has the API and the SDK in it, and no node_modules beside it but the binary.
  'a bundle': async () => {
    const outfile = join(alone, 'traced.cjs');
    await build({
      stdin: { contents: readFileSync(SOURCE, 'utf8'), resolveDir: directory, loader: 'js' },
      bundle: true,
      platform: 'node',
      format: 'cjs',
      outfile,
      logLevel: 'silent',
    });
    const binary = readdirSync(root).find((name) => name.endsWith('.node'));
    if (binary === undefined) throw new Error('the addon is not built');
    symlinkSync(join(root, binary), join(alone, binary));
    return outfile;
  },
};

/** Starts a process of the program; the address on which it listens. */
async function start(file: string, settings: object) {
  const child = fork(file, [JSON.stringify({ keysDir: join(directory, 'keys'), ...settings })], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    cwd: dirname(file),
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [{ address }] = (await once(child, 'message')) as [
    { address: { host?: string; address?: string; port: number } },
  ];
  return { child, port: address.port };
}

async function spansOf(child: ChildProcess): Promise<Reported[]> {
  const answer = once(child, 'message') as Promise<[{ spans: Reported[] }]>;
  child.send('spans');
  return (await answer)[0].spans;
}

it.each(Object.keys(forms))(
  'is one trace through four processes, as %s',
  async (form) => {
    const file = await forms[form]!();
    let arrived: string | undefined;
    const target = createServer((request, response) => {
      arrived = request.headers['traceparent'] as string;
      response.setHeader('content-type', 'application/json').end('{"price":7}');
    }).listen(0, '127.0.0.1');
    onTestFinished(() => void target.close());
    await once(target, 'listening');
    const url = `http://127.0.0.1:${(target.address() as AddressInfo).port}/`;

    const at = (id: string, port: number) => ({ next: { id, host: '127.0.0.1', port } });
    const prices = await start(file, { id: 'prices', url });
    const stock = await start(file, { id: 'stock', ...at('prices', prices.port) });
    const orders = await start(file, { id: 'orders', ...at('stock', stock.port) });
    const gateway = await start(file, { id: 'gateway', http: true, ...at('orders', orders.port) });
    const response = await fetch(`http://127.0.0.1:${gateway.port}/`, {
      headers: { traceparent: `00-${TRACE}-${REMOTE}-01` },
    });
    expect(await response.json()).toEqual({ price: 7 });

    const children = [gateway, orders, stock, prices].map(({ child }) => child);
    let spans: Reported[];
    // The span of the HTTP request ends after its response.
    do spans = (await Promise.all(children.map(spansOf))).flat();
    while (!spans.some((span) => span.name === 'request'));
    expect(new Set(spans.map((span) => span.traceId))).toEqual(new Set([TRACE]));

    // From the innermost span upwards.
    const path: string[] = [];
    let above: string | undefined = arrived?.split('-')[2];
    while (above !== undefined && above !== REMOTE) {
      const span = spans.find((one) => one.spanId === above);
      if (span === undefined) throw new Error(`no span ${above}: ${JSON.stringify(spans)}`);
      path.unshift(`${span.service}: ${span.name}`);
      above = span.parent;
    }
    expect(above).toBe(REMOTE);
    expect(path.filter((name) => !name.includes('handler'))).toEqual([
      'gateway: request',
      'gateway: orders/get',
      'orders: orders/get',
      'orders: stock/get',
      'stock: stock/get',
      'stock: prices/get',
      'prices: prices/get',
      'prices: GET',
    ]);
    const called = spans.find((span) => span.service === 'gateway' && span.name === 'orders/get');
    expect(called?.attributes).toMatchObject({
      'server.address': '127.0.0.1',
      'server.port': orders.port,
    });
    const answered = spans.find((span) => span.service === 'orders' && span.name === 'orders/get');
    expect(answered?.attributes).toMatchObject({
      'server.port': orders.port,
      'securestack.peer.service': 'gateway',
      'securestack.peer.trust': 'embedded',
    });
  },
  60_000,
);
