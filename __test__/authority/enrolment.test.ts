// Certificates from the built-in authority, which is a process of its own.
import { mkdtempSync, readFileSync, rmSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { CertificateAuthority, SecureMesh, type JoinTokenOptions } from '../../js/index.js';
import { run } from '../support/processes.js';
import { sleep } from '../support/promises.js';

function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-enrolment-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }));
  return directory;
}

interface Running {
  authority: CertificateAuthority;
  directory: string;
  keysDir: string;
  port: number;
  kill: () => void;
}

/** Starts the service with the authority; at the same port if it was there before. */
async function identity(before?: Omit<Running, 'authority' | 'kill'>): Promise<Running> {
  const directory = before?.directory ?? join(scratch(), 'ca');
  const keysDir = before?.keysDir ?? join(scratch(), 'keys');
  const { next, kill } = run('identity', { directory, keysDir, port: before?.port ?? 0 });
  const { port } = await next();
  const authority = await CertificateAuthority.open(directory);
  return { authority, directory, keysDir, port, kill };
}

interface Told {
  said?: string;
  error?: { code: string; reason: string; message: string };
}

function newcomer(
  port: number,
  joinToken: string | undefined,
  id = 'orders',
  keysDir = join(scratch(), 'keys'),
): Promise<Told> {
  return run('newcomer', { id, joinToken, keysDir, port }).next();
}

/** Makes a token. The service with the authority notices what other processes record within 0.2 s. */
async function invite(
  authority: CertificateAuthority,
  serviceId: string,
  options: JoinTokenOptions = {},
): Promise<string> {
  const { token } = await authority.token(serviceId, options);
  await sleep(500);
  return token;
}

const SAID = { said: 'for services with a certificate' };

it('gives a service with a token and an empty directory a certificate, which it keeps', async () => {
  const { authority, port } = await identity();
  const token = await invite(authority, 'orders');
  const keysDir = join(scratch(), 'keys');
  expect(await newcomer(port, token, 'orders', keysDir)).toEqual(SAID);
  expect((await authority.status()).tokens).toBe(0);
  // The second start needs no token.
  expect(await newcomer(port, undefined, 'orders', keysDir)).toEqual(SAID);
}, 60_000);

it('refuses a token that is used up, has ended, is for another service or of another authority', async () => {
  const { authority, port } = await identity();
  const refused = async (token: string | undefined, id?: string): Promise<string> => {
    const { said, error } = await newcomer(port, token, id);
    expect(said).toBeUndefined();
    return `${error?.reason}: ${error?.message}`;
  };
  const token = await invite(authority, 'orders');
  expect(await newcomer(port, token)).toEqual(SAID);
  expect(await refused(token)).toContain('HANDSHAKE_REFUSED');
  expect(await refused(await invite(authority, 'orders'), 'stock')).toContain('JOIN_TOKEN');
  expect(await refused(await invite(authority, 'orders', { ttl: 1 }))).toContain('has ended');
  expect(await refused(undefined)).toContain('no join token');
  const other = await CertificateAuthority.init(join(scratch(), 'ca'), {
    trustDomain: 'shop.example',
  });
  expect(await refused((await other.token('orders')).token)).toContain('HANDSHAKE_REFUSED');
  // A service that was revoked has no tokens.
  const { token: late } = await authority.token('orders');
  await authority.revoke({ serviceId: 'orders' });
  expect(await refused(late)).toContain('HANDSHAKE_REFUSED');
}, 120_000);

it('admits one of ten processes that use a token at once', async () => {
  const { authority, port } = await identity();
  const token = await invite(authority, 'orders');
  const told = await Promise.all(Array.from({ length: 10 }, () => newcomer(port, token)));
  expect(told.filter(({ said }) => said !== undefined)).toHaveLength(1);
  const { issued } = await authority.status();
  // One of them is the authority's own service.
  expect(issued).toBe(2);
}, 120_000);

it('gives no second certificate for a use that was taken before the authority was killed', async () => {
  const first = await identity();
  const token = await invite(first.authority, 'orders');
  const watcher = watch(first.directory, (_event, name) => {
    // The use is on disk, and the certificate is not signed yet, or not sent.
    if (name === 'authority.json') first.kill();
  });
  onTestFinished(() => watcher.close());
  const met = await newcomer(first.port, token);
  watcher.close();
  const kept = JSON.parse(readFileSync(join(first.directory, 'authority.json'), 'utf8'));
  expect(kept.tokens).toMatchObject([{ uses: 0 }]);
  const second = await identity(first);
  const again = await newcomer(second.port, token);
  expect(again.said).toBeUndefined();
  expect([met, again].filter(({ said }) => said !== undefined).length).toBeLessThanOrEqual(1);
}, 120_000);

it('ends the sessions of a revoked service within a second, and renews nothing for it', async () => {
  const { authority, directory, port } = await identity();
  const config = async (serviceId: string) => ({
    serviceId,
    host: '127.0.0.1',
    paths: { keysDir: join(scratch(), 'keys') },
    security: {
      rsaKeySize: 2048 as const,
      certificate: {
        authority: { service: 'identity', joinToken: await invite(authority, serviceId) },
      },
    },
  });
  const known = { id: 'identity', host: '127.0.0.1', port };
  const orders = new SecureMesh({
    ...(await config('orders')),
    port: 0,
    discovery: { services: [known] },
  });
  onTestFinished(() => orders.cleanup());
  orders.handle('get', () => 1);
  await orders.initialize();
  const there = { id: 'orders', host: '127.0.0.1', port: orders.address()!.port };
  const gateway = new SecureMesh({
    ...(await config('gateway')),
    discovery: { services: [known, there] },
  });
  onTestFinished(() => gateway.cleanup());
  await gateway.initialize();
  expect(await gateway.connect('orders').call('get')).toBe(1);
  // The service has asked for the bundle and waits for the next one.
  await expect.poll(() => orders.getStats().peers.length, { timeout: 10_000 }).toBeGreaterThan(1);
  const start = performance.now();
  await (await CertificateAuthority.open(directory)).revoke({ serviceId: 'gateway' });
  await expect
    .poll(
      () =>
        gateway
          .connect('orders')
          .call('get')
          .then(
            () => 'called',
            () => 'refused',
          ),
      {
        timeout: 20_000,
        interval: 20,
      },
    )
    .toBe('refused');
  const took = performance.now() - start;
  // A second where the machine is quiet.
  expect(took).toBeLessThan(5_000);
}, 120_000);
