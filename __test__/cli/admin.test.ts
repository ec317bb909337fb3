// top, status, health and visualize: real processes that read the admin port of a real mesh.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import type { MeshConfig, SecureMesh } from '../../js/index.js';
import { command, configFile } from '../support/command.js';
import { call, serve } from '../support/meshes.js';

const TOKEN = 'a-token-of-these-tests-0123456789';

/** A caller with an admin port that has called a service. */
async function mesh(extra: Partial<MeshConfig> = {}): Promise<{ mesh: SecureMesh; at: string }> {
  const server = await serve('server', (own) => {
    own.handle('echo', (input) => input);
    own.handle('fail', () => {
      throw new Error('no');
    });
  });
  const made = await call(server, { admin: { port: 0 }, ...extra });
  for (let i = 0; i < 10; i++) await made.client.call('echo', i);
  const { host, port } = made.mesh.adminAddress()!;
  return { mesh: made.mesh, at: `${host}:${port}` };
}

/** Another server than an admin port, at an address. */
async function stranger(status: number, body: string, location = ''): Promise<string> {
  const headers = location === '' ? {} : { location };
  const server = createServer((_, response) => void response.writeHead(status, headers).end(body));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

it('health says whether a process is ready, and which dependency it waits for', async () => {
  const { mesh: own, at } = await mesh();
  const well = await command(['health', '--admin', at]);
  expect(well).toEqual({ code: 0, stdout: 'ready\n', stderr: '' });
  own.readiness('database', () => false);
  for (const end = Date.now() + 10_000; ;) {
    const { code, stdout } = await command(['--json', 'health', '--admin', at]);
    const document = JSON.parse(stdout) as { ready: boolean; reasons: string[] };
    if (document.ready) {
      expect(Date.now()).toBeLessThan(end);
      continue;
    }
    expect(document).toMatchObject({ v: 1, live: true, ready: false });
    expect(document.reasons.join()).toContain('database');
    expect(code).toBe(1);
    break;
  }
}, 40_000);

it('status shows a process, its figures and what is wrong', async () => {
  const { at } = await mesh();
  const { code, stdout, stderr } = await command(['status', '--admin', at]);
  expect(stderr).toBe('');
  expect(stdout).toMatch(/^caller, version \d\S+, ready\n/);
  expect(stdout).toMatch(/calls\s+10, of which 0 failed, 0 under way\n/);
  expect(stdout).toMatch(/trust\s+embedded\n/);
  expect(code).toBe(0);
  const json = await command(['--json', 'status', '--admin', `http://${at}/`]);
  expect(JSON.parse(json.stdout)).toMatchObject({ v: 1, service: 'caller', state: 'ready' });
}, 20_000);

it('top shows the calls of the time between two pictures', async () => {
  const { mesh: own, at } = await mesh();
  const client = own.connect('server');
  let over = false;
  onTestFinished(() => void (over = true));
  void (async () => {
    while (!over) await client.call('echo', 1).catch(() => undefined);
  })();
  const { code, stdout } = await command(['--json', 'top', '--admin', at, '--interval', '1500ms']);
  const { v, observer, rows } = JSON.parse(stdout) as {
    v: number;
    observer: string;
    rows: Record<string, unknown>[];
  };
  expect([v, observer, code]).toEqual([1, 'caller', 0]);
  const row = rows.find(({ method }) => method === 'echo')!;
  expect(row).toMatchObject({ from: 'caller', to: 'server', method: 'echo', success: 1 });
  expect(row['perSecond']).toBeGreaterThan(10);
  expect(row['p50Ms']).toBeGreaterThan(0);
  const table = await command(['top', '--admin', at, '--interval', '1500ms', '--count', '2']);
  expect(table.stdout.match(/^FROM +TO +METHOD +CALLS\/S +SUCCESS/gm)).toHaveLength(2);
  expect(table.stdout).toMatch(/^caller +server +echo +[\d.]+ +100\.0 %/m);
  expect(table.stdout).not.toContain('\u001b');
  over = true;
}, 40_000);

it('visualize draws the mesh for Mermaid and Graphviz', async () => {
  const { at } = await mesh();
  const mermaid = await command(['visualize', '--admin', at]);
  expect(mermaid.code).toBe(0);
  expect(mermaid.stdout).toMatch(/^flowchart LR\n {2}n0\["caller"\]\n {2}n1\["server"\]\n/);
  expect(mermaid.stdout).toContain('  n0 -->|"10 calls"| n1\n');
  const dot = await command(['visualize', '--admin', at, '--format', 'dot']);
  expect(dot.stdout).toMatch(/^digraph mesh \{\n[\s\S]+ {2}n0 -> n1 \[label="10 calls"\];\n\}\n$/);
  const json = await command(['--json', 'visualize', '--admin', at]);
  expect(JSON.parse(json.stdout)).toMatchObject({ v: 1, format: 'mermaid' });
  const wrong = await command(['visualize', '--format', 'png']);
  expect(wrong.stderr).toContain('--format must be one of mermaid, dot; got "png"');
  expect(wrong.code).toBe(2);
}, 30_000);

it('shows names of a hostile mesh as names', async () => {
  const evil = 'a"];\n  x[("<b>\u001b[2J\u202e';
  const edge = { from: evil, to: 'b', methods: [{ method: evil, total: 1, buckets: [1] }] };
  const nodes = [{ service: evil, report: evil }, null, 7];
  const at = await stranger(200, JSON.stringify({ v: 1, nodes, edges: [edge, null] }));
  const mermaid = await command(['visualize', '--admin', at]);
  expect(mermaid.stdout.split('\n')[1]).toBe(
    '  n0["a#34;#93;#59;#92;n  x#91;#40;#34;#60;b#62;#92;u001b#91;2J#92;u202e"]',
  );
  const dot = await command(['visualize', '--admin', at, '--format', 'dot']);
  expect(dot.stdout).toContain('n0 [label="a\\"];\\\\n  x[(\\"<b>\\\\u001b[2J\\\\u202e"');
  const top = await command(['top', '--admin', at, '--interval', '1ms']);
  expect(top.stdout).toContain('a"];\\n  x[("<b>\\u001b');
  for (const { stdout } of [mermaid, dot, top]) expect(stdout).not.toMatch(/[\u001b\u202e]/);
}, 20_000);

it('reads the port and the token of the configuration or of the environment', async () => {
  const { at, mesh: own } = await mesh({ admin: { port: 0, token: TOKEN } });
  const { port } = own.adminAddress()!;
  const refused = await command(['status', '--admin', at]);
  expect(refused.stderr).toContain('refuses');
  expect(refused.stderr).toContain('SECURE_MESH_ADMIN_TOKEN');
  expect(refused.code).toBe(64 + 16);
  const env = { SECURE_MESH_ADMIN_TOKEN: TOKEN, SECURE_MESH_ADMIN_PORT: String(port) };
  expect((await command(['status'], { env })).code).toBe(0);
  const file = configFile({ admin: { port, host: '0.0.0.0', token: TOKEN } });
  const { code, stdout } = await command(['--config', file, 'status']);
  expect([code, stdout.includes(TOKEN)]).toEqual([0, false]);
}, 20_000);

it('says what is wrong where no admin port answers', async () => {
  const nobody = await command(['--json', 'status', '--admin', '127.0.0.1:1']);
  expect(JSON.parse(nobody.stdout)).toMatchObject({
    error: { code: 'UNAVAILABLE', repair: expect.stringContaining('--admin host:port') },
  });
  expect(nobody.stderr).toContain('no admin port answers at http://127.0.0.1:1/');
  expect(nobody.code).toBe(64 + 14);
  const wrong = await command(['status', '--admin', 'localhost']);
  expect(wrong.stderr).toContain('--admin must be host:port or a URL, got "localhost"');
  expect(wrong.code).toBe(2);
  const other = await command(['status', '--admin', await stranger(200, '<html>')]);
  expect(other.stderr).toContain('is no admin port of this version');
  expect(other.code).toBe(64 + 14);
  // A redirect leads to somebody else.
  const { at } = await mesh();
  const elsewhere = `http://${at}/api/v1/self`;
  const away = await command(['status', '--admin', await stranger(302, '', elsewhere)]);
  expect(away.code).toBe(64 + 14);
}, 30_000);
