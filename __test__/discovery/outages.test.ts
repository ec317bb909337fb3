// Instances that are away, silent or restarted, and more calls than a session carries: what callers notice of it.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { MeshError, type SecureMesh } from '../../js/index.js';
import { compared } from '../support/compared.js';
import { call, entry, make, pair, serve } from '../support/meshes.js';
import { run } from '../support/processes.js';
import { sleep } from '../support/promises.js';

const answering = (port = 0): Promise<SecureMesh> =>
  serve('server', (mesh) => mesh.handle('who', () => 'me'), { port });

/** A port that accepts connections and says nothing. */
async function silent(): Promise<number> {
  const held: Socket[] = [];
  const server = createServer((socket) => void held.push(socket.on('error', () => {})));
  onTestFinished(() => {
    for (const socket of held) socket.destroy();
    server.close();
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** A port whose queue of connections is full: attempts get no answer at all. */
async function blackHole(): Promise<number> {
  const port: number = await run('unaccepting').next();
  const waiting = Array.from({ length: 8 }, () => connect(port, '127.0.0.1').on('error', () => {}));
  onTestFinished(() => waiting.forEach((socket) => void socket.destroy()));
  await sleep(200);
  return port;
}

/** The milliseconds that a promise takes. */
async function timed(promise: Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await promise;
  return performance.now() - begun;
}

describe('an instance', () => {
  it(
    'that says nothing, or that is a black hole, holds up no call to a healthy one',
    compared,
    async () => {
      const server = await answering();
      const { client: direct } = await call(server);
      await direct.call('who');
      const at = (port: number) => ({ id: 'server', host: '127.0.0.1', port });
      const healthy = entry('server', server);
      const services = [at(await silent()), at(await blackHole()), healthy];
      const mesh = make('caller', { discovery: { services } });
      await mesh.initialize();
      const client = mesh.connect('server');
      expect(await timed(client.call('who'))).toBeLessThan(300);
      const slowest = async (of: typeof client): Promise<number> => {
        const times: number[] = [];
        for (let calls = 0; calls < 300; calls += 1) times.push(await timed(of.call('who')));
        return times.sort((a, b) => a - b)[297] as number;
      };
      const [normal, beside] = [await slowest(direct), await slowest(client)];
      expect(beside).toBeLessThan(Math.max(2 * normal, 5));
    },
  );

  it('that is away for 3.5 s costs no call that has 10 s', async () => {
    const first = await answering();
    const { port } = entry('server', first);
    const { client } = await call(first);
    await client.call('who');
    await first.cleanup();
    const calls = Array.from({ length: 50 }, (_, number) =>
      client.call('who', undefined, { timeoutMs: 10_000, idempotent: number % 2 === 0 }),
    );
    await sleep(3_500);
    await answering(port);
    expect(await Promise.all(calls)).toEqual(Array.from({ length: 50 }, () => 'me'));
  }, 30_000);

  it('that restarts twenty times, 0.4 s apart, costs no idempotent call', async () => {
    let server = await answering();
    const { port } = entry('server', server);
    const { client } = await call(server);
    const lost: MeshError[] = [];
    let answered = 0;
    let stopped = false;
    const caller = async (): Promise<void> => {
      while (!stopped) {
        await client.call('who', undefined, { timeoutMs: 10_000, idempotent: true }).then(
          () => (answered += 1),
          (error: unknown) => void lost.push(MeshError.from(error)),
        );
        await sleep(2);
      }
    };
    const callers = Array.from({ length: 20 }, caller);
    for (let restarts = 0; restarts < 20; restarts += 1) {
      await sleep(400);
      await server.cleanup();
      server = await answering(port);
    }
    stopped = true;
    await Promise.all(callers);
    expect(lost).toEqual([]);
    expect(answered).toBeGreaterThan(500);
  }, 60_000);
});

describe('more calls than a session carries', () => {
  it('are all answered in their time, and the statistics have the queue', async () => {
    let open: () => void = () => {};
    const gate = new Promise<void>((resolve) => (open = resolve));
    const { mesh, client } = await pair(
      (server) => server.handle('work', () => gate),
      { limits: { maxConcurrentCalls: 1_000 } },
      { resilience: { queueMs: 20_000 } },
    );
    const calls = Array.from({ length: 5_000 }, () =>
      client.call('work', undefined, { timeoutMs: 20_000 }),
    );
    const details = async (): Promise<any> => (await mesh.healthCheck()).details;
    for (let tries = 0; (await details()).callsQueued <= 3_000 && tries < 100; tries += 1) {
      await sleep(50);
    }
    await sleep(100);
    open();
    expect(await Promise.all(calls)).toHaveLength(5_000);
    const { callsQueued, callsWaited, callsWaitedMs } = await details();
    expect(callsQueued).toBe(0);
    expect(callsWaited).toBeGreaterThan(3_000);
    expect(callsWaitedMs / callsWaited).toBeGreaterThan(90);
  }, 40_000);
});
