// Calls under the fake timers of common libraries.
import * as sinon from '@sinonjs/fake-timers';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { pair } from '../support/meshes.js';
import { run } from '../support/processes.js';
import { errorOf } from '../support/promises.js';

afterEach(() => vi.useRealTimers());

const everything = [
  'setTimeout',
  'clearTimeout',
  'setInterval',
  'clearInterval',
  'setImmediate',
  'clearImmediate',
  'performance',
  'queueMicrotask',
  'Date',
] as const;

const calls = async (): Promise<void> => {
  const { client } = await pair(
    (mesh) =>
      mesh
        .handle('echo', (x) => x)
        .handle('late', { timeoutMs: 50 }, () => new Promise(() => {}))
        .handle('count', async function* (n: number) {
          for (let i = 0; i < n; i += 1) yield i;
        }),
    {},
    { resilience: { retry: { maxAttempts: 2, initialDelay: 10 } } },
  );
  expect(await client.call('echo', 1)).toBe(1);
  // More than a batch, so that several turns of the event loop are needed.
  const many = Array.from({ length: 300 }, (_, n) => n);
  expect(await Promise.all(many.map((n) => client.call('echo', n)))).toEqual(many);
  let items = 0;
  for await (const item of client.serverStream('count', 500)) expect(item).toBe(items++);
  expect(items).toBe(500);
  expect(await errorOf(client.call('late', 1, { timeoutMs: 2_000 }))).toMatchObject({
    code: 'DEADLINE_EXCEEDED',
  });
};

describe('calls are made, answered and ended in time', () => {
  it('under the fake timers of vitest', async () => {
    vi.useFakeTimers({ toFake: [...everything] });
    await calls();
  });

  it('under the fake timers of sinon, which jest has too', async () => {
    // Without `nextTick`: the channel to the test runner needs that of the process, and Jest replaces it only
    // in its sandbox.
    const clock = sinon.install({ toFake: [...everything] });
    try {
      await calls();
    } finally {
      clock.uninstall();
    }
  });

  it('where the globals were faked before the package was loaded, as Jest can', async () => {
    const { ended, told } = run('faked-globals');
    const { code, output } = await ended;
    expect(code, output).toBe(0);
    expect(told()[0]?.what).toEqual({ answers: 300, code: 'DEADLINE_EXCEEDED' });
  });
});
