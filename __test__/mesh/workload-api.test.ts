// Identities from the SPIFFE Workload API.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { describe, expect, it, onTestFinished } from 'vitest';
import { SecureMesh, type MeshConfig } from '../../js/index.js';
import { Agent, der, svid, type Answer } from '../support/agent.js';
import { Authority } from '../support/authority.js';
import { errorOf, sleep, until } from '../support/promises.js';
import { scratch } from '../support/servers.js';

const NAME = 'spiffe://shop.example/ns/test/sa/';

interface Line {
  level: string;
  text: string;
  event: unknown;
}

/** A mesh, and its log. */
async function start(
  serviceId: string,
  certificate: object,
  extra: Partial<MeshConfig> = {},
): Promise<{ mesh: SecureMesh; lines: Line[] }> {
  const lines: Line[] = [];
  const note = (level: string) => (text: string, fields?: { event?: unknown }) =>
    lines.push({ level, text, event: fields?.event });
  const mesh = new SecureMesh({
    ...{ serviceId, host: '127.0.0.1', ...extra },
    security: { rsaKeySize: 2048, certificate },
    logger: { info: note('info'), warn: note('warn'), error: note('error') },
  });
  onTestFinished(() => mesh.cleanup());
  mesh.handle('echo', (input) => input);
  mesh.handle('who', (_input, { caller }) => caller.spiffeId);
  mesh.handle('slow', () => new Promise(() => undefined));
  await mesh.initialize();
  return { mesh, lines };
}

const at = (mesh: SecureMesh, id = 'orders'): Partial<MeshConfig> => ({
  discovery: { services: [{ id, host: '127.0.0.1', port: mesh.address()!.port }] },
});

/** A service with an agent, and a caller with files of the same authority. */
async function served(first?: (authority: Authority) => Answer) {
  const authority = new Authority();
  const agent = await new Agent(
    first?.(authority) ?? { svids: [svid(authority, 'orders')] },
  ).start();
  const { mesh, lines } = await start('orders', { workloadApi: agent.uri }, { port: 0 });
  const { mesh: caller } = await start('gateway', authority.issue('gateway'), at(mesh));
  const logged = (event: string): Line[] => lines.filter((line) => line.event === event);
  return { authority, agent, mesh, caller, client: caller.connect('orders'), logged };
}

const serialOf = (caller: SecureMesh): string | undefined =>
  caller.getStats().peers[0]?.certificate?.serial;

describe.skipIf(process.platform === 'win32')('an agent of the Workload API', () => {
  it('gives a service its identity, and another one under load without a lost call', async () => {
    const other = new Authority('Other Root');
    const { authority, agent, mesh, caller, client, logged } = await served((authority) => ({
      // Of several identities the one of this service counts.
      svids: [svid(authority, 'sidecar'), svid(authority, 'orders')],
      federated: { 'spiffe://other.example': der(other.path('ca.crt')) },
    }));
    expect(await client.call('echo', 1)).toBe(1);
    expect(caller.getStats().peers[0]?.certificate?.name).toBe(`${NAME}orders`);
    expect(agent.headers.map((headers) => headers.get('workload.spiffe.io'))).toEqual([['true']]);
    const back = await start('stock', {
      workloadApi: agent.uri,
      ...{ id: `${NAME}{service}` },
    }).catch((error: unknown) => error);
    // The agent has no identity of that name.
    expect(back).toMatchObject({ reason: 'CERT_NAME' });

    let running = true;
    const calls = (async () => {
      let n = 0;
      for (; running; n += 1) expect(await client.call('echo', n)).toBe(n);
      return n;
    })();
    const before = serialOf(caller);
    agent.give({ svids: [svid(authority, 'orders')] });
    await until(() => serialOf(caller) !== before, 10_000);
    running = false;
    expect(await calls).toBeGreaterThan(0);
    expect(logged('certificate.loaded')).toHaveLength(1);
    await expect
      .poll(async () => (await mesh.healthCheck()).details['certificateProblem'])
      .toBeNull();

    // A bundle of a foreign trust domain is no anchor.
    const trusting = { ...other.issue('stock'), ca: bundleOf(authority, other) };
    const { mesh: foreign } = await start('stock', trusting, at(mesh));
    expect(await errorOf(foreign.connect('orders').call('echo', 1))).toMatchObject({
      reason: 'HANDSHAKE_REFUSED',
    });
    const refusals = logged('handshake.refused');
    expect(refusals.some(({ text }) => text.includes('anchor'))).toBe(true);
  });

  it('gives anchors and revocation lists, which count at once', async () => {
    const { authority, agent, mesh, client, logged } = await served((authority) => ({
      svids: [svid(authority, 'orders')],
      crl: [der(authority.revoke())],
    }));
    const next = new Authority('Next Root');
    const identity = svid(authority, 'orders');
    const both = Buffer.concat([identity.bundle, der(next.path('ca.crt'))]);
    const lists = [der(authority.revoke()), der(next.revoke())];
    agent.give({ svids: [{ ...identity, bundle: both }], crl: lists });
    await until(() => logged('certificate.loaded').length > 0, 10_000);
    const { mesh: caller } = await start(
      'stock',
      { ...next.issue('stock'), ca: bundleOf(authority, next) },
      at(mesh),
    );
    expect(await caller.connect('orders').call('who')).toBe(`${NAME}stock`);

    const hung = errorOf(client.call('slow'));
    await client.call('echo', 1);
    const list = der(authority.revoke('gateway'));
    const begun = Date.now();
    agent.give({ svids: [{ ...identity, bundle: both }], crl: [list, lists[1]!] });
    expect(await hung).toMatchObject({ reason: 'SESSION_LOST' });
    expect(Date.now() - begun).toBeLessThan(5_000);
    expect(await errorOf(client.call('echo', 2))).toMatchObject({ reason: 'HANDSHAKE_REFUSED' });
  });

  it('that gives nothing of use changes nothing, and the log says why', async () => {
    const change = (identity: object) => (authority: Authority) => ({
      svids: [{ ...svid(authority, 'orders'), ...identity }],
    });
    const answers: [string, (authority: Authority) => Answer][] = [
      ['no identity', () => ({})],
      ['lacks its id', change({ key: Buffer.alloc(0) })],
      ['lacks its id', change({ bundle: Buffer.alloc(0) })],
      [
        'belongs to another certificate',
        (authority) => change({ key: svid(authority, 'orders').key })(authority),
      ],
      ['damaged', change({ key: Buffer.from('no key') })],
      ['not X.509 in DER', change({ chain: Buffer.from('no certificate') })],
      ['not X.509 in DER', change({ bundle: Buffer.alloc(300, 0x30) })],
      [
        'another service, namespace or trust domain',
        () => change({})(new Authority('Other Root', 'other.example')),
      ],
      ['another service', (authority) => ({ svids: [svid(authority, 'stock')] })],
      ['failed', () => ({ raw: Buffer.from('this is no message') })],
      // All of it would be good, were it smaller.
      [
        'failed',
        (authority) => ({
          ...change({})(authority),
          federated: { 'spiffe://other.example': Buffer.alloc(1 << 20) },
        }),
      ],
      ['gives this process no identity', () => ({ code: status.PERMISSION_DENIED })],
      ['failed', () => ({ code: status.INTERNAL })],
    ];
    await Promise.all(
      answers.map(async ([text, answer]) => {
        const { authority, agent, mesh, caller, client, logged } = await served();
        await client.call('echo', 1);
        const before = serialOf(caller);
        agent.give(answer(authority));
        await until(() => logged('certificate.broken').length > 0, 15_000).catch(() => {
          throw new Error(`nothing was logged about: ${text}`);
        });
        const [line] = logged('certificate.broken');
        expect(line?.level).toBe('error');
        expect(line?.text).toContain('security.certificate.workloadApi');
        expect(line?.text).toContain(text);
        expect(line?.text).toContain('the previous certificate stays in use');
        expect(line?.text).not.toContain('BEGIN');
        const { status: health, details } = await mesh.healthCheck();
        expect(health).toBe('degraded');
        expect(details['certificateProblem']).toContain(text);
        expect(await client.call('echo', 2)).toBe(2);
        expect(serialOf(caller)).toBe(before);
        // The next good answer counts.
        agent.give({ svids: [svid(authority, 'orders')] });
        await until(() => serialOf(caller) !== before, 40_000);
        await expect
          .poll(async () => (await mesh.healthCheck()).details['certificateProblem'])
          .toBeNull();
      }),
    );
  }, 90_000);

  it('may go away and come back', async () => {
    const { authority, agent, mesh, caller, client, logged } = await served();
    await client.call('echo', 1);
    const before = serialOf(caller);
    agent.stop();
    await until(() => logged('certificate.broken').length > 0, 15_000);
    expect(logged('certificate.broken')[0]?.text).toContain('cannot be reached');
    // The latest answer counts for a new key as well.
    expect(await mesh.reloadIdentity()).toBe(mesh.getStats().keyThumbprint);
    expect(await client.call('echo', 2)).toBe(2);
    agent.give({ svids: [svid(authority, 'orders')] });
    await agent.start();
    await until(() => serialOf(caller) !== before, 40_000);
  }, 90_000);

  it('that never stops answering costs one key a second at most', async () => {
    const { authority, agent, client, logged } = await served();
    const identities = [svid(authority, 'orders'), svid(authority, 'orders')];
    const flood = setInterval(() => {
      for (let n = 0; n < 200; n += 1) agent.give({ svids: [identities[n % 2]!] });
    }, 5);
    onTestFinished(() => clearInterval(flood));
    const begun = Date.now();
    while (Date.now() - begun < 4_000) expect(await client.call('echo', 1)).toBe(1);
    clearInterval(flood);
    expect(logged('certificate.loaded').length).toBeLessThanOrEqual(6);
  }, 30_000);
});

/** The anchors of both, in a file. */
function bundleOf(one: Authority, other: Authority): string {
  return `${one.run('x509', '-in', 'ca.crt')}${other.run('x509', '-in', 'ca.crt')}`;
}

describe.skipIf(process.platform === 'win32')('a start without an identity', () => {
  /** A server at a socket that does something else than the Workload API. */
  async function server(behaviour: (socket: Socket) => void): Promise<string> {
    const path = join(scratch(), 'agent.sock');
    const listening = createServer((socket) => {
      socket.on('error', () => undefined);
      behaviour(socket);
    }).listen(path);
    onTestFinished(() => void listening.close());
    await once(listening, 'listening');
    return `unix://${path}`;
  }

  it('fails after a while, with the option and the repair', async () => {
    const refusing = await new Agent({ code: status.PERMISSION_DENIED }).start();
    const empty = await new Agent({}).start();
    const other = await new Agent({ svids: [svid(new Authority(), 'stock')] }).start();
    const cases: [string, string, string][] = [
      [`unix://${join(scratch(), 'nowhere.sock')}`, 'WORKLOAD_API', 'start the agent'],
      [refusing.uri, 'WORKLOAD_API', 'spire-server entry create'],
      [empty.uri, 'WORKLOAD_API', 'no identity'],
      [
        await server((socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')),
        'WORKLOAD_API',
        'failed',
      ],
      [await server(() => undefined), 'WORKLOAD_API', 'did not answer'],
      // It fails while the connection is made, or right after.
      [await server((socket) => socket.destroy()), 'WORKLOAD_API', 'the Workload API at'],
      [other.uri, 'CERT_NAME', 'serviceId'],
    ];
    await Promise.all(
      cases.map(async ([workloadApi, reason, text]) => {
        const begun = Date.now();
        const error = await errorOf(start('orders', { workloadApi }));
        expect(error).toMatchObject({ reason });
        expect(error.message).toContain('security.certificate.workloadApi');
        expect(error.message).toContain(text);
        expect(Date.now() - begun).toBeLessThan(14_000);
      }),
    );
  }, 30_000);

  it('waits for an agent that starts later', async () => {
    const authority = new Authority();
    const agent = new Agent({ svids: [svid(authority, 'orders')] });
    const started = start('orders', { workloadApi: agent.uri });
    await sleep(1_000);
    await agent.start();
    expect((await started).mesh.getStats().keyThumbprint).toBeDefined();
  });

  it('tries another connection where one stays silent', async () => {
    const authority = new Authority();
    const agent = await new Agent({ svids: [svid(authority, 'orders')] }).start();
    let connections = 0;
    const workloadApi = await server((socket) => {
      connections += 1;
      if (connections === 1) return;
      const onward = connect(agent.socket).on('error', () => socket.destroy());
      socket.pipe(onward).pipe(socket);
    });
    expect((await start('orders', { workloadApi })).mesh.getStats().keyThumbprint).toBeDefined();
    expect(connections).toBe(2);
  });

  it('refuses other sources beside it, and what is no socket', async () => {
    const files = new Authority().issue('orders');
    const workloadApi = 'unix:///run/spire/agent.sock';
    for (const certificate of [
      { workloadApi, ...files },
      { workloadApi, authority: { service: 'identity' } },
      { workloadApi: 'tcp://127.0.0.1:8081' },
      { workloadApi: true },
    ]) {
      expect(await errorOf(start('orders', certificate))).toMatchObject({ reason: 'CONFIG' });
    }
  });
});
