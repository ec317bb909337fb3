// How calls end early: cancelled, or out of time.
import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { type Context } from '../../js/index.js';
import { call, entry, pair, serve } from '../support/meshes.js';
import { deferred, errorOf, sleep, until } from '../support/promises.js';

describe('cancellation', () => {
  it('before the call sends nothing', async () => {
    let requests = 0;
    const { client } = await pair((mesh) => mesh.handle('count', () => (requests += 1)));
    const reason = new Error('changed my mind');
    const error = await errorOf(client.call('count', 1, { signal: AbortSignal.abort(reason) }));
    expect(error).toMatchObject({ code: 'CANCELLED', reason: 'CANCELLED', remote: false });
    expect(error.cause).toBe(reason);
    expect(await client.call('count')).toBe(1);
  });

  it('during the call reaches the handler, and leaves no listener behind', async () => {
    const started = deferred<Context>();
    const { client } = await pair((mesh) =>
      mesh
        .handle('wait', (_, ctx) => {
          started.resolve(ctx);
          return new Promise(() => {});
        })
        .handle('echo', (x) => x),
    );
    const controller = new AbortController();
    const waiting = client.call('wait', 1, { signal: controller.signal });
    const context = await started.promise;
    expect(context.signal.aborted).toBe(false);
    controller.abort();
    expect(await errorOf(waiting)).toMatchObject({ code: 'CANCELLED' });
    await until(() => context.signal.aborted);
    expect(context.signal.reason).toMatchObject({ code: 'CANCELLED', reason: 'CANCELLED' });

    const { signal } = new AbortController();
    await client.call('echo', 1, { signal });
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
  });

  it('reaches the calls a handler makes', async () => {
    const inner = deferred<Context>();
    const a = await serve('a', (mesh) =>
      mesh.handle('wait', (_, ctx) => {
        inner.resolve(ctx);
        return new Promise(() => {});
      }),
    );
    const b = await serve('b', (mesh) => mesh.handle('relay', (_, ctx) => ctx.call('a', 'wait')), {
      discovery: { services: [entry('a', a)] },
    });
    const { client } = await call(b);
    const controller = new AbortController();
    const relayed = client.call('relay', 1, { signal: controller.signal });
    const context = await inner.promise;
    controller.abort();
    expect(await errorOf(relayed)).toMatchObject({ code: 'CANCELLED' });
    await until(() => context.signal.aborted);
  });

  it('makes a late answer be dropped', async () => {
    const gate = deferred();
    const started = deferred();
    const { client, server } = await pair((mesh) =>
      mesh
        .handle('late', async () => {
          started.resolve();
          await gate.promise;
          return 'late';
        })
        .handle('echo', (x) => x),
    );
    const controller = new AbortController();
    const waiting = errorOf(client.call('late', 1, { signal: controller.signal }));
    await started.promise;
    controller.abort();
    await waiting;
    await client.call('echo', 1);
    const before = server.getStats().messages.sent;
    gate.resolve();
    await sleep(20);
    expect(server.getStats().messages.sent).toBe(before);
    expect(await client.call('echo', 2)).toBe(2);
  });
});

describe('deadlines', () => {
  it('end a call whose handler never answers, on both sides', async () => {
    const started = deferred<Context>();
    const { client } = await pair((mesh) =>
      mesh.handle('never', (_, ctx) => {
        started.resolve(ctx);
        return new Promise(() => {});
      }),
    );
    await errorOf(client.call('none'));
    const begin = performance.now();
    const error = await errorOf(client.call('never', 1, { timeoutMs: 150 }));
    expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED', reason: 'DEADLINE' });
    expect(performance.now() - begin).toBeGreaterThan(140);
    expect(performance.now() - begin).toBeLessThan(1000);
    const context = await started.promise;
    await until(() => context.signal.aborted);
    expect(context.signal.reason).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(context.timeoutMs()).toBe(0);
  });

  it('are told to the handler, 10 s without one', async () => {
    const { client } = await pair((mesh) => mesh.handle('left', (_, ctx) => ctx.timeoutMs()));
    const byDefault = await client.call<unknown, number>('left');
    expect(byDefault).toBeGreaterThan(9000);
    expect(byDefault).toBeLessThanOrEqual(10_000);
    const asked = await client.call<unknown, number>('left', 1, { timeoutMs: 60_000 });
    expect(asked).toBeGreaterThan(59_000);
  });

  it('can be shorter for a handler than for its caller', async () => {
    const { client } = await pair((mesh) =>
      mesh.handle('slow', { timeoutMs: 50 }, () => new Promise(() => {})),
    );
    const error = await errorOf(client.call('slow', 1, { timeoutMs: 5000 }));
    expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED', reason: 'DEADLINE', remote: true });
  });

  it('are inherited by the calls a handler makes: the smaller wins', async () => {
    const a = await serve('a', (mesh) => mesh.handle('left', (_, ctx) => ctx.timeoutMs()));
    const b = await serve(
      'b',
      (mesh) =>
        mesh.handle('relay', async (timeoutMs: number | null, ctx) =>
          ctx.connect('a').call('left', 1, timeoutMs === null ? {} : { timeoutMs }),
        ),
      { discovery: { services: [entry('a', a)] } },
    );
    const { client } = await call(b);
    const relay = (inner: number | null, outer: number): Promise<number> =>
      client.call('relay', inner, { timeoutMs: outer });
    expect(await relay(null, 2000)).toBeLessThanOrEqual(2000);
    expect(await relay(500, 2000)).toBeLessThanOrEqual(500);
    expect(await relay(30_000, 2000)).toBeLessThanOrEqual(2000);
    const untouched = await relay(null, 60_000);
    expect(untouched).toBeGreaterThan(9000);
    expect(untouched).toBeLessThanOrEqual(10_000);
  });
});
