// dashboard: a process that joins a mesh as an observer, and shows it.
import { once } from 'node:events';
import type { ChildProcess } from 'node:child_process';
import { expect, it } from 'vitest';
import type { SecureMesh } from '../../js/index.js';
import { describeInBrowser, useBrowser } from '../dashboard/support/browser.js';
import { command, configFile, start } from '../support/command.js';
import { config, entry, serve } from '../support/meshes.js';

const open = useBrowser();

async function orders(): Promise<SecureMesh> {
  return serve('orders', (mesh) => mesh.handle('get', () => 1));
}

function args(mesh: SecureMesh, more: object = {}): string[] {
  const { paths, security } = config('any');
  const discovery = { services: [entry('orders', mesh)] };
  return ['--config', configFile({ paths, security, discovery, ...more })];
}

/** The first line of its output. */
async function told(child: ChildProcess): Promise<string> {
  let text = '';
  let faults = '';
  child.stderr!.setEncoding('utf8').on('data', (part: string) => (faults += part));
  child.stdout!.setEncoding('utf8').on('data', (part: string) => (text += part));
  for (const end = Date.now() + 15_000; !/\n(?!.)/s.test(text);) {
    if (Date.now() > end || child.exitCode !== null) throw new Error(`${text}\n${faults}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return text;
}

describeInBrowser('dashboard', () => {
  it('shows the mesh on this machine, under an id of its own, until Ctrl-C', async () => {
    const mesh = await orders();
    // The port, the token and the key of the service whose configuration it reads are not its own.
    const own = { serviceId: 'gateway', port: 1, admin: { port: 1, host: '0.0.0.0' } };
    const child = start([...args(mesh, own), '--as', 'watcher', 'dashboard', '--port', '0']);
    const line = await told(child);
    expect(line).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/ shows the mesh\. Ctrl-C ends it\.\n$/);
    const { page, faults } = await open(line.split(' ')[0]!);
    await page.waitForSelector('.observer:has-text("watcher")');
    await page.waitForSelector('tbody tr:has-text("orders")', { timeout: 20_000 });
    await page.waitForFunction(() => !document.body.innerText.includes('seen by watcher only'));
    expect(faults).toEqual([]);
    child.kill('SIGINT');
    expect(await once(child, 'exit')).toEqual([0, null]);
  }, 60_000);
});

it('writes one document, and ends for a supervisor too', async () => {
  const child = start([...args(await orders()), '--json', 'dashboard', '--port', '0']);
  const { v, url, observer } = JSON.parse(await told(child)) as Record<string, unknown>;
  expect([v, observer]).toEqual([1, 'mesh-cli']);
  expect((await fetch(`${String(url)}livez`)).status).toBe(200);
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
}, 30_000);

it('begins with the services that it is given', async () => {
  const mesh = await orders();
  const { host, port } = mesh.address()!;
  const { paths, security } = config('any');
  const given = ['--config', configFile({ paths, security }), '--json', 'dashboard', '--port', '0'];
  const child = start([...given, '--service', `orders=${host}:${port}`]);
  const { url } = JSON.parse(await told(child)) as { url: string };
  for (const end = Date.now() + 15_000; ;) {
    const { nodes } = (await (await fetch(`${url}api/v1/mesh`)).json()) as {
      nodes: { service: string; report: string }[];
    };
    if (nodes.some(({ service, report }) => service === 'orders' && report === 'direct')) break;
    expect(Date.now(), JSON.stringify(nodes)).toBeLessThan(end);
  }
}, 30_000);

it('says what is missing or in the way', async () => {
  const nothing = await command(['dashboard']);
  expect(nothing.stderr).toContain('nothing says which services there are');
  expect(nothing.stderr).toContain('--service orders=127.0.0.1:50051');
  expect(nothing.code).toBe(2);
  const port = await command(['dashboard', '--service', 'a=127.0.0.1:1', '--port', '70000']);
  expect(port.stderr).toContain('--port must be a port from 0 to 65535, got "70000"');
  expect(port.code).toBe(2);
  const mesh = await orders();
  const taken = await command([...args(mesh), 'dashboard', '--port', String(mesh.address()!.port)]);
  expect(taken.stderr).toContain('admin.port: cannot listen on 127.0.0.1:');
  expect(taken.code).toBe(64 + 9);
}, 30_000);
