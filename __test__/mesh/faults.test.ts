// Servers that are killed during requests: the errors of their callers, the number of runs of a request, and
// the trust in a restarted server.
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { SecureMeshClient } from '../../js/index.js';
import { keysDir, make } from '../support/meshes.js';
import { run } from '../support/processes.js';
import { errorOf, until } from '../support/promises.js';

interface Instance {
  address: { host: string; port: number };
  /** Kills the process like `kill -9`, and waits for its end. */
  kill: () => Promise<void>;
}

async function start(settings: object): Promise<Instance> {
  const program = run('journal', settings);
  return {
    address: await program.next(),
    kill: async () => {
      program.kill();
      expect(await program.ended).toMatchObject({ code: 'SIGKILL' });
    },
  };
}

async function clientOf(...instances: Instance[]): Promise<SecureMeshClient> {
  const services = instances.map(({ address }) => ({ id: 'server', ...address }));
  const mesh = make('caller', { discovery: { services } });
  await mesh.initialize();
  return mesh.connect('server');
}

const journal = (): string => join(mkdtempSync(join(keysDir, 'journal-')), 'lines');
const lines = (file: string): string[] => {
  try {
    return readFileSync(file, 'utf8').split('\n').slice(0, -1);
  } catch {
    return []; // not begun yet
  }
};
const numbers = (first: number, count: number): string[] =>
  Array.from({ length: count }, (_, index) => String(first + index));

it('a call whose server is killed ends once, and ran once', { timeout: 60_000 }, async () => {
  const file = journal();
  const server = await start({ journal: file });
  const client = await clientOf(server);
  const outcomes: string[] = [];
  const calls = numbers(0, 20).map((n) =>
    client.call('book', n).then(
      () => outcomes.push('answered'),
      (error) =>
        outcomes.push(`${error.code} ${error.reason} ${error.retryable} ${error.attempts}`),
    ),
  );
  await until(() => lines(file).length === 20, 20_000);
  await server.kill();
  await Promise.all(calls);
  expect(outcomes).toEqual(Array(20).fill('UNAVAILABLE SESSION_LOST false 1'));

  // The same service at the same address with the same keys is found again, and a call that may have run does
  // not run again.
  await start({ journal: file, answers: true, name: 'second', port: server.address.port });
  await expect.poll(() => client.call('book', 'after'), { timeout: 20_000 }).toBe('second after');
  expect(lines(file).toSorted()).toEqual([...numbers(0, 20), 'after'].toSorted());
});

it('an idempotent call whose server is killed runs elsewhere', { timeout: 60_000 }, async () => {
  const [first, second] = [journal(), journal()];
  const silent = await start({ journal: first });
  const other = await start({ journal: second, answers: true, name: 'other' });
  const client = await clientOf(silent, other);
  const wanted = numbers(0, 20);
  const calls: Promise<unknown>[] = [];
  // One after another, because concurrent calls would all take the first open session.
  for (const n of wanted) {
    calls.push(client.call('book', n, { idempotent: true, timeoutMs: 30_000 }));
    await until(() => lines(first).length + lines(second).length === calls.length, 20_000);
  }
  expect(lines(first).length, 'some are with the one that does not answer').toBeGreaterThan(0);
  await silent.kill();
  expect(await Promise.all(calls)).toEqual(wanted.map((n) => `other ${n}`));
  expect(lines(second).toSorted()).toEqual(wanted.toSorted());
});

it('a restarted server with other state is not believed', { timeout: 60_000 }, async () => {
  // No service remembers either key yet.
  const [own, callers] = [mkdtempSync(join(keysDir, 'own-')), mkdtempSync(join(keysDir, 'own-'))];
  const secret = (): void => copyFileSync(join(callers, 'mesh-secret'), join(own, 'mesh-secret'));
  const wipe = (): void => {
    rmSync(own, { recursive: true });
    mkdirSync(own, { mode: 0o700 });
  };
  const file = journal();
  let port = 0;
  const restart = async (): Promise<Instance> => {
    const server = await start({ journal: file, answers: true, name: 'it', keysDir: own, port });
    port = server.address.port;
    return server;
  };
  const server = await restart();
  copyFileSync(join(own, 'mesh-secret'), join(callers, 'mesh-secret'));
  const mesh = make('caller', {
    paths: { keysDir: callers },
    discovery: { services: [{ id: 'server', ...server.address }] },
  });
  await mesh.initialize();
  const client = mesh.connect('server');
  expect(await client.call('book', 'first')).toBe('it first');
  await server.kill();

  wipe(); // another secret, another key
  const stranger = await restart();
  expect(await errorOf(client.call('book', 'to a stranger'))).toMatchObject({
    code: 'UNAUTHENTICATED',
    reason: 'HANDSHAKE_REFUSED',
    retryable: false,
  });
  await stranger.kill();

  wipe(); // the secret, another key
  secret();
  const impostor = await restart();
  expect(await errorOf(client.call('book', 'to an impostor'))).toMatchObject({
    code: 'UNAUTHENTICATED',
    reason: 'PEER_KEY_CHANGED',
    retryable: false,
  });
  await impostor.kill();
  expect(lines(file)).toEqual(['first']);
});
