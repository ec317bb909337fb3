// What cannot be brought about from outside: the addon is built once more, with
// calls that make it happen, and used from a copy of the package.
import { execFile } from 'node:child_process';
import { copyFileSync, cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

const run = promisify(execFile);
const root = join(__dirname, '..');
const copy = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-injection-'));

/** What the programs have in common: a server and a client, `client` of which calls it. */
const PAIR = `
const { SecureMesh } = require('./dist/index.cjs');
const pair = async (keysDir) => {
  const options = { security: { rsaKeySize: 2048 }, paths: { keysDir } };
  const server = new SecureMesh({ serviceId: 'server', port: 0, ...options });
  server.handle('echo', (input) => input);
  await server.initialize();
  const services = [{ id: 'server', ...server.address() }];
  const mesh = new SecureMesh({ serviceId: 'client', discovery: { services }, ...options });
  await mesh.initialize();
  const client = mesh.connect('server');
  const cleanup = () => Promise.all([mesh.cleanup(), server.cleanup()]);
  return { client, cleanup };
};
// Calls of which many are under way; now and then the event loop is given the mesh's work.
const callMany = async (client, rounds) => {
  let answered = 0;
  for (let round = 0; round < rounds; round += 1) {
    if (round > 2) await client.call('inject.turns').catch(() => {});
    for (let batch = 0; batch < 10; batch += 1) {
      const inputs = Array.from({ length: 64 }, (_, index) => [round, batch, index]);
      const answers = await Promise.all(inputs.map((input) => client.call('echo', input)));
      if (JSON.stringify(answers) !== JSON.stringify(inputs)) throw new Error('the echo differs');
      answered += answers.length;
    }
  }
  return answered;
};
`;

async function program(name: string, text: string): Promise<unknown> {
  writeFileSync(join(copy, name), `${PAIR}\n(async () => {\n${text}\n})();\n`);
  const { stdout } = await run(process.execPath, [name], { cwd: copy });
  return JSON.parse(stdout);
}

beforeAll(async () => {
  const args = ['build', '--release', '--locked', '--package', 'secure-stack-mesh'];
  await run('cargo', [...args, '--features', 'fault-injection'], { cwd: root });
  const metadata = await run('cargo', ['metadata', '--no-deps', '--format-version=1'], {
    cwd: root,
  });
  const target = (JSON.parse(metadata.stdout) as { target_directory: string }).target_directory;
  const library = readdirSync(join(target, 'release')).find((name) =>
    /^(lib)?secure_stack_mesh\.(so|dylib|dll)$/.test(name),
  );
  const binary = readdirSync(root).find((name) => /^secure-stack-mesh\..*\.node$/.test(name));
  cpSync(join(root, 'dist'), join(copy, 'dist'), { recursive: true });
  copyFileSync(join(root, 'package.json'), join(copy, 'package.json'));
  copyFileSync(join(target, 'release', String(library)), join(copy, String(binary)));
  writeFileSync(join(copy, 'addon.cjs'), `module.exports = require('./${binary}');\n`);
}, 600_000);

afterAll(() => rmSync(copy, { recursive: true, force: true }));

it('makes a call that panics fail as INTERNAL, and nothing else', async () => {
  const told = await program(
    'panic.cjs',
    `
    const { client, cleanup } = await pair('./keys');
    const answers = await Promise.allSettled([
      client.call('echo', 1),
      client.call('inject.panic', 2),
      client.call('echo', 3),
    ]);
    const told = answers.map(({ value, reason }) => value ?? [reason.code, reason.reason]);
    console.log(JSON.stringify([...told, await client.call('echo', 'alive')]));
    await cleanup();`,
  );
  expect(told).toEqual([1, ['INTERNAL', 'INTERNAL'], 3, 'alive']);
});

it.runIf(process.platform === 'linux')(
  'has the event loop take turns, and answers every call',
  async () => {
    const told = (await program(
      'turns.cjs',
      `
    const { NativeMesh } = require('./addon.cjs');
    const { close } = NativeMesh.prototype;
    const turns = [];
    NativeMesh.prototype.close = async function (ms) {
      turns.push(JSON.parse(await this.stats()).applicationTurns);
      return close.call(this, ms);
    };
    const { client, cleanup } = await pair('./keys');
    const answered = await callMany(client, 20);
    // One that is busy with something else loses nothing.
    await client.call('inject.turns').catch(() => {});
    const late = client.call('echo', 'late');
    const end = Date.now() + 50;
    while (Date.now() < end);
    const answer = await late;
    await cleanup();
    console.log(JSON.stringify({ answered, answer, turns: Math.max(...turns) }));`,
    )) as { answered: number; answer: string; turns: number };
    expect(told).toMatchObject({ answered: 20 * 640, answer: 'late' });
    expect(told.turns).toBeGreaterThan(100);
  },
);

it('ends worker threads in the middle of their turns', { timeout: 60_000 }, async () => {
  const told = await program(
    'workers.cjs',
    `
    const { Worker, isMainThread, parentPort } = require('node:worker_threads');
    if (!isMainThread) {
      const { client } = await pair('./keys');
      parentPort.postMessage('calling');
      for (;;) await callMany(client, 10);
    }
    let ended = 0;
    for (let number = 0; number < 10; number += 1) {
      const worker = new Worker(__filename);
      await new Promise((resolve) => worker.once('message', resolve));
      await new Promise((resolve) => setTimeout(resolve, 40 * number));
      await worker.terminate();
      ended += 1;
    }
    console.log(JSON.stringify(ended));`,
  );
  expect(told).toBe(10);
});
