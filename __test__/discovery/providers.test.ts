// Instances that come and go while calls run, from providers of several kinds.
import { describe, expect, it } from 'vitest';
import {
  MeshError,
  StaticDiscovery,
  type DiscoveryProvider,
  type Instance,
  type MeshConfig,
  type SecureMesh,
  type SecureMeshClient,
} from '../../js/index.js';
import { entry, make, serve } from '../support/meshes.js';
import { deferred, errorOf, sleep, until } from '../support/promises.js';

/** A provider whose reports a test gives by hand. */
class Hand implements DiscoveryProvider {
  readonly watched: string[] = [];
  readonly updates = new Map<string, (instances: readonly Instance[]) => void>();
  signal: AbortSignal | undefined;

  watch(
    serviceId: string,
    update: (instances: readonly Instance[]) => void,
    signal: AbortSignal,
  ): void {
    this.watched.push(serviceId);
    this.updates.set(serviceId, update);
    this.signal = signal;
  }

  report(...instances: unknown[]): void {
    this.updates.get('server')?.(instances as Instance[]);
  }
}

/** A provider that says when its source is away. */
class Away extends Hand {
  tell: ((away: boolean) => void) | undefined;

  override watch(
    serviceId: string,
    update: (instances: readonly Instance[]) => void,
    signal: AbortSignal,
    away?: (away: boolean) => void,
  ): void {
    super.watch(serviceId, update, signal);
    this.tell = away;
  }
}

/** An instance that answers with its name. */
const instance = (name: string, extra: Partial<MeshConfig> = {}): Promise<SecureMesh> =>
  serve('server', (mesh) => mesh.handle('who', () => name), extra);

const at = (mesh: SecureMesh): { host: string; port: number } => {
  const { host, port } = entry('server', mesh);
  return { host, port };
};

async function caller(
  discovery: MeshConfig['discovery'],
  extra: Partial<MeshConfig> = {},
): Promise<{ mesh: SecureMesh; client: SecureMeshClient }> {
  const mesh = make('caller', { discovery, ...extra });
  await mesh.initialize();
  return { mesh, client: mesh.connect('server') };
}

/** The instances that answer calls. */
async function answering(client: SecureMeshClient, calls = 40): Promise<string[]> {
  const names = new Set<string>();
  for (let call = 0; call < calls; call += 1) names.add(await client.call('who'));
  return [...names].sort();
}

/** Waits until just these instances answer. A new one has few calls at first. */
async function all(client: SecureMeshClient, names: string[]): Promise<void> {
  const end = Date.now() + 10_000;
  while (Date.now() < end) {
    if ((await answering(client)).join() === names.join()) return;
  }
  throw new Error(`${names.join()} never answered alone`);
}

describe('a provider of discovery', () => {
  it('is asked at the first call, once, and the calls wait for its answer', async () => {
    const hand = new Hand();
    const server = await instance('a');
    const { mesh, client } = await caller({ provider: hand });
    expect(hand.watched).toEqual([]);
    const calls = Array.from({ length: 20 }, () => client.call('who'));
    await until(() => hand.watched.length > 0);
    await sleep(50);
    hand.report(at(server));
    expect(new Set(await Promise.all(calls))).toEqual(new Set(['a']));
    expect(hand.watched).toEqual(['server']);
    expect(mesh.getStats().discovery?.['server']).toMatchObject({ instances: 1 });
    await mesh.cleanup();
    expect(hand.signal?.aborted).toBe(true);
  });

  it('that does not answer leaves calls UNAVAILABLE in their time, and not unknown', async () => {
    const { client } = await caller({ provider: new Hand() });
    const error = await errorOf(client.call('who', undefined, { timeoutMs: 200 }));
    expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'NO_INSTANCE', retryable: true });
  });

  it('that reports no instance is believed, until it reports one', async () => {
    const hand = new Hand();
    const { client } = await caller({ provider: hand });
    const first = errorOf(client.call('who'));
    await until(() => hand.watched.length > 0);
    hand.report();
    expect(await first).toMatchObject({ code: 'UNAVAILABLE', reason: 'NO_INSTANCE' });
    hand.report(at(await instance('late')));
    expect(await client.call('who')).toBe('late');
  });

  it('adds instances, and removed ones finish the calls they have', async () => {
    const hand = new Hand();
    const gate = deferred<string>();
    const started = deferred<void>();
    const [a, b] = [await instance('a'), await instance('b')];
    a.handle('slow', () => {
      started.resolve();
      return gate.promise;
    });
    const { mesh, client } = await caller({ provider: hand });
    const first = client.call('slow');
    await until(() => hand.watched.length > 0);
    hand.report(at(a));
    await started.promise;
    hand.report(at(b));
    expect(await answering(client)).toEqual(['b']);
    gate.resolve('finished');
    expect(await first).toBe('finished');
    await until(() => mesh.getStats().activeSessions === 1);
    hand.report(at(a), at(b));
    await all(client, ['a', 'b']);
  });

  it('changes its list all the time, and no call is lost', async () => {
    const hand = new Hand();
    const servers = await Promise.all(['a', 'b', 'c'].map((name) => instance(name)));
    const { client } = await caller({ provider: hand });
    let running = true;
    let answered = 0;
    const load = Array.from({ length: 8 }, async () => {
      while (running) {
        await client.call('who');
        answered += 1;
      }
    });
    await until(() => hand.watched.length > 0);
    for (let round = 0; round < 60; round += 1) {
      hand.report(...servers.filter((_, index) => index !== round % 3).map(at));
      await sleep(10);
    }
    running = false;
    await Promise.all(load);
    expect(answered).toBeGreaterThan(60);
  });

  it('cannot harm with a list that is wrong: the previous one stays', async () => {
    const hand = new Hand();
    const logged: string[] = [];
    const keep = (message: string): void => void logged.push(message);
    const logger = { debug: keep, info: keep, warn: keep, error: keep };
    const server = await instance('a');
    const { mesh, client } = await caller({ provider: hand }, { logger });
    const first = client.call('who');
    await until(() => hand.watched.length > 0);
    hand.report(at(server));
    await first;
    const good = at(server);
    const half = 'x😀'.slice(0, 2);
    const cyclic: any = { ...good };
    cyclic.metadata = { cyclic };
    const wrong: [unknown, RegExp][] = [
      ['all', /instances must be an array/],
      [Array.from({ length: 1001 }, () => good), /at most 1000, got 1001/],
      [[null], /instances\[0\] must be an object/],
      [[good, { host: 'a b', port: 1 }], /instances\[1\]\.host must be/],
      [[{ host: 'a', port: 70_000 }], /instances\[0\]\.port must be/],
      [[{ ...good, weight: -1 }], /instances\[0\]\.weight must be/],
      [[{ ...good, metadata: { a: 1 } }], /instances\[0\]\.metadata must be/],
      [[cyclic], /instances\[0\]\.metadata\.cyclic\..* is nested too deeply/],
      [[good, { ...good, host: half }], /instances\[1\]\.host has half of a character/],
      [[{ ...good, zone: half }], /instances\[0\]\.zone has half of a character/],
      [
        [{ ...good, metadata: { [half]: 'a' } }],
        /instances\[0\]\.metadata has a name with half of a character/,
      ],
      [[{ ...good, metadata: new Map([['a', 'b']]) }], /metadata must be a plain object/],
      [[{ ...good, weight: Number.NaN }], /instances\[0\]\.weight must be a finite number/],
    ];
    for (const [list, text] of wrong) {
      hand.updates.get('server')?.(list as Instance[]);
      expect(mesh.getStats().discovery?.['server']?.error).toMatch(text);
      expect(logged.at(-1)).toMatch(text);
      expect(await client.call('who')).toBe('a');
    }
    expect(mesh.getStats().discovery?.['server']).toMatchObject({ instances: 1 });
    await sleep(20);
    expect((await mesh.healthCheck()).details['discovery'].server.ageMs).toBeGreaterThan(10);
    hand.report(good);
    expect(mesh.getStats().discovery?.['server']?.error).toBeUndefined();
  });

  it('that fails is asked again', async () => {
    const server = await instance('a');
    let asked = 0;
    const provider: DiscoveryProvider = {
      async watch(_, update) {
        asked += 1;
        if (asked === 1) throw new Error('not yet');
        update([at(server)]);
      },
    };
    const { client } = await caller({ provider });
    expect(await client.call('who')).toBe('a');
    expect(asked).toBe(2);
  });

  it('is no authority over keys: a pin holds for the instance that it reports', async () => {
    const hand = new Hand();
    const impostor = await instance('impostor');
    const other = await serve('other', () => {});
    const { client } = await caller({
      services: [{ id: 'server', publicKey: other.publicKey() }],
      provider: hand,
    });
    const call = errorOf(client.call('who'));
    await until(() => hand.watched.length > 0);
    hand.report({ ...at(impostor), publicKey: impostor.publicKey() });
    expect(await call).toBeInstanceOf(MeshError);
  });

  it('of several the first that knows the service counts', async () => {
    const [first, second] = [new Hand(), new Hand()];
    const [a, b] = [await instance('a'), await instance('b')];
    const { client } = await caller({ providers: [first, second] });
    const call = client.call('who');
    await until(() => second.watched.length > 0);
    second.report(at(b));
    expect(await call).toBe('b');
    first.report(at(a));
    expect(await answering(client)).toEqual(['a']);
    first.report();
    expect(await answering(client)).toEqual(['b']);
  });

  it('is checked', () => {
    const refused = (discovery: any): string => {
      try {
        make('caller', { discovery });
      } catch (error) {
        return (error as MeshError).message;
      }
      return 'accepted';
    };
    expect(refused({ provider: 'zookeeper' })).toMatch(/discovery\.provider must be one of 'file'/);
    expect(refused({ provider: {} })).toMatch(/discovery\.provider must be 'file', 'dns'/);
    expect(refused({ provider: new Hand(), providers: [] })).toMatch(/exclude each other/);
    expect(refused({ providers: [] })).toMatch(/discovery\.providers must be an array of 1…8/);
    expect(refused({ providers: [new Hand(), 1] })).toMatch(/discovery\.providers\[1\]/);
    expect(refused({ advertise: { host: 'a' } })).toMatch(/give discovery\.provider too/);
    expect(refused({ provider: new Hand(), advertise: { host: '0.0.0.0' } })).toMatch(
      /discovery\.advertise\.host/,
    );
    expect(refused({ provider: new Hand(), advertise: { host: 'a', port: 0 } })).toMatch(
      /discovery\.advertise\.port/,
    );
  });
});

describe('StaticDiscovery as a provider', () => {
  it('takes effect on live calls', async () => {
    const [a, b] = [await instance('a'), await instance('b')];
    const registry = new StaticDiscovery([{ id: 'server', ...at(a) }]);
    const { client } = await caller({ provider: registry });
    expect(await answering(client)).toEqual(['a']);
    registry.register({ id: 'server', ...at(b) });
    await registry.updateServiceHealth('server', 'unhealthy', at(a));
    expect(await answering(client)).toEqual(['b']);
    await registry.updateServiceHealth('server', 'healthy', at(a));
    await all(client, ['a', 'b']);
    await registry.removeService('server', at(b));
    expect(await answering(client)).toEqual(['a']);
    await registry.removeService('server');
    expect(await errorOf(client.call('who'))).toMatchObject({ reason: 'NO_INSTANCE' });
  });
});

describe('registration', () => {
  it('happens once the service listens, and is taken back first of all', async () => {
    const events: string[] = [];
    const server: { mesh?: SecureMesh } = {};
    const provider: DiscoveryProvider = {
      watch() {},
      async register(serviceId, { port }) {
        events.push(`${serviceId} ${port === server.mesh?.address()?.port}`);
        return async () => {
          await sleep(20);
          events.push(`gone, ${(await server.mesh?.healthCheck())?.status}`);
        };
      },
    };
    server.mesh = make('server', { port: 0, discovery: { provider } });
    await server.mesh.initialize();
    expect(events).toEqual(['server true']);
    await server.mesh.drain();
    expect(events).toEqual(['server true', 'gone, degraded']);
  });

  it('needs an address that others can use', async () => {
    const registered: Instance[] = [];
    const provider: DiscoveryProvider = {
      watch() {},
      async register(_, self) {
        registered.push(self);
        return async () => {};
      },
    };
    const listening = { port: 0, host: '0.0.0.0' };
    const mesh = make('server', { ...listening, discovery: { provider } });
    expect(await errorOf(mesh.initialize())).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'CONFIG',
      message: expect.stringMatching(/discovery\.advertise/) as string,
    });
    const advertise = { host: 'server.example' };
    const other = make('server', { ...listening, discovery: { provider, advertise } });
    await other.initialize();
    expect(registered).toEqual([{ host: 'server.example', port: other.address()?.port }]);
  });
});

describe('waitForServices', () => {
  it('and calls ask the provider of a mesh with an admin port too', async () => {
    const hand = new Hand();
    const server = await instance('a');
    const { mesh, client } = await caller({ provider: hand }, { admin: { port: 0 } });
    const waiting = mesh.waitForServices(['server'], { timeoutMs: 5000 });
    await until(() => hand.watched.length > 0);
    hand.report(at(server));
    await waiting;
    expect(await client.call('who')).toBe('a');
  });

  it('resolves when each service has an instance', async () => {
    const hand = new Hand();
    const server = await instance('a');
    const { mesh } = await caller({
      services: [{ id: 'fixed', host: 'localhost', port: 1 }],
      provider: hand,
    });
    const waiting = mesh.waitForServices(['server', 'fixed'], { timeoutMs: 5000 });
    await until(() => hand.watched.length > 0);
    hand.report();
    expect(await Promise.race([waiting.then(() => 'there'), sleep(50).then(() => 'not')])).toBe(
      'not',
    );
    hand.report(at(server));
    await waiting;
    await mesh.waitForServices(['server']);
  });

  it('ends with its time, its signal, or when nobody can report the service', async () => {
    const { mesh } = await caller({ provider: new Hand() });
    expect(await errorOf(mesh.waitForServices(['server'], { timeoutMs: 50 }))).toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'NO_INSTANCE',
    });
    const signal = AbortSignal.timeout(50);
    expect(await errorOf(mesh.waitForServices(['server'], { signal }))).toMatchObject({
      code: 'CANCELLED',
    });
    const { mesh: alone } = await caller({ services: [] });
    expect(await errorOf(alone.waitForServices(['server']))).toMatchObject({
      code: 'NOT_FOUND',
      reason: 'UNKNOWN_SERVICE',
    });
  });
});

describe('discovery.maxStaleMs', () => {
  it('ends the use of a list whose source has been away for so long', async () => {
    const provider = new Away();
    const { mesh, client } = await caller({ provider, maxStaleMs: 1_000 });
    const server = await instance('one');
    const first = client.call('who');
    await until(() => provider.watched.length === 1);
    provider.report(at(server));
    expect(await first).toBe('one');
    provider.tell?.(true);
    expect(await client.call('who')).toBe('one');
    await sleep(1_200);
    const error = await errorOf(client.call('who'));
    expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'DISCOVERY_STALE' });
    expect(error.message).toContain('discovery.maxStaleMs is 1000');
    expect(mesh.getStats().discovery?.['server']?.staleMs).toBeGreaterThan(1_000);
    expect((await mesh.healthCheck()).status).toBe('degraded');
    provider.tell?.(false);
    expect(await client.call('who')).toBe('one');
    expect(mesh.getStats().discovery?.['server']?.staleMs).toBeNull();
    expect((await mesh.healthCheck()).status).toBe('healthy');
    // A report says that the source answers.
    provider.tell?.(true);
    await sleep(1_200);
    provider.report(at(server));
    expect(await client.call('who')).toBe('one');
  });

  it('counts from the failure of a provider', async () => {
    const server = await instance('one');
    let asked = 0;
    const provider: DiscoveryProvider = {
      watch: async (_, update) => {
        asked += 1;
        if (asked > 1) throw new Error('away');
        update([at(server)]);
        await sleep(50);
        throw new Error('away');
      },
    };
    const { client } = await caller({ provider, maxStaleMs: '1s' });
    expect(await client.call('who')).toBe('one');
    await sleep(1_300);
    expect(await errorOf(client.call('who'))).toMatchObject({ reason: 'DISCOVERY_STALE' });
  });

  it('is no limit by default', async () => {
    const provider = new Away();
    const { client } = await caller({ provider });
    const first = client.call('who');
    await until(() => provider.watched.length === 1);
    provider.report(at(await instance('one')));
    await first;
    provider.tell?.(true);
    await sleep(1_200);
    expect(await client.call('who')).toBe('one');
  });
});

it('asks the provider of a mesh with an admin port too', async () => {
  const provider = new Hand();
  const { client } = await caller({ provider }, { admin: { port: 0, host: '127.0.0.1' } });
  const first = client.call('who');
  await until(() => provider.watched.length === 1);
  provider.report(at(await instance('one')));
  expect(await first).toBe('one');
});
