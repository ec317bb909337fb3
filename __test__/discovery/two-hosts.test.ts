// Two hosts, of which one goes silent without a word: network namespaces, for root only.
import { describe, expect, it } from 'vitest';
import { MeshError } from '../../js/index.js';
import { make } from '../support/meshes.js';
import { sleep } from '../support/promises.js';
import { canMakeHosts, Host } from '../support/hosts.js';
import { run } from '../support/processes.js';

describe.skipIf(!canMakeHosts())('two hosts (skipped without root and network namespaces)', () => {
  it('lose no idempotent call when one goes silent, and stall for a second at most', async () => {
    const hosts = [new Host(1), new Host(2)];
    const services = [];
    for (const { name, address } of hosts) {
      const { port } = await run('host', { address }, [], {}, ['ip', 'netns', 'exec', name]).next();
      services.push({ id: 'server', host: address, port });
    }
    const mesh = make('caller', { discovery: { services } });
    await mesh.initialize();
    const client = mesh.connect('server');
    for (let calls = 0; calls < 50; calls += 1) await client.call('who');

    const ends: number[] = [];
    const failed: { at: number; error: MeshError }[] = [];
    let stopped = false;
    const caller = async (): Promise<void> => {
      while (!stopped) {
        try {
          await client.call('who', undefined, { idempotent: true, timeoutMs: 2_000 });
          ends.push(performance.now());
        } catch (error) {
          failed.push({ at: performance.now(), error: MeshError.from(error) });
        }
        await sleep(10);
      }
    };
    const callers = Array.from({ length: 10 }, caller);
    await sleep(1_000);
    const silent = performance.now();
    hosts[0]?.fallSilent();
    await sleep(45_000);
    stopped = true;
    await Promise.all(callers);

    // The longest time in which no call was answered, from the silence on.
    const after = [silent, ...ends.filter((at) => at > silent)];
    const longest = Math.max(...after.slice(1).map((at, index) => at - (after[index] as number)));
    expect(failed.filter(({ at }) => at > silent + 2_000)).toEqual([]);
    expect(longest).toBeLessThan(1_000);
    expect(after.length).toBeGreaterThan(1_000);
  }, 120_000);
});
