// Quotas of several processes together, in a real Redis that is killed and started again.
import { describe, expect, it } from 'vitest';
import { MeshError, type SecureMeshClient } from '../../js/index.js';
import { make } from '../support/meshes.js';
import { errorOf, sleep, until } from '../support/promises.js';
import { run } from '../support/processes.js';
import { installed, Redis } from '../support/servers.js';

type Process = ReturnType<typeof run>;

const said = (processes: Process[], event: string): number =>
  processes.filter((one) => one.told().some(({ what }) => what.log === event)).length;

/** So many processes of one service, and a client that calls all of them in turn. */
async function start(
  count: number,
  rateLimit: object,
): Promise<{ processes: Process[]; client: SecureMeshClient }> {
  const first = run('quota', { rateLimit });
  const addresses = [await first.next()];
  // The first one has made the key that all share.
  const others = Array.from({ length: count - 1 }, () => run('quota', { rateLimit }));
  for (const other of others) addresses.push(await other.next());
  const services = addresses.map(({ host, port }) => ({ id: 'server', host, port }));
  const mesh = make('caller', {
    discovery: { services },
    balancing: { policy: 'round-robin', ejection: false },
  });
  await mesh.initialize();
  return { processes: [first, ...others], client: mesh.connect('server') };
}

/** Keeps calls under way until told to stop, and counts how they end. */
function load(client: SecureMeshClient, callers = 48) {
  const counts = { granted: 0, refused: 0 };
  const wrong: MeshError[] = [];
  let stopped = false;
  const caller = async (): Promise<void> => {
    while (!stopped) {
      try {
        await client.call('work', undefined, { timeoutMs: 20_000 });
        counts.granted += 1;
      } catch (error) {
        const failure = MeshError.from(error);
        if (failure.reason === 'RATE_LIMITED') counts.refused += 1;
        else {
          wrong.push(failure);
          // A call that fails at once would leave no time to anything else.
          await sleep(50);
        }
      }
    }
  };
  const running = Promise.all(Array.from({ length: callers }, caller));
  return {
    wrong,
    counts,
    /** Grants and calls a second, over so many seconds. */
    async rate(seconds: number): Promise<{ granted: number; offered: number }> {
      const [from, before] = [performance.now(), { ...counts }];
      await sleep(seconds * 1_000);
      const elapsed = (performance.now() - from) / 1_000;
      const granted = (counts.granted - before.granted) / elapsed;
      return { granted, offered: granted + (counts.refused - before.refused) / elapsed };
    },
    async stop(): Promise<void> {
      stopped = true;
      await running;
    },
  };
}

/** Within a twentieth of 1,000 a second; on a machine that cannot offer so many, at most that. */
function expectShared({ granted, offered }: { granted: number; offered: number }): void {
  expect(granted).toBeLessThan(1_050);
  if (offered > 1_200) expect(granted).toBeGreaterThan(950);
}

describe.skipIf(!installed('redis-server'))('resilience.rateLimit.shared', () => {
  it('is one quota for four processes, before Redis is killed and after it returns', async () => {
    const redis = await Redis.start();
    const rateLimit = { maxRequests: 1_000, windowMs: 1_000, shared: redis.url };
    const { processes, client } = await start(4, rateLimit);
    const calls = load(client);
    await until(() => calls.counts.refused > 100, 20_000);
    expectShared(await calls.rate(6));

    await redis.kill();
    await until(() => said(processes, 'quota.away') === 4, 20_000);
    // Each process applies the quota by itself.
    const alone = await calls.rate(2);
    expect(alone.granted).toBeGreaterThan(100);
    expect(alone.granted).toBeLessThan(4_400);

    await redis.start();
    await until(() => said(processes, 'quota.back') === 4, 20_000);
    await sleep(1_500);
    expectShared(await calls.rate(6));
    await calls.stop();
    expect(calls.wrong).toEqual([]);
    for (const one of processes) {
      expect(JSON.stringify(one.told())).not.toContain(redis.password);
    }
  }, 90_000);

  it("refuses requests with onUnavailable: 'deny' while Redis is away", async () => {
    const redis = await Redis.start();
    const rateLimit = {
      maxRequests: 100_000,
      windowMs: 1_000,
      shared: redis.url,
      onUnavailable: 'deny',
    };
    const { processes, client } = await start(1, rateLimit);
    const answered = async (): Promise<boolean> =>
      client.call('work').then(
        () => true,
        () => false,
      );
    let works = false;
    for (let tries = 0; tries < 200 && !works; tries += 1) {
      works = await answered();
      await sleep(20);
    }
    expect(works).toBe(true);
    await redis.kill();
    await until(() => said(processes, 'quota.away') === 1, 20_000);
    const error = await errorOf(client.call('work'));
    expect(error).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'RATE_LIMITED' });
    await redis.start();
    await until(() => said(processes, 'quota.back') === 1, 20_000);
    expect(await answered()).toBe(true);
  }, 60_000);

  it('says what is wrong with its options and never repeats the URL', async () => {
    const refused = (rateLimit: object): Promise<any> =>
      errorOf(
        (async () =>
          make('server', { resilience: { rateLimit: rateLimit as never } }).initialize())(),
      );
    const limit = { maxRequests: 1, windowMs: 1 };
    const wrong = await refused({ ...limit, shared: 'http://user:hunter2@x' });
    expect(wrong.message).toContain('resilience.rateLimit.shared must be a URL');
    expect(wrong.message).not.toContain('hunter2');
    const lone = await refused({ ...limit, onUnavailable: 'deny' });
    expect(lone.message).toContain('resilience.rateLimit.shared must be a URL');
    const word = await refused({ ...limit, shared: 'redis://x', onUnavailable: 'maybe' });
    expect(word.message).toContain('resilience.rateLimit.onUnavailable must be');
  });
});
