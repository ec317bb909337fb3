// Several processes on one port.
import { expect, it } from 'vitest';
import { config, keysDir, make } from '../support/meshes.js';
import { run } from '../support/processes.js';
import { errorOf, sleep } from '../support/promises.js';
import { freePort } from '../support/servers.js';
import { SecureMesh } from '../../js/index.js';

// Only Linux spreads connections over the sockets of a port: macOS gives them all to one, Windows has no such option.
it.skipIf(process.platform !== 'linux')(
  'four workers on one port are restarted one after the other under load, and no call fails',
  async () => {
    const port = await freePort();
    const workers = run('cluster', { port });
    const { ready } = await workers.next();
    const callers = await Promise.all(
      Array.from({ length: 4 }, async (_, n) => {
        const services = [{ id: 'server', host: '127.0.0.1', port }];
        const mesh = make(`caller-${n}`, { discovery: { services } });
        await mesh.initialize();
        return mesh.connect('server');
      }),
    );
    const pids = new Set<number>();
    const failed: unknown[] = [];
    let calls = 0;
    const rolled = (): boolean => workers.told().length > 1;
    await Promise.all(
      callers.map(async (client) => {
        while (!rolled()) {
          try {
            pids.add(await client.call('pid', undefined, { idempotent: true }));
            calls += 1;
          } catch (error) {
            failed.push(error);
          }
          await sleep(1);
        }
      }),
    );
    expect(failed).toEqual([]);
    expect(calls).toBeGreaterThan(500);
    const last = workers.told()[1]?.what.rolled as number[];
    for (const client of callers) expect(last).toContain(await client.call('pid'));
    expect([...pids].filter((pid) => !ready.includes(pid) && !last.includes(pid))).toEqual([]);
  },
  60_000,
);

it('a port in use is an error that names the option', async () => {
  const port = await freePort();
  const first = make('server', { port, host: '127.0.0.1' });
  await first.initialize();
  for (const reusePort of [false, true]) {
    const second = new SecureMesh(
      config('other', { port, host: '127.0.0.1', reusePort, paths: { keysDir } }),
    );
    const error = await errorOf(second.initialize());
    expect(error).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'LISTEN' });
    expect(error.message).toMatch(/reusePort: true/);
    await second.cleanup();
  }
});
