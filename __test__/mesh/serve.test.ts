// A service from its start to the exit code of its process: signals, probes and calls under way.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Client, credentials } from '@grpc/grpc-js';
import { describe, expect, it, onTestFinished } from 'vitest';
import { serve, SecureMesh } from '../../js/index.js';
import { config, make } from '../support/meshes.js';
import { run } from '../support/processes.js';
import { errorOf, sleep, until } from '../support/promises.js';

interface Instance {
  pid: number;
  host: string;
  port: number;
  probes: number;
}

type Running = ReturnType<typeof run>;

const told = (process: Running, what: unknown): boolean =>
  process.told().some((one) => one.what === what);

/** Starts the service, with its probes. */
async function begin(
  settings: object = {},
  within: readonly string[] = [],
): Promise<Running & { instance: Instance }> {
  const probes = { port: 0, host: '127.0.0.1' };
  const process = run('served', { probes, ...settings }, [], {}, within);
  const instance = (await process.next()) as Instance;
  return { ...process, instance };
}

async function caller(...instances: Instance[]): Promise<ReturnType<SecureMesh['connect']>> {
  const services = instances.map(({ host, port }) => ({ id: 'server', host, port }));
  const mesh = make('caller', { discovery: { services } });
  await mesh.initialize();
  return mesh.connect('server');
}

const probe = async ({ probes }: Instance, path: string): Promise<number> =>
  (await fetch(`http://127.0.0.1:${probes}${path}`)).status;

/** What the health service says: 1 is `SERVING`, 2 `NOT_SERVING`. Each question is a connection of its own. */
async function health({ host, port }: Instance): Promise<number | undefined> {
  const client = new Client(`${host}:${port}`, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
  });
  try {
    const answer = await new Promise<Buffer>((resolve, reject) =>
      client.makeUnaryRequest(
        '/grpc.health.v1.Health/Check',
        (none: Buffer) => none,
        (bytes: Buffer) => bytes,
        Buffer.alloc(0),
        { deadline: Date.now() + 10_000 },
        (error, bytes) => (error ? reject(error) : resolve(bytes as Buffer)),
      ),
    );
    // Field 1 of HealthCheckResponse.
    return answer[0] === 0x08 ? answer[1] : 0;
  } finally {
    client.close();
  }
}

// Windows has no SIGTERM that a process could hear.
describe.skipIf(process.platform === 'win32')('a served mesh', () => {
  it('is ready, drains at SIGTERM while probes hear of it, and exits with 0', async () => {
    const service = await begin();
    const { instance } = service;
    expect(await probe(instance, '/livez')).toBe(200);
    expect(await probe(instance, '/readyz')).toBe(200);
    expect(await probe(instance, '/metrics')).toBe(404);
    expect(await health(instance)).toBe(1);
    const client = await caller(instance);
    const running = client.call('slow', 3_000, { timeoutMs: 20_000 });
    // The session is there, and the request with it.
    await client.call('pid');
    service.kill('SIGTERM');
    const end = Date.now() + 2_500;
    while ((await probe(instance, '/readyz')) !== 503 && Date.now() < end) await sleep(10);
    expect(await probe(instance, '/readyz')).toBe(503);
    expect(await probe(instance, '/livez')).toBe(200);
    expect(await health(instance)).toBe(2);
    expect(await running).toBe('done');
    const { code } = await service.ended;
    expect(code).toBe(0);
    expect(told(service, 'served')).toBe(true);
  }, 40_000);

  it('loses no call of those that come all the time, while another instance stays', async () => {
    const [leaves, stays] = [await begin(), await begin()];
    const client = await caller(leaves.instance, stays.instance);
    const failed: unknown[] = [];
    const answered = new Map<number, number>();
    let ended = false;
    void leaves.ended.then(() => (ended = true));
    const callers = Array.from({ length: 16 }, async () => {
      while (!ended) {
        try {
          const pid: number = await client.call('pid', undefined, { timeoutMs: 30_000 });
          answered.set(pid, (answered.get(pid) ?? 0) + 1);
        } catch (error) {
          failed.push(error);
        }
      }
    });
    await until(() => answered.size === 2, 20_000);
    leaves.kill('SIGTERM');
    await Promise.all(callers);
    expect(failed).toEqual([]);
    expect((await leaves.ended).code).toBe(0);
    expect(await client.call('pid')).toBe(stays.instance.pid);
  }, 60_000);

  it('exits at a second signal, with 128 and its number', async () => {
    for (const [signal, code] of [
      ['SIGTERM', 143],
      ['SIGINT', 130],
    ] as const) {
      const service = await begin({ drainTimeoutMs: 60_000 });
      const client = await caller(service.instance);
      const lost = errorOf(client.call('never', undefined, { timeoutMs: 60_000 }));
      await until(() => told(service, 'running'), 20_000);
      service.kill('SIGTERM');
      while ((await probe(service.instance, '/readyz')) !== 503) await sleep(10);
      service.kill(signal);
      expect((await service.ended).code).toBe(code);
      expect(await lost).toMatchObject({ code: 'UNAVAILABLE' });
    }
  }, 60_000);

  it('abandons its start at SIGTERM, and exits with 0', async () => {
    const service = run('served', { slowStart: 500 });
    await until(() => told(service, 'starting'), 20_000);
    service.kill('SIGTERM');
    const { code, output } = await service.ended;
    expect(code, output).toBe(0);
    expect(told(service, 'served')).toBe(true);
    expect(service.told().filter(({ what }) => what.pid !== undefined)).toEqual([]);
  }, 40_000);

  it('does not wait for a start that never ends', async () => {
    const service = run('served', { slowStart: 120_000, drainTimeoutMs: 100 });
    await until(() => told(service, 'starting'), 20_000);
    service.kill('SIGTERM');
    expect((await service.ended).code).toBe(1);
  }, 40_000);

  it('aborts a handler that never ends after the time of the drain, and exits with 1', async () => {
    const service = await begin({ drainTimeoutMs: 300 });
    const client = await caller(service.instance);
    const lost = errorOf(client.call('never', undefined, { timeoutMs: 60_000 }));
    await until(() => told(service, 'running'), 20_000);
    service.kill('SIGINT');
    const { code } = await service.ended;
    expect(code).toBe(1);
    expect(told(service, 'aborted')).toBe(true);
    expect(await lost).toMatchObject({ code: 'UNAVAILABLE' });
  }, 40_000);

  it('exits even if something of the application still runs', async () => {
    const service = await begin({ lingers: true });
    service.kill('SIGTERM');
    const { code, at } = await service.ended;
    const served = service.told().find(({ what }) => what === 'served')?.at as number;
    expect(code).toBe(0);
    expect(at - served).toBeGreaterThan(4_000);
  }, 40_000);

  // Only root may make a namespace of process ids, and only Linux has them.
  const namespaces = process.platform === 'linux' && process.getuid?.() === 0;
  it.skipIf(!namespaces)(
    'hears SIGTERM as the first process of its namespace (needs root of Linux)',
    async () => {
      const service = await begin({}, ['unshare', '--pid', '--fork', '--kill-child']);
      expect(service.instance.pid).toBe(1);
      const client = await caller(service.instance);
      const running = client.call('slow', 1_000, { timeoutMs: 20_000 });
      await client.call('pid');
      const [child] = readFileSync(
        `/proc/${service.pid}/task/${service.pid}/children`,
        'utf8',
      ).split(' ');
      process.kill(Number(child), 'SIGTERM');
      expect(await running).toBe('done');
      expect((await service.ended).code).toBe(0);
    },
    40_000,
  );
});

describe('serve', () => {
  it('is over when something else closes the mesh, and leaves signals and exit code alone', async () => {
    const before = process.listenerCount('SIGTERM');
    const mesh = make('server', { port: 0 });
    const served = serve(mesh);
    await until(() => mesh.address() !== null);
    expect(process.listenerCount('SIGTERM')).toBe(before + 1);
    await mesh.drain();
    await served;
    expect(process.listenerCount('SIGTERM')).toBe(before);
    expect(process.exitCode).toBeUndefined();
  });

  it('throws the error of the start, and takes its listeners back', async () => {
    const first = make('server', { port: 0, host: '127.0.0.1' });
    await first.initialize();
    const before = process.listenerCount('SIGTERM');
    const second = make('other', { host: '127.0.0.1', port: first.address()?.port });
    expect(await errorOf(serve(second))).toMatchObject({ reason: 'LISTEN' });
    const probes = { host: '127.0.0.1', port: first.address()?.port as number };
    const error = await errorOf(serve(make('third', { port: 0 }), { probes }));
    expect(error).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'LISTEN' });
    expect(error.message).toContain('probes.port');
    expect(process.listenerCount('SIGTERM')).toBe(before);
  });

  it('names an option that is wrong', async () => {
    const mesh = (): SecureMesh => new SecureMesh(config('server', { port: 0 }));
    for (const [options, text] of [
      [{ signal: [] }, 'did you mean signals'],
      [{ signals: ['SIGKILL'] }, "such as 'SIGTERM'"],
      [{ signals: ['TERM'] }, "such as 'SIGTERM'"],
      [{ signals: 'SIGTERM' }, 'must be an array'],
      [{ probes: { port: 65_536 } }, 'probes.port'],
      [{ probes: { port: 1, host: 'http://a' } }, 'probes.host'],
      [{ drainTimeoutMs: -1 }, 'timeoutMs'],
    ] as const) {
      const error = await errorOf(serve(mesh(), options as object));
      expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
      expect(error.message).toContain(text);
    }
    expect(await errorOf(serve({} as SecureMesh))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    const administered = make('server', { port: 0, admin: { port: 0 } });
    const error = await errorOf(serve(administered, { probes: { port: 0 } }));
    expect(error.message).toContain('SECURE_MESH_ADMIN_PORT');
    const late = make('server', { port: 0 });
    await late.initialize();
    expect((await errorOf(serve(late, { probes: { port: 0 } }))).message).toContain('initialize()');
  });

  it('keeps a process that only calls alive until its signal', () => {
    if (process.platform === 'win32') return;
    const program = `
      const { SecureMesh, serve } = require('@lemur-bookstores/secure-stack-mesh');
      const mesh = new SecureMesh({ serviceId: 'a', security: { rsaKeySize: 2048 }, paths: { keysDir: process.argv[1] } });
      setTimeout(() => process.kill(process.pid, 'SIGTERM'), 1_500).unref();
      serve(mesh).then(() => console.log('served'));`;
    const { paths } = config('a');
    const said = execFileSync(process.execPath, ['-e', program, paths?.keysDir as string], {
      encoding: 'utf8',
    });
    expect(said).toBe('served\n');
  });
});

describe('SECURE_MESH_SERVICES', () => {
  it('has the services of a mesh without discovery.services, and is read by the core alone', async () => {
    const server = make('server', { port: 0, host: '127.0.0.1' });
    server.handle('echo', (input) => input);
    await server.initialize();
    onTestFinished(() => void delete process.env['SECURE_MESH_SERVICES']);
    process.env['SECURE_MESH_SERVICES'] = `server=127.0.0.1:${server.address()?.port}, other=h:1`;
    const mesh = make('caller');
    expect(mesh.getStats().services).toBe(2);
    await mesh.waitForServices(['server', 'other']);
    expect(await mesh.connect('server').call('echo', 'by variable')).toBe('by variable');
    expect(make('third', { discovery: { services: [] } }).getStats().services).toBe(0);
    process.env['SECURE_MESH_SERVICES'] = 'server';
    expect(() => make('fourth')).toThrow(/SECURE_MESH_SERVICES must be services as in/);
  });
});
