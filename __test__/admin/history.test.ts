// The history of the admin port over the ends of real processes, and in directories that cannot be used.
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { call, make, serve } from '../support/meshes.js';
import { run } from '../support/processes.js';

interface History {
  spanMs: number;
  stepMs: number;
  series: { from: string; to: string; at: number[]; rate: number[] }[];
  events: { at: number; kind: string; text: string }[];
}

const WEEK_S = 604_800;

async function read(port: number, windowS = 3_600): Promise<History> {
  const response = await fetch(`http://127.0.0.1:${port}/api/v1/history?window=${windowS}`);
  return (await response.json()) as History;
}

const points = ({ series }: History): number[] =>
  series.find(({ from, to }) => from === 'gateway' && to === 'stock')?.at ?? [];

async function until<T>(what: string, look: () => Promise<T | false> | T | false): Promise<T> {
  for (const end = Date.now() + 120_000; ;) {
    const found = await look();
    if (found !== false) return found;
    if (Date.now() > end) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

function directory(): string {
  const made = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-history-'));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

it('survives a crash but for the last minute, and an end in good order whole', async () => {
  const history = directory();
  const stock = await run('shop', { service: 'stock' }).next();
  const calls = [{ id: 'stock', method: 'get', ports: [stock.port] }];
  const start = async () => {
    const process = run('shop', { service: 'gateway', calls, admin: { port: 0, history } });
    return { process, port: (await process.next()).admin.port as number };
  };
  const first = await start();
  const file = join(history, 'history-gateway.mesh');
  // The first minute is on the disk.
  await until('a written minute', () => existsSync(file) && statSync(file).size > 100);
  first.process.kill();
  await first.process.ended;
  const crashed = Date.now();

  const second = await start();
  const kept = await until('the past of the first process', async () => {
    const found = await read(second.port, WEEK_S);
    return points(found).length > 0 && found;
  });
  expect(kept.spanMs).toBe(WEEK_S * 1_000);
  const past = points(await read(second.port));
  expect(past.filter((at) => at < crashed).length).toBeGreaterThanOrEqual(4);
  const begun = kept.events.filter(({ at, kind }) => kind === 'start' && at < crashed);
  expect(begun, JSON.stringify(kept.events)).toHaveLength(1);
  // A point of its own, which no minute has written, is written at the end.
  const own = await until('a point of the second process', async () => {
    const found = points(await read(second.port)).filter((at) => at > crashed);
    return found.length > 0 && found;
  });
  second.process.end();
  expect((await second.process.ended).code).toBe(0);

  const third = await start();
  const all = await until('the past of both', async () => {
    const found = points(await read(third.port));
    return found.length > 0 && found;
  });
  expect(all).toEqual(expect.arrayContaining([past[0]!, ...own]));
  third.process.kill();
}, 240_000);

it.each([
  ['that cannot be made', '/dev/null/mesh', 'cannot make the directory'],
  ['that is no directory', import.meta.filename, ''],
])('goes on in memory in a directory %s, and says why and what to do', async (_, history, why) => {
  const logs: { message: string; event?: unknown }[] = [];
  const error = (message: string, fields: object = {}) => void logs.push({ message, ...fields });
  const server = await serve('server', (mesh) => mesh.handle('echo', (input) => input));
  const { mesh, client } = await call(server, { admin: { port: 0, history }, logger: { error } });
  expect(await client.call('echo', 1)).toBe(1);
  const { port } = mesh.adminAddress()!;
  const self = async (): Promise<{ problems: { kind: string; repair: string }[] }> => {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/self`);
    return (await response.json()) as Awaited<ReturnType<typeof self>>;
  };
  const problem = await until('the problem', async () => {
    const found = (await self()).problems.find(({ kind }) => kind === 'history-not-kept');
    return found ?? false;
  });
  expect(problem.repair).toContain(`admin.history: `);
  expect(problem.repair).toContain(why);
  await until('the line of the log', () => logs.length > 0);
  expect(logs).toMatchObject([{ event: 'history.failed', message: problem.repair.slice(0, -1) }]);
  expect((await read(port)).stepMs).toBe(10_000);
});

it('is kept by one process at a time, and by the next one once that has ended', async () => {
  const history = directory();
  const admin = { port: 0, history };
  const first = make('gateway', { admin });
  await first.initialize();
  await until('its file', () => existsSync(join(history, 'history-gateway.mesh')));
  const logs: string[] = [];
  const second = make('gateway', { admin, logger: { error: (text) => void logs.push(text) } });
  await second.initialize();
  await until('the line of the log', () => logs.length > 0);
  expect(logs[0]).toContain('another process keeps');
  expect(logs[0]).toContain('directory of its own');
});
