// The test kit: the parts that it replaces (sockets, files, waiting) and the parts that are real.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { defineContract, MeshError, SecureMesh, serverStream, unary } from '../../js/index.js';
import {
  createHandlerContext,
  createTestMesh,
  implementation,
  type TestMeshOptions,
} from '../../js/testing/index.js';
import { root } from '../../scripts/lib.mjs';
import { errorOf } from '../support/promises.js';

const orders = defineContract('orders', {
  create: unary({ errors: { OUT_OF_STOCK: { code: 'FAILED_PRECONDITION' } } }),
  watch: serverStream(),
});

async function kitOf<const T extends string>(options: TestMeshOptions<T>) {
  const kit = await createTestMesh(options);
  onTestFinished(() => kit.cleanup());
  return kit;
}

const shop = () =>
  kitOf({
    services: {
      orders: implementation(orders, {
        async create(input, ctx) {
          if (input === 'gone') throw ctx.errors.OUT_OF_STOCK();
          return { left: await ctx.call('stock', 'stock.count', input), by: ctx.caller.serviceId };
        },
        async *watch() {
          yield 'paid';
          yield 'sent';
        },
      }),
      stock: { 'stock.count': (sku: string, ctx) => `${sku} for ${ctx.caller.serviceId}` },
      late: (mesh) => mesh.handle('left', (_, ctx) => ctx.timeoutMs()),
    },
  });

it('services call each other, and are who they are', async () => {
  const kit = await shop();
  const client = kit.connect(orders, { as: 'gateway' });
  expect(await client.create('a')).toEqual({ left: 'a for orders', by: 'gateway' });
  const seen: unknown[] = [];
  for await (const event of client.watch()) seen.push(event);
  expect(seen).toEqual(['paid', 'sent']);
  expect(await errorOf(client.create('gone'))).toMatchObject({ reason: 'OUT_OF_STOCK' });
  expect(await kit.connect('late').call('left', 1, { timeoutMs: 500 })).toBeLessThanOrEqual(500);
  // A service calls the others under its own name.
  expect(await kit.connect('stock', { as: 'orders' }).call('stock.count', 'b')).toBe(
    'b for orders',
  );
});

it('the handshake is the real one, with RSA on both sides and one session', async () => {
  const kit = await shop();
  await kit.connect('late', { as: 'caller' }).call('left');
  const health = await kit.mesh('late').healthCheck();
  expect(health.details).toMatchObject({ handshakesSucceeded: 1, inboundSessions: 1 });
  expect(health.details['privateKeyOperations']).toBeGreaterThan(0);
  const [peer] = kit.mesh('late').getStats().peers;
  expect(peer).toMatchObject({ serviceId: 'caller', aesKeySize: 256, trust: 'embedded' });
  expect(peer?.suite).toMatch(/ML-KEM|X25519/i);
});

it('two of them do not see each other, whatever their names and ports', async () => {
  const one = await kitOf({ services: { echo: { who: () => 1 } } });
  const two = await kitOf({ services: { echo: { who: () => 2 } } });
  expect(await one.connect('echo').call('who')).toBe(1);
  expect(await two.connect('echo').call('who')).toBe(2);
  await one.cleanup();
  expect(await two.connect('echo').call('who')).toBe(2);
  expect(two.mesh('echo').getStats().activeSessions).toBe(1);
});

it('a mesh on sockets does not get there', async () => {
  const kit = await kitOf({ services: { echo: { who: () => 1 } } });
  const { host, port } = kit.mesh('echo').address() ?? { host: '', port: 0 };
  const keysDir = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-kit-'));
  onTestFinished(() => rmSync(keysDir, { recursive: true, force: true }));
  const outside = new SecureMesh({
    serviceId: 'outside',
    security: { rsaKeySize: 2048 },
    paths: { keysDir },
    discovery: { services: [{ id: 'echo', host, port }] },
  });
  onTestFinished(() => outside.cleanup());
  await outside.initialize();
  const error = await errorOf(outside.connect('echo').call('who', 1, { timeoutMs: 2000 }));
  expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'CONNECT_FAILED' });
});

it('opens no socket and leaves no file, and the process ends by itself', () => {
  const home = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-kit-'));
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  const program = `
    const { createTestMesh } = require('${join(root, 'dist', 'testing.cjs')}');
    const { readdirSync, readlinkSync } = require('node:fs');
    const sockets = () => readdirSync('/proc/self/net').length && require('node:fs')
      .readFileSync('/proc/self/net/tcp', 'latin1').split('\\n').length;
    const own = () => readdirSync('/proc/self/fd').filter((fd) => {
      try { return readlinkSync('/proc/self/fd/' + fd).startsWith('socket:'); } catch { return false; }
    }).length;
    (async () => {
      const before = process.platform === 'linux' ? own() : 0;
      const kit = await createTestMesh({ services: { echo: { who: () => 1 } } });
      const answer = await kit.connect('echo').call('who');
      const after = process.platform === 'linux' ? own() : 0;
      console.log(JSON.stringify({ answer, opened: after - before }));
    })();`.replace(/const sockets[^;]*;/, '');
  const { HOME: _, XDG_STATE_HOME: __, ...env } = process.env;
  const ended = spawnSync(process.execPath, ['-e', program], {
    env: { ...env, HOME: home, TMPDIR: home, XDG_STATE_HOME: join(home, 'state') },
    encoding: 'utf8',
    timeout: 20_000,
  });
  expect(ended.stderr).toBe('');
  expect(ended.status).toBe(0);
  expect(JSON.parse(ended.stdout)).toEqual({ answer: 1, opened: 0 });
  expect(existsSync(home) && readdirSync(home)).toEqual([]);
});

it('what the environment says is not for it', async () => {
  const taken = createServer().listen(0);
  onTestFinished(() => void taken.close());
  process.env['SECURE_MESH_PORT'] = String((taken.address() as { port: number }).port);
  process.env['SECURE_MESH_JWT_SECRET'] = 'short';
  onTestFinished(() => {
    delete process.env['SECURE_MESH_PORT'];
    delete process.env['SECURE_MESH_JWT_SECRET'];
  });
  const kit = await kitOf({ services: { echo: { who: () => 1 } } });
  expect(await kit.connect('echo').call('who')).toBe(1);
  expect(kit.mesh('test').address()).toBeNull();
});

it('limits are the real ones', async () => {
  const kit = await kitOf({
    services: { echo: { length: (text: string) => text.length } },
    config: (id) => (id === 'echo' ? { limits: { maxMessageBytes: 2048 } } : {}),
  });
  const client = kit.connect('echo');
  expect(await client.call('length', 'x'.repeat(1000))).toBe(1000);
  expect(await errorOf(client.call('length', 'x'.repeat(4000)))).toMatchObject({
    reason: 'TOO_LARGE',
  });
});

it('after the end there is nothing to call', async () => {
  const kit = await shop();
  const client = kit.connect('stock');
  await kit.cleanup();
  await kit.cleanup();
  expect(await errorOf(client.call('stock.count'))).toMatchObject({ reason: 'CLOSED' });
  expect(await errorOf(kit.connect('stock', { as: 'new' }).call('stock.count'))).toMatchObject({
    reason: 'CLOSED',
  });
});

it('a setup that fails fails the kit, and leaves nothing running', async () => {
  let running: SecureMesh | undefined;
  const failing = createTestMesh({
    services: {
      good: (mesh) => void (running = mesh),
      bad: () => Promise.reject(new Error('no database')),
    },
  });
  expect(await errorOf(failing)).toMatchObject({ message: 'no database' });
  expect((await running?.healthCheck())?.details.state).toBe('closed');
});

it.each<[any, RegExp]>([
  [undefined, /options must be an object, got undefined/],
  [{}, /options\.services must be an object, got undefined/],
  [{ services: {}, service: 1 }, /options\.service does not exist; did you mean services/],
  [{ services: { a: 7 } }, /options\.services\.a must be a function of the mesh or an object/],
  [{ services: { 'a b': {} } }, /serviceId/],
])('options are checked: %j', async (options, message) => {
  expect((await errorOf(createTestMesh(options))).message).toMatch(message);
});

it('latency before the handler counts against the deadline', async () => {
  const kit = await shop();
  const fault = kit.faults.add({ service: 'late', latencyMs: 60 });
  const begun = performance.now();
  const left = await kit.connect('late').call<number, number>('left', 1, { timeoutMs: 5000 });
  expect(performance.now() - begun).toBeGreaterThan(55);
  expect(left).toBeLessThan(4945);
  const error = await errorOf(kit.connect('late').call('left', 1, { timeoutMs: 30 }));
  expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  expect(fault.hits).toBe(2);
});

it('an error instead of the handler, so many times', async () => {
  const kit = await shop();
  const stock = kit.connect('stock');
  const fault = kit.faults.add({ method: 'stock.count', error: 'RESOURCE_EXHAUSTED', times: 2 });
  for (let time = 0; time < 2; time += 1) {
    expect(await errorOf(stock.call('stock.count'))).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'FAULT',
      remote: true,
    });
  }
  expect(await stock.call('stock.count', 'a')).toBe('a for test');
  expect(fault.hits).toBe(2);
  const data = { where: 'here' };
  kit.faults.add({ error: new MeshError('ABORTED', 'no', { reason: 'TORN', data }) });
  expect(await errorOf(stock.call('stock.count'))).toMatchObject({ reason: 'TORN', data });
  kit.faults.clear();
  expect(await stock.call('stock.count', 'a')).toBe('a for test');
});

it('faults meet streams, too', async () => {
  const kit = await shop();
  kit.faults.add({ method: 'orders.watch', error: 'UNAVAILABLE', times: 1 });
  const stream = kit.connect(orders).watch();
  expect(await errorOf(stream.next())).toMatchObject({ reason: 'FAULT' });
});

it('an answer that is lost ends with the deadline, a connection at once', async () => {
  const kit = await shop();
  const late = kit.connect('late');
  const fault = kit.faults.add({ service: 'late', drop: true });
  expect(await errorOf(late.call('left', 1, { timeoutMs: 50 }))).toMatchObject({
    code: 'DEADLINE_EXCEEDED',
  });
  fault.remove();
  kit.faults.add({ service: 'late', drop: 'connection', times: 1 });
  expect(await errorOf(late.call('left', 1, { timeoutMs: 15_000 }))).toMatchObject({
    code: 'UNAVAILABLE',
    reason: 'SESSION_LOST',
  });
  // The next call connects again.
  expect(await late.call('left')).toBeGreaterThan(0);
});

it('chance is the same for the same seed', async () => {
  const kit = await shop();
  const stock = kit.connect('stock');
  const failures = async (seed: number): Promise<string> => {
    const fault = kit.faults.add({ error: 'ABORTED', probability: 0.5, seed });
    let seen = '';
    for (let call = 0; call < 20; call += 1) {
      seen += await stock.call('stock.count').then(
        () => '.',
        () => 'x',
      );
    }
    fault.remove();
    return seen;
  };
  const first = await failures(7);
  expect(first).toContain('x');
  expect(first).toContain('.');
  expect(await failures(7)).toBe(first);
  expect(await failures(8)).not.toBe(first);
});

it.each<[any, RegExp]>([
  [null, /a fault must be an object/],
  [{}, /a fault needs latencyMs, error or drop/],
  [{ latency: 1 }, /fault\.latency does not exist; did you mean latencyMs/],
  [{ latencyMs: -1 }, /fault\.latencyMs must be 0…3600000, got -1/],
  [{ error: 'OOPS' }, /fault\.error must be a MeshError or a code/],
  [{ drop: 'x' }, /fault\.drop must be true or 'connection'/],
  [{ error: 'ABORTED', times: 0 }, /fault\.times must be 1…/],
  [{ error: 'ABORTED', probability: 2 }, /fault\.probability must be 0…1/],
  [{ error: 'ABORTED', service: 1 }, /fault\.service must be a string/],
])('a fault is checked: %j', async (rule, message) => {
  const kit = await kitOf({ services: {} });
  expect(() => kit.faults.add(rule)).toThrow(message);
});

it('there is an end to faults', async () => {
  const kit = await kitOf({ services: {} });
  for (let count = 0; count < 1000; count += 1) kit.faults.add({ error: 'ABORTED' });
  expect(() => kit.faults.add({ error: 'ABORTED' })).toThrow(/at most 1000 faults/);
  kit.faults.clear();
  kit.faults.add({ error: 'ABORTED' });
});

it('a context without a mesh is a real one', async () => {
  const controller = new AbortController();
  const ctx = createHandlerContext({
    method: 'orders.create',
    caller: { serviceId: 'gateway' },
    metadata: { tenant: 't1', 'x-request-id': 'r-1' },
    timeoutMs: 5000,
    signal: controller.signal,
    errors: { OUT_OF_STOCK: { code: 'FAILED_PRECONDITION' } },
    services: { stock: { 'stock.count': (sku: string) => ({ sku, count: 3 }) } },
  });
  expect(ctx).toMatchObject({ method: 'orders.create', kind: 'unary', attempt: 1 });
  expect(ctx.caller).toMatchObject({ serviceId: 'gateway', trust: 'shared-secret' });
  expect(ctx.requestId).toBe('r-1');
  expect(ctx.metadata['tenant']).toBe('t1');
  expect(ctx.timeoutMs()).toBeLessThanOrEqual(5000);
  expect(ctx.errors.OUT_OF_STOCK()).toMatchObject({ reason: 'OUT_OF_STOCK' });
  ctx.responseMetadata['cost'] = '1';
  expect(ctx.responseMetadata).toEqual({ cost: '1' });
  expect(await ctx.call('stock', 'stock.count', 'a')).toEqual({ sku: 'a', count: 3 });
  expect(await errorOf(ctx.call('stock', 'other'))).toMatchObject({ reason: 'METHOD_NOT_FOUND' });
  expect(await errorOf(ctx.call('toString', 'x'))).toMatchObject({ reason: 'UNKNOWN_SERVICE' });
  expect(ctx.signal.aborted).toBe(false);
  controller.abort();
  expect(ctx.signal.reason).toMatchObject({ code: 'CANCELLED' });
  expect(await errorOf(ctx.call('stock', 'stock.count'))).toMatchObject({ code: 'CANCELLED' });
});

it('a context has stubs for contracts, and a deadline', async () => {
  const seen: unknown[] = [];
  const ctx = createHandlerContext({
    timeoutMs: 20,
    services: {
      orders: {
        'orders.create': (input, options) => [input, options.metadata?.['x-request-id']],
        'orders.watch': function* () {
          yield 1;
          yield 2;
        },
      },
    },
  });
  const client = ctx.connect(orders);
  expect(await client.create('a')).toEqual(['a', ctx.requestId]);
  for await (const item of client.watch()) seen.push(item);
  expect(seen).toEqual([1, 2]);
  await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve));
  expect(ctx.signal.reason).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  expect(createHandlerContext().timeoutMs()).toBe(Infinity);
  expect(() => createHandlerContext({ timeout: 1 } as never)).toThrow(/did you mean timeoutMs/);
  expect(() => createHandlerContext({ metadata: { a: 1 } } as never)).toThrow(
    /options\.metadata\.a/,
  );
});
