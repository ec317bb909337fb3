// Instances in Consul: a server of this test that speaks as the API documentation of Consul says.
import { describe, expect, it } from 'vitest';
import type { SecureMesh, SecureMeshClient } from '../../js/index.js';
import { ConsulStub, LIES } from '../support/http-stub.js';
import { entry, make, serve, untilAnswers } from '../support/meshes.js';
import { errorOf, until } from '../support/promises.js';

type Line = { event?: string; text: string };

const options = (consul: ConsulStub, extra: object = {}) => ({
  provider: 'consul' as const,
  address: consul.url,
  token: consul.token,
  ttlMs: 5_000,
  ...extra,
});

async function caller(
  consul: ConsulStub,
  extra: object = {},
): Promise<{ mesh: SecureMesh; client: SecureMeshClient; log: Line[] }> {
  const log: Line[] = [];
  const note = (text: string, fields?: object): void => void log.push({ text, ...fields });
  const logger = { debug: () => {}, info: () => {}, warn: note, error: note };
  const mesh = make('caller', { discovery: options(consul, extra), logger });
  await mesh.initialize();
  return { mesh, client: mesh.connect('server'), log };
}

const instance = (name: string): Promise<SecureMesh> =>
  serve('server', (mesh) => mesh.handle('who', () => name));

const at = (mesh: SecureMesh): { host: string; port: number } => entry('server', mesh);

describe('consul', () => {
  it('reports instances and follows their changes by blocking queries', async () => {
    const consul = await new ConsulStub().start();
    const [one, two] = [await instance('one'), await instance('two')];
    consul.set({ ...at(one), meta: { zone: 'a' } });
    const { mesh, client } = await caller(consul);
    expect(await client.call('who')).toBe('one');
    consul.set(at(two));
    await untilAnswers(client, 'two');
    consul.set();
    await until(() => mesh.getStats().discovery?.['server']?.instances === 0);
    const error = await errorOf(client.call('who'));
    expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'NO_INSTANCE' });
    consul.set(at(one));
    await untilAnswers(client, 'one');
    expect(consul.asked.at(-1)).toMatch(
      /^GET \/v1\/health\/service\/server\?passing=true&index=\d+&wait=25s$/,
    );
  });

  it('registers a service that listens, keeps its check passing and takes it back', async () => {
    const consul = await new ConsulStub().start();
    const server = await serve('server', (mesh) => mesh.handle('who', () => 'one'), {
      discovery: options(consul, { register: true }),
    });
    const { host, port } = at(server);
    const id = `server-${host}-${port}`;
    expect(consul.registered.get(id)).toMatchObject({
      Name: 'server',
      Address: host,
      Port: port,
      Check: { TTL: '5000ms', Status: 'passing' },
    });
    await until(() => consul.passed.length > 0, 10_000);
    // An agent that was started again knows nothing.
    consul.registered.clear();
    await until(() => consul.registered.has(id), 10_000);
    await server.drain({ timeoutMs: 1_000 });
    expect(consul.registered.size).toBe(0);
  }, 30_000);

  for (const [name, lie] of Object.entries(LIES)) {
    it(`keeps the last list beside ${name}, and says so without the token`, async () => {
      const consul = await new ConsulStub().start();
      const one = at(await instance('one'));
      consul.set(one);
      const { mesh, client, log } = await caller(consul);
      expect(await client.call('who')).toBe('one');
      consul.lie = lie;
      consul.set(one);
      await until(() => log.some(({ event }) => event === 'discovery.trouble'), 45_000);
      expect(await client.call('who')).toBe('one');
      expect(mesh.getStats().discovery?.['server']?.staleMs).toBeGreaterThanOrEqual(0);
      expect(JSON.stringify(log)).not.toContain(consul.token);
      consul.lie = undefined;
      consul.set(at(await instance('two')));
      await untilAnswers(client, 'two');
      await until(() => mesh.getStats().discovery?.['server']?.staleMs === null);
    }, 90_000);
  }

  it('keeps the last list when the token loses its rights', async () => {
    const consul = await new ConsulStub().start();
    const one = at(await instance('one'));
    consul.set(one);
    const { mesh, client, log } = await caller(consul);
    expect(await client.call('who')).toBe('one');
    consul.filtered = true;
    consul.set(one);
    await until(() => log.some(({ event }) => event === 'discovery.trouble'));
    expect(JSON.stringify(log)).toContain('the token may not read all of the instances');
    expect(mesh.getStats().discovery?.['server']?.instances).toBe(1);
    expect(await client.call('who')).toBe('one');
  });

  it('sends a token over TLS or to this machine alone', async () => {
    const address = 'http://consul.example:8500';
    const discovery = { provider: 'consul' as const, address, token: 'a-secret' };
    const error = await errorOf((async () => make('caller', { discovery }))());
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'CONFIG' });
    expect(error.message).toContain('which would travel unencrypted; give an https:// address');
    expect(error.message).not.toContain('a-secret');
  });

  it('leaves out entries that are no instances', async () => {
    const consul = await new ConsulStub().start();
    const one = await instance('one');
    consul.set({ Service: { Address: 'a b', Port: 1 } }, { Service: 7 }, at(one));
    const { mesh, client, log } = await caller(consul);
    expect(await client.call('who')).toBe('one');
    expect(mesh.getStats().discovery?.['server']?.instances).toBe(1);
    expect(log.filter(({ event }) => event === 'discovery.trouble')).toHaveLength(1);
  });

  it('says what is wrong with a token', async () => {
    const consul = await new ConsulStub().start();
    const { client, log } = await caller(consul, { token: 'another' });
    const error = await errorOf(client.call('who', undefined, { timeoutMs: 300 }));
    expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'NO_INSTANCE' });
    await until(() => log.some(({ event }) => event === 'discovery.failed'));
    expect(JSON.stringify(log)).toContain('status 403');
    expect(JSON.stringify(log)).not.toContain('another');
  });
});
