// The authority away for longer than the time of a renewal, and back before the certificates end.
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { CertificateAuthority, SecureMesh } from '../../js/index.js';
import { run } from '../support/processes.js';
import { sleep } from '../support/promises.js';
import { scratch } from '../support/servers.js';

/** The shortest lifetime. A renewal comes at 40 to 50 % of it, and the last third begins after 40 s. */
const LIFETIME = 60_000;

interface Line {
  level: string;
  event: unknown;
  at: number;
}

it('services call each other while the authority is away, and renew their certificates when it is back', async () => {
  const [directory, keysDir] = [join(scratch(), 'ca'), join(scratch(), 'keys')];
  const settings = { directory, keysDir, lifetime: LIFETIME };
  const first = run('identity', settings);
  const { port } = await first.next();
  const authority = await CertificateAuthority.open(directory);
  const lines: Record<string, Line[]> = { orders: [], gateway: [] };
  const make = async (
    serviceId: 'orders' | 'gateway',
    extra: object,
    known: object[],
  ): Promise<SecureMesh> => {
    const { token } = await authority.token(serviceId);
    // The service with the authority notices what other processes record within 0.2 s.
    await sleep(500);
    const note = (level: string) => (_: string, fields?: { event?: unknown }) =>
      lines[serviceId]!.push({ level, event: fields?.event, at: Date.now() });
    const certificate = { authority: { service: 'identity', joinToken: token } };
    const mesh = new SecureMesh({
      ...{ serviceId, host: '127.0.0.1', ...extra, paths: { keysDir: join(scratch(), 'keys') } },
      security: { rsaKeySize: 2048, certificate },
      discovery: { services: [{ id: 'identity', host: '127.0.0.1', port }, ...known] as never },
      logger: { info: note('info'), warn: note('warn'), error: note('error') },
    });
    onTestFinished(() => mesh.cleanup());
    mesh.handle('get', () => 1);
    await mesh.initialize();
    return mesh;
  };
  const orders = await make('orders', { port: 0 }, []);
  const there = { id: 'orders', host: '127.0.0.1', port: orders.address()!.port };
  const begun = Date.now();
  const gateway = await make('gateway', {}, [there]);
  let calls = 0;
  let running = true;
  const lost: unknown[] = [];
  const load = (async () => {
    const client = gateway.connect('orders');
    for (; running; calls += 1) {
      await client.call('get').catch((error: unknown) => lost.push(error));
      await sleep(20);
    }
  })();
  const of = (id: string, event: string): Line[] =>
    lines[id]!.filter((line) => line.event === event);
  const end = async (): Promise<number> =>
    (await gateway.healthCheck()).details['certificate'] as never;
  const before = await end();
  first.kill();
  await first.ended;

  // The renewal comes due, and finds nobody: a warning at first, and an error in the last third.
  for (const id of ['orders', 'gateway']) {
    await expect
      .poll(() => of(id, 'certificate.renewal').length, { timeout: 45_000 })
      .toBeGreaterThan(0);
  }
  const warned = of('gateway', 'certificate.renewal')[0]!;
  expect(warned.level).toBe('warn');
  expect(warned.at - begun).toBeGreaterThan(0.3 * LIFETIME);
  const sick = await gateway.healthCheck();
  expect(sick.status).toBe('degraded');
  expect(sick.details['renewalProblem']).toContain('could not be renewed');
  await expect
    .poll(() => of('gateway', 'certificate.renewal').some(({ level }) => level === 'error'), {
      timeout: 30_000,
    })
    .toBe(true);
  expect(Date.now() - begun).toBeGreaterThan(0.55 * LIFETIME);

  // It is back, at its port and with its directory.
  const second = run('identity', { ...settings, port });
  await second.next();
  for (const id of ['orders', 'gateway']) {
    await expect
      .poll(() => of(id, 'certificate.renewed').length, { timeout: LIFETIME })
      .toBeGreaterThan(0);
  }
  const told = calls;
  // The certificates of the beginning have ended.
  await sleep(Math.max(0, begun + LIFETIME + 1_000 - Date.now()));
  expect(await end()).not.toEqual(before);
  expect((await gateway.healthCheck()).details['renewalProblem']).toBeUndefined();
  running = false;
  await load;
  expect(lost).toEqual([]);
  expect(calls).toBeGreaterThan(told);
}, 150_000);
