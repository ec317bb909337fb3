// Instances from a real DNS server, whose records change while calls run.
import { describe, expect, it } from 'vitest';
import type { SecureMesh, SecureMeshClient } from '../../js/index.js';
import { make, serve } from '../support/meshes.js';
import { errorOf, sleep } from '../support/promises.js';
import { Bind, installed } from '../support/servers.js';
import { compared } from '../support/compared.js';

const instance = (name: string, host = '127.0.0.1', port = 0): Promise<SecureMesh> =>
  serve('server', (mesh) => mesh.handle('who', () => name), { host, port });

const port = (mesh: SecureMesh): number => mesh.address()?.port ?? 0;

async function caller(
  bind: Bind,
  extra: object = {},
): Promise<{ mesh: SecureMesh; client: SecureMeshClient; log: string[] }> {
  const log: string[] = [];
  const note = (text: string, fields: { error?: Error } = {}): void =>
    void log.push(`${text}: ${fields.error?.message}`);
  const mesh = make('caller', {
    discovery: { provider: 'dns', domain: 'mesh.test', server: bind.server, ...extra } as never,
    logger: { debug: () => {}, info: () => {}, warn: note, error: note },
  });
  await mesh.initialize();
  return { mesh, client: mesh.connect('server'), log };
}

/** Waits until just these instances answer; returns the time that took, in ms. */
async function answered(client: SecureMeshClient, names: string, ms = 8_000): Promise<number> {
  const begun = Date.now();
  for (;;) {
    const seen = new Set<string>();
    for (let call = 0; call < 60; call += 1) seen.add(await client.call('who'));
    if ([...seen].sort().join('') === names) return Date.now() - begun;
    if (Date.now() - begun > ms) throw new Error(`${[...seen].join()} answer, not ${names}`);
    await sleep(20);
  }
}

const known = async (mesh: SecureMesh): Promise<{ instances: number; error?: string }> => {
  const { details } = await mesh.healthCheck();
  return details['discovery'].server;
};

describe.skipIf(!installed('named'))('DNS', compared, () => {
  it('is followed by service records within their time to live', async () => {
    const [a, b] = [await instance('a'), await instance('b')];
    const record = (mesh: SecureMesh): string => `server IN SRV 0 1 ${port(mesh)} ns.mesh.test.`;
    const bind = await Bind.start(record(a));
    const { client } = await caller(bind);
    await answered(client, 'a');
    bind.records(record(a), record(b));
    expect(await answered(client, 'ab')).toBeLessThan(3_500);
    // The higher number is for when the lower one is gone.
    bind.records(record(a), record(b).replace('SRV 0', 'SRV 9'));
    expect(await answered(client, 'a')).toBeLessThan(3_500);
  }, 40_000);

  it('is followed by address records: two at once, and a third that is added', async () => {
    const a = await instance('a', '127.0.0.1');
    await instance('b', '127.0.0.2', port(a));
    await instance('c', '127.0.0.3', port(a));
    const bind = await Bind.start('server IN A 127.0.0.1', 'server IN A 127.0.0.2');
    const { client } = await caller(bind, { records: 'a', port: port(a) });
    expect(await answered(client, 'ab')).toBeLessThan(2_000);
    bind.records(...[1, 2, 3].map((n) => `server IN A 127.0.0.${n}`));
    expect(await answered(client, 'abc')).toBeLessThan(3_500);
  }, 40_000);

  it('that knows no such name ends calls at once, and a name that comes later is found', async () => {
    const bind = await Bind.start();
    const { client } = await caller(bind);
    const begun = Date.now();
    expect(await errorOf(client.call('who'))).toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'NO_INSTANCE',
    });
    expect(Date.now() - begun).toBeLessThan(3_000);
    const a = await instance('a');
    bind.records(`server IN SRV 0 1 ${port(a)} ns.mesh.test.`);
    await sleep(6_000);
    expect(await client.call('who')).toBe('a');
  }, 30_000);

  it('that is gone, or whose zone is broken, changes nothing, and the log says so', async () => {
    const a = await instance('a');
    const bind = await Bind.start(`server IN SRV 0 1 ${port(a)} ns.mesh.test.`);
    const { mesh, client, log } = await caller(bind);
    await answered(client, 'a');
    bind.breakZone();
    await bind.kill();
    await bind.start();
    const end = Date.now() + 6_000;
    while (Date.now() < end) {
      expect(await client.call('who')).toBe('a');
      await sleep(20);
    }
    expect((await known(mesh)).instances).toBe(1);
    expect(log.join('\n')).toMatch(/DNS has no answer for server\.mesh\.test\.[^\n]*stay in use/);
    // A name that vanishes for a moment, as during a reload, keeps its instances too.
    bind.records();
    await sleep(3_000);
    expect(await client.call('who')).toBe('a');
  }, 40_000);

  it('with too many records is bounded, over TCP', async () => {
    const records = Array.from(
      { length: 1_200 },
      (_, n) => `server IN SRV 0 1 ${n + 1} ns.mesh.test.`,
    );
    const bind = await Bind.start(...records);
    const { mesh, client, log } = await caller(bind);
    await errorOf(client.call('who', undefined, { timeoutMs: 2_000 }));
    expect(log.join('\n')).toMatch(/200 records too many; 1000 are used/);
    expect((await known(mesh)).instances).toBe(1_000);
  }, 40_000);
});
