// The examples, run as in their READMEs, with the output that the READMEs show.
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { manifest, root } from '../scripts/lib.mjs';
import { freePort } from './support/servers.js';

/** The output of a program of one or two processes, after all of them have ended. */
async function output(command: string): Promise<string[]> {
  const [program, ...args] = command.split(' ');
  expect(program).toBe('node');
  const state = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-example-'));
  onTestFinished(() => rmSync(state, { recursive: true, force: true }));
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { ...process.env, XDG_STATE_HOME: state },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  }
  const code = await new Promise((resolve) => child.on('close', resolve));
  expect(code, text).toBe(0);
  return text.trimEnd().split('\n');
}

it('orders: all four kinds, schemas, middleware and a declared error between two processes', async () => {
  const printed = await output(manifest.scripts['example:orders'] as string);
  const readme = readFileSync(join(root, 'examples/orders/README.md'), 'utf8');
  const promised = /^It prints:\n\n```\n([^`]*)\n```/m.exec(readme)?.[1]?.split('\n') ?? [];
  // The order of the lines of two processes is not determined.
  const by = (name: string) => (line: string) => line.startsWith(`${name}: `);
  for (const name of ['orders', 'shop']) {
    expect(promised.filter(by(name)).length).toBeGreaterThan(5);
    expect(printed.filter(by(name))).toEqual(promised.filter(by(name)));
  }
  expect(printed).toHaveLength(promised.length);
}, 60_000);

it('shop: four services, from the environment alone, take an order and stop in order', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-shop-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const state = join(folder, 'state');
  // A copy, as a user makes it, with what `npm install` puts there.
  cpSync(join(root, 'examples/shop'), folder, { recursive: true });
  const packages = join(folder, 'node_modules');
  mkdirSync(join(packages, '@lemur-bookstores'), { recursive: true });
  const { dependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  for (const name of Object.keys(dependencies)) {
    const target = name === manifest.name ? root : join(root, 'node_modules', name);
    symlinkSync(target, join(packages, name), 'junction');
  }
  const names = ['catalog', 'stock', 'orders', 'gateway'] as const;
  const ports = Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await freePort()] as const)),
  );
  const addresses = names.slice(0, 3).map((name) => `${name}=127.0.0.1:${ports[name]}`);
  const started = names.map((name) => {
    const env = { ...process.env, XDG_STATE_HOME: state, SECURE_MESH_SERVICES: addresses.join() };
    const own =
      name === 'gateway'
        ? { PORT: String(ports[name]), SECURE_MESH_PROBES_PORT: '0' }
        : { SECURE_MESH_PORT: String(ports[name]) };
    const child = spawn(process.execPath, [`services/${name}.mjs`], {
      cwd: folder,
      env: { ...env, ...own },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    }
    const ended = new Promise((resolve) => child.on('close', resolve));
    return { name, child, ended, text: () => text };
  });
  const url = `http://127.0.0.1:${ports['gateway']}`;
  const ask = async (path: string, init?: RequestInit) => {
    const answer = await fetch(url + path, init);
    return { status: answer.status, body: await answer.json() };
  };
  const order = (body: object) =>
    ask('/orders', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  // They start in any order, each with a key that it makes.
  const end = Date.now() + 60_000;
  const ready = async () => {
    const { status } = await ask('/products').catch(() => ({ status: 0 }));
    return status === 200 && (await order({ sku: 'none', quantity: 1 })).status === 404;
  };
  while (!(await ready())) {
    if (Date.now() > end) throw new Error(started.map(({ text }) => text()).join('\n'));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const watched = new AbortController();
  const stock = await fetch(`${url}/stock/lemur-mug`, { signal: watched.signal });
  const events = stock.body?.pipeThrough(new TextDecoderStream()).getReader();
  expect((await events?.read())?.value).toBe('data: 5\n\n');
  const created = await order({ sku: 'lemur-mug', quantity: 2 });
  expect(created).toMatchObject({ status: 201, body: { title: 'Lemur mug', cents: 2500 } });
  expect((await events?.read())?.value).toBe('data: 3\n\n');
  watched.abort();
  expect(await ask(`/orders/${created.body.id}`)).toEqual({ status: 200, body: created.body });
  // Errors are problems, without a text from inside.
  expect(await order({ sku: 'lemur-mug', quantity: 4 })).toMatchObject({
    status: 400,
    body: { code: 'FAILED_PRECONDITION', reason: 'OUT_OF_STOCK' },
  });
  expect(await order({ sku: 'lemur-mug', quantity: -1 })).toMatchObject({
    status: 400,
    body: { code: 'INVALID_ARGUMENT', reason: 'VALIDATION' },
  });
  expect((await ask('/orders/none')).body).toEqual({
    status: 404,
    title: 'Not Found',
    code: 'NOT_FOUND',
    reason: 'NO_ORDER',
  });
  for (const { child, ended, name, text } of started.toReversed()) {
    child.kill('SIGTERM');
    expect(await ended, `${name}: ${text()}`).toBe(0);
  }
}, 120_000);
