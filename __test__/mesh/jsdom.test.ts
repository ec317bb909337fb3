// The package in a test environment of jsdom, as in jest and vitest. The globals are those of a window, so
// timers are numbers and signals are not Node's. The window is that of jsdom, except that its timers call the
// global ones.
import * as timers from 'node:timers';
import { JSDOM } from 'jsdom';
import { afterAll, expect, it, vi } from 'vitest';

const { window } = new JSDOM('');
const running = new Map<number, NodeJS.Timeout>();
let last = 0;
const numbered = (start: typeof timers.setTimeout) => (fire: () => void, ms?: number) => {
  running.set((last += 1), start(fire, ms));
  return last;
};
const end = (id: number | undefined): void => {
  timers.clearTimeout(running.get(id ?? 0));
  running.delete(id ?? 0);
};
vi.stubGlobal('setTimeout', numbered(timers.setTimeout));
vi.stubGlobal('setInterval', numbered(timers.setInterval as typeof timers.setTimeout));
vi.stubGlobal('clearTimeout', end);
vi.stubGlobal('clearInterval', end);
const names = ['AbortController', 'AbortSignal', 'Event', 'EventTarget'] as const;
for (const name of names) vi.stubGlobal(name, window[name]);
afterAll(() => {
  vi.unstubAllGlobals();
  window.close();
});

it('calls and standalone classes work where timers are numbers', async () => {
  expect(setTimeout(() => {}, 1)).toBeTypeOf('number');
  const { HealthMonitor, KeyRotation, SessionManager, TimeoutManager } =
    await import('../../js/index.js');
  const { pair } = await import('../support/kit.js');
  const { errorOf } = await import('../support/promises.js');
  const { client } = await pair(
    (mesh) =>
      mesh
        .handle('echo', { timeoutMs: 5_000 }, async (x: unknown) => x)
        .handle('wait', (_input, ctx) => new Promise((resolve) => (ctx.signal.onabort = resolve))),
    { monitoring: { enabled: true, adapters: [] } },
  );
  expect(await client.call('echo', 1)).toBe(1);
  const controller = new AbortController();
  expect(controller).toBeInstanceOf(window.AbortController);
  const waiting = errorOf(client.call('wait', 1, { signal: controller.signal }));
  controller.abort(new Error('enough'));
  expect(await waiting).toMatchObject({ code: 'CANCELLED' });

  const sessions = new SessionManager({ timeout: 1_000 });
  sessions.createSession('a', 'b');
  const monitor = new HealthMonitor(1_000);
  monitor.start();
  monitor.stop();
  const rotation = new KeyRotation(
    'a',
    { rotate: async () => '', getThumbprint: () => '' },
    { rotationInterval: '1h', autoRotate: true },
  );
  rotation.start();
  rotation.stop();
  await expect(
    new TimeoutManager({ timeout: 5 }).execute(() => new Promise(() => {})),
  ).rejects.toThrow();
});
