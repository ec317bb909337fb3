// Instances in a real etcd: registered, drained, crashed, and etcd itself away.
import { describe, expect, it } from 'vitest';
import { MeshError, type SecureMesh, type SecureMeshClient } from '../../js/index.js';
import { Authority } from '../support/authority.js';
import { make, serve } from '../support/meshes.js';
import { errorOf, sleep, until } from '../support/promises.js';
import { Etcd, installed } from '../support/servers.js';
import { compared } from '../support/compared.js';

type Entry = { event?: string; text: string };

const provider = (etcd: Etcd, extra: object = {}) => ({
  provider: 'etcd' as const,
  endpoints: [etcd.url],
  ttlMs: 5_000,
  ...extra,
});

const instance = (etcd: Etcd, name: string): Promise<SecureMesh> =>
  serve('server', (mesh) => mesh.handle('who', () => name), {
    discovery: provider(etcd, { register: true }),
  });

async function caller(
  etcd: Etcd,
  extra: object = {},
): Promise<{ mesh: SecureMesh; client: SecureMeshClient; log: Entry[] }> {
  const log: Entry[] = [];
  const note = (text: string, fields?: object): void => void log.push({ text, ...fields });
  const logger = { debug: () => {}, info: () => {}, warn: note, error: note };
  const mesh = make('caller', { discovery: provider(etcd, extra), logger });
  await mesh.initialize();
  return { mesh, client: mesh.connect('server'), log };
}

/** Calls without a pause until told to stop; counts the answers by instance, and the failures. */
function load(
  client: SecureMeshClient,
): () => Promise<{ names: Set<string>; failed: MeshError[] }> {
  let stopped = false;
  const names = new Set<string>();
  const failed: MeshError[] = [];
  const running = (async () => {
    while (!stopped) {
      try {
        names.add(
          await client.call<undefined, string>('who', undefined, {
            idempotent: true,
            timeoutMs: 3_000,
          }),
        );
      } catch (error) {
        failed.push(MeshError.from(error));
      }
      await sleep(1);
    }
  })();
  return async () => {
    stopped = true;
    await running;
    return { names, failed };
  };
}

describe.skipIf(!installed('etcd'))('etcd', compared, () => {
  it('has instances come and drain under load without a failed call', async () => {
    const etcd = await Etcd.start();
    const first = await instance(etcd, 'a');
    expect(await etcd.keys('/mesh/server/')).toEqual([
      `/mesh/server/127.0.0.1:${first.address()?.port}`,
    ]);
    const { client } = await caller(etcd);
    const stop = load(client);
    await sleep(200);
    await instance(etcd, 'b');
    const names = new Set<string>();
    const begun = Date.now();
    while (!names.has('b') && Date.now() - begun < 5_000) names.add(await client.call('who'));
    expect(Date.now() - begun).toBeLessThan(2_000);
    await first.drain();
    expect(await etcd.keys('/mesh/server/')).toHaveLength(1);
    await first.cleanup();
    await sleep(200);
    const { failed } = await stop();
    expect(failed).toEqual([]);
    expect(await client.call('who')).toBe('b');
  }, 30_000);

  it('is not needed by calls: killed for ten seconds and compacted, no call fails', async () => {
    const etcd = await Etcd.start();
    await instance(etcd, 'a');
    const { client, log } = await caller(etcd);
    expect(await client.call('who')).toBe('a');
    const stop = load(client);
    await etcd.kill();
    await sleep(10_000);
    await etcd.start();
    const { header } = await etcd
      .put('/mesh/other', 'x')
      .then((answer) => answer as { header: { revision: string } });
    await etcd.ask('kv/compaction', { revision: header.revision, physical: true });
    await instance(etcd, 'b');
    const seen = new Set<string>();
    await until(() => {
      void client.call<undefined, string>('who').then((name) => seen.add(name));
      return seen.has('b');
    }, 10_000);
    const { failed } = await stop();
    expect(failed).toEqual([]);
    expect(log.map(({ text }) => text).join('\n')).toMatch(/stay in use[\s\S]*answers again/);
    // Both are registered, the first one again if its lease was over.
    await eventually(async () => (await etcd.keys('/mesh/server/')).length === 2);
  }, 60_000);

  it('lists a crashed instance no longer than its lease, and its calls go elsewhere at once', async () => {
    const etcd = await Etcd.start();
    const alive = await instance(etcd, 'a');
    // A registration of a process that is gone: nobody listens, nobody renews.
    const { ID } = await etcd.ask('lease/grant', { TTL: 5 });
    const value = Buffer.from('{"host":"127.0.0.1","port":1}').toString('base64');
    const key = Buffer.from('/mesh/server/127.0.0.1:1').toString('base64');
    await etcd.ask('kv/put', { key, value, lease: ID });
    const { client } = await caller(etcd);
    const begun = Date.now();
    expect(await client.call('who')).toBe('a');
    expect(Date.now() - begun).toBeLessThan(2_000);
    await eventually(async () => (await etcd.keys('/mesh/server/')).length === 1, 10_000);
    expect(await etcd.keys('/mesh/server/')).toEqual([
      `/mesh/server/127.0.0.1:${alive.address()?.port}`,
    ]);
  }, 30_000);

  it('leaves out what is no instance, says so once, and uses the rest', async () => {
    const etcd = await Etcd.start();
    await instance(etcd, 'a');
    const hostile = [
      '',
      '{',
      '[]',
      '{"host":"http://x","port":1}',
      '{"host":"x","port":"1"}',
      `"${'x'.repeat(100_000)}"`,
      // An instance, with more beside it than anybody should keep.
      `{"host":"127.0.0.1","port":1,"more":"${'x'.repeat(20_000)}"}`,
    ];
    for (const [index, value] of hostile.entries()) await etcd.put(`/mesh/server/${index}`, value);
    const { mesh, client, log } = await caller(etcd);
    for (let call = 0; call < 20; call += 1) expect(await client.call('who')).toBe('a');
    const { details } = await mesh.healthCheck();
    expect(details['discovery'].server.instances).toBe(1);
    const told = log.filter(({ event }) => event === 'discovery.trouble');
    expect(told).toHaveLength(1);
    expect(told[0]?.text).toMatch(/^the value of \/mesh\/server\/0 is/);
  }, 30_000);

  it('that asks for a password gets it, and without the right one the calls say so', async () => {
    const etcd = await Etcd.start();
    await etcd.ask('auth/user/add', { name: 'root', password: 'correct horse' });
    await etcd.ask('auth/role/add', { name: 'root' });
    await etcd.ask('auth/user/grant', { user: 'root', role: 'root' });
    await etcd.ask('auth/enable', {});
    const rights = { user: 'root', password: 'correct horse' };
    await serve('server', (mesh) => mesh.handle('who', () => 'a'), {
      discovery: provider(etcd, { register: true, ...rights }),
    });
    expect(await (await caller(etcd, rights)).client.call('who')).toBe('a');
    const wrong = await caller(etcd, { user: 'root', password: 'battery staple' });
    const error = await errorOf(wrong.client.call('who', undefined, { timeoutMs: 1_000 }));
    expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'NO_INSTANCE' });
    const text = JSON.stringify(wrong.log);
    expect(text).toMatch(/authentication failed/);
    expect(text).not.toMatch(/battery/);
  }, 30_000);

  it('with TLS is used if its certificate is of an authority that is trusted', async () => {
    const authority = new Authority();
    const files = authority.issue('etcd', { dns: 'localhost' });
    const etcd = await Etcd.startWithTls(files);
    const endpoints = [`https://localhost:${etcd.port}`];
    const server = make('server', {
      port: 0,
      discovery: { provider: 'etcd', endpoints, ca: files.ca, register: true },
    });
    server.handle('who', () => 'a');
    // It accepts connections before it has a leader.
    await eventually(async () =>
      server.initialize().then(
        () => true,
        () => false,
      ),
    );
    expect(await (await caller(etcd, { endpoints, ca: files.ca })).client.call('who')).toBe('a');
    const other = new Authority('Another Root').path('ca.crt');
    const { client, log } = await caller(etcd, { endpoints, ca: other });
    const error = await errorOf(client.call('who', undefined, { timeoutMs: 1_000 }));
    expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'NO_INSTANCE' });
    expect(JSON.stringify(log)).toMatch(/invalid peer certificate/);
  }, 60_000);

  it('that nobody reaches costs a call its deadline, and a registration fails the start', async () => {
    const etcd = await Etcd.start();
    await etcd.kill();
    const { client, log } = await caller(etcd);
    const error = await errorOf(client.call('who', undefined, { timeoutMs: 500 }));
    expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'NO_INSTANCE' });
    expect(JSON.stringify(log)).toMatch(/check discovery.endpoints and that etcd runs/);
    const mesh = make('server', { port: 0, discovery: provider(etcd, { register: true }) });
    expect(await errorOf(mesh.initialize())).toMatchObject({ code: 'UNAVAILABLE' });
  }, 30_000);
});

async function eventually(holds: () => Promise<boolean>, ms = 10_000): Promise<void> {
  const end = Date.now() + ms;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error('it did not become true');
    await sleep(100);
  }
}
