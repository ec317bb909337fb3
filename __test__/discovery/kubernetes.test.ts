// Instances in EndpointSlices: a server of this test that speaks as the API documentation of Kubernetes says.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { SecureMesh, SecureMeshClient } from '../../js/index.js';
import { KubernetesStub, LIES } from '../support/http-stub.js';
import { entry, make, serve, untilAnswers } from '../support/meshes.js';
import { errorOf, until } from '../support/promises.js';
import { scratch } from '../support/servers.js';

type Line = { event?: string; text: string };

async function caller(
  kubernetes: KubernetesStub,
  token = kubernetes.token,
): Promise<{ mesh: SecureMesh; client: SecureMeshClient; log: Line[]; tokenFile: string }> {
  const log: Line[] = [];
  const note = (text: string, fields?: object): void => void log.push({ text, ...fields });
  const logger = { debug: () => {}, info: () => {}, warn: note, error: note };
  const tokenFile = join(scratch(), 'token');
  writeFileSync(tokenFile, `${token}\n`);
  const mesh = make('caller', {
    discovery: {
      provider: 'kubernetes',
      namespace: 'shop',
      portName: 'mesh',
      address: kubernetes.url,
      tokenFile,
    },
    logger,
  });
  await mesh.initialize();
  return { mesh, client: mesh.connect('server'), log, tokenFile };
}

const instance = (name: string): Promise<SecureMesh> =>
  serve('server', (mesh) => mesh.handle('who', () => name));

/** An endpoint of a slice. */
const at = (mesh: SecureMesh, conditions: object = { ready: true }): object => {
  const { host, port } = entry('server', mesh);
  return { addresses: [host], port, conditions, zone: 'a' };
};

describe('kubernetes', () => {
  it('lists the slices of a service and watches them', async () => {
    const kubernetes = await new KubernetesStub().start();
    const [one, two] = [await instance('one'), await instance('two')];
    kubernetes.put('server-1', at(one));
    const { mesh, client } = await caller(kubernetes);
    const instances = (): unknown => mesh.getStats().discovery?.['server']?.instances;
    expect(await client.call('who')).toBe('one');
    await until(() => kubernetes.watches === 1);
    kubernetes.bookmark();
    kubernetes.put('server-2', at(two));
    await until(() => instances() === 2);
    // One that is not ready, or ends, gets no calls.
    kubernetes.put('server-1', at(one, { ready: false }));
    await untilAnswers(client, 'two');
    await until(() => instances() === 1);
    kubernetes.put('server-1', at(one));
    kubernetes.remove('server-2');
    await untilAnswers(client, 'one');
  }, 30_000);

  it('goes on from its version after the end of a watch, and reads all again when it is gone', async () => {
    const kubernetes = await new KubernetesStub().start();
    const [one, two] = [await instance('one'), await instance('two')];
    kubernetes.put('server-1', at(one));
    const { client } = await caller(kubernetes);
    expect(await client.call('who')).toBe('one');
    await until(() => kubernetes.watches === 1);
    kubernetes.bookmark();
    const { version } = kubernetes;
    kubernetes.end();
    await until(
      () => kubernetes.asked.filter((one) => one.includes('watch=true')).length >= 2,
      10_000,
    );
    expect(kubernetes.asked.at(-1)).toContain(`resourceVersion=${version}`);
    await until(() => kubernetes.watches === 1);
    kubernetes.oldest = version + 100;
    kubernetes.slices.delete('server-1');
    kubernetes.put('server-2', at(two));
    kubernetes.version += 200;
    kubernetes.end();
    await untilAnswers(client, 'two');
  }, 30_000);

  for (const [name, lie] of Object.entries(LIES)) {
    it(`keeps the last list beside ${name}, and says so without the token`, async () => {
      const kubernetes = await new KubernetesStub().start();
      kubernetes.put('server-1', at(await instance('one')));
      const { mesh, client, log } = await caller(kubernetes);
      expect(await client.call('who')).toBe('one');
      await until(() => kubernetes.watches === 1);
      kubernetes.lie = lie;
      kubernetes.end();
      await until(() => log.some(({ event }) => event === 'discovery.trouble'), 40_000);
      expect(await client.call('who')).toBe('one');
      expect(mesh.getStats().discovery?.['server']?.staleMs).toBeGreaterThanOrEqual(0);
      expect(JSON.stringify(log)).not.toContain(kubernetes.token);
      kubernetes.lie = undefined;
      kubernetes.put('server-1', at(await instance('two')));
      await untilAnswers(client, 'two');
    }, 60_000);
  }

  it('keeps the last list beside a watch with lines that are none', async () => {
    const kubernetes = await new KubernetesStub().start();
    kubernetes.put('server-1', at(await instance('one')));
    const { client, log } = await caller(kubernetes);
    for (const line of ['no JSON', '{"type":7}', '{"type":"ADDED"}', '{"type":"X","object":{}}']) {
      expect(await client.call('who')).toBe('one');
      await until(() => kubernetes.watches === 1, 10_000);
      kubernetes.tell(line);
      await until(() => kubernetes.watches === 0, 10_000);
    }
    expect(log.some(({ event }) => event === 'discovery.trouble')).toBe(true);
  }, 60_000);

  it('reads its token again before each question', async () => {
    const kubernetes = await new KubernetesStub().start();
    kubernetes.put('server-1', at(await instance('one')));
    const { client, log, tokenFile } = await caller(kubernetes, 'an-old-token');
    const error = await errorOf(client.call('who', undefined, { timeoutMs: 300 }));
    expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'NO_INSTANCE' });
    await until(() => log.some(({ event }) => event === 'discovery.failed'));
    expect(JSON.stringify(log)).toContain('status 401');
    expect(JSON.stringify(log)).not.toContain('an-old-token');
    writeFileSync(tokenFile, kubernetes.token);
    expect(await client.call('who')).toBe('one');
  }, 30_000);
});
