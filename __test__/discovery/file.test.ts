// Instances from a file that changes while calls run.
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { SecureMesh } from '../../js/index.js';
import { entry, make, serve } from '../support/meshes.js';
import { errorOf, sleep } from '../support/promises.js';
import { scratch } from '../support/servers.js';

const instance = (name: string): Promise<SecureMesh> =>
  serve('server', (mesh) => mesh.handle('who', () => name));

it('a file of instances is followed, and a broken one changes nothing', async () => {
  const path = join(scratch(), 'services.json');
  const write = (content: unknown): void => {
    writeFileSync(`${path}.new`, typeof content === 'string' ? content : JSON.stringify(content));
    renameSync(`${path}.new`, path);
  };
  const [a, b] = [await instance('a'), await instance('b')];
  const log: string[] = [];
  const note = (text: string): void => void log.push(text);
  write([entry('server', a)]);
  const mesh = make('caller', {
    discovery: { provider: 'file', path },
    logger: { debug: () => {}, info: () => {}, warn: note, error: note },
  });
  await mesh.initialize();
  const client = mesh.connect('server');
  expect(await client.call('who')).toBe('a');
  write([entry('server', b)]);
  const begun = Date.now();
  while ((await client.call('who')) !== 'b') {
    if (Date.now() - begun > 3_000) throw new Error('the change is not seen');
    await sleep(20);
  }
  for (const broken of [
    '[{',
    '{}',
    [{ id: 'server', host: 'x', port: 0 }],
    [{ host: 'x', port: 1 }],
  ]) {
    const before = log.length;
    write(broken);
    await sleep(700);
    expect(log.length).toBe(before + 1);
    expect(await client.call('who')).toBe('b');
  }
  expect(log.join('\n')).toMatch(/\[0\]\.port must be 1…65535; correct the file/);
  rmSync(path);
  await sleep(700);
  expect(await client.call('who')).toBe('b');
  expect(log.at(-1)).toMatch(/create it, or correct the path/);
  write([]);
  await sleep(700);
  expect(await errorOf(client.call('who'))).toMatchObject({ reason: 'NO_INSTANCE' });
}, 30_000);

it('names a wrong option', () => {
  const wrong: [object, RegExp][] = [
    [{ provider: 'zookeeper' }, /discovery\.provider must be one of 'file', 'dns', 'etcd'/],
    [{ provider: 'file' }, /discovery\.path must be the path/],
    [
      { provider: 'file', pth: 'x' },
      /discovery\.pth is not an option; did you mean discovery\.path/,
    ],
    [
      { providers: [{ provider: 'dns' }] },
      /discovery\.providers\[0\]\.domain must be a domain name/,
    ],
  ];
  for (const [discovery, expected] of wrong) {
    expect(() => make('caller', { discovery: discovery as never })).toThrow(expected);
  }
});
