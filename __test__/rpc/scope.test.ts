// The implicit inheritance of a handler's calls from its request.
import { describe, expect, it } from 'vitest';
import type { CallOptions, Context, SecureMesh } from '../../js/index.js';
import { pair, services } from '../support/kit.js';
import { deferred, errorOf, sleep, until } from '../support/promises.js';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const TRACEPARENT = `00-${TRACE}-00f067aa0ba902b7-01`;

/** The view of the innermost of three services. */
interface Seen {
  timeoutMs: number;
  requestId: string;
  traceparent: string | undefined;
  metadata: Record<string, string>;
}

const look = (_: unknown, ctx: Context): Seen => ({
  timeoutMs: ctx.timeoutMs(),
  requestId: ctx.requestId,
  traceparent: ctx.traceparent,
  metadata: ctx.metadata,
});

/** Three services in a row, each of which calls the next with a client created long before. */
async function chain(options?: CallOptions): Promise<{
  client: ReturnType<SecureMesh['connect']>;
  innermost: SecureMesh;
}> {
  const kit = await services({
    c: { look },
    b: (mesh) => {
      const next = mesh.connect('c');
      mesh.handle('look', () => next.call('look', 1, options));
    },
    a: (mesh) => {
      const next = mesh.connect('b');
      mesh.handle('look', async () => {
        await sleep(30);
        return next.call('look');
      });
    },
  });
  return { client: kit.connect('a'), innermost: kit.mesh('c') };
}

describe('three services deep', () => {
  it('the innermost sees what the outermost has left', async () => {
    const { client } = await chain();
    const seen = await client.call<unknown, Seen>('look', 1, { timeoutMs: 1500 });
    expect(seen.timeoutMs).toBeLessThan(1475);
    expect(seen.timeoutMs).toBeGreaterThan(100);
  });

  it('request id and trace go on, with a new span at each step', async () => {
    const { client } = await chain();
    const metadata = {
      'x-request-id': 'r-1',
      traceparent: TRACEPARENT,
      tracestate: 'vendor=1',
      tenant: 't1',
    };
    const seen = await client.call<unknown, Seen>('look', 1, { metadata });
    expect(seen.requestId).toBe('r-1');
    expect(seen.traceparent).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`));
    expect(seen.traceparent).not.toContain('00f067aa0ba902b7');
    expect(seen.metadata['tracestate']).toBe('vendor=1');
    // Other metadata is for its receiver only.
    expect(seen.metadata).not.toHaveProperty('tenant');
    expect(seen.metadata).not.toHaveProperty('idempotency-key');
  });

  it('a request id made on the way goes on as well', async () => {
    const { client } = await chain();
    const { requestId, traceparent } = await client.call<unknown, Seen>('look');
    expect(requestId).toMatch(/^[\x21-\x7e]+\/\d+$/);
    expect(traceparent).toBeUndefined();
  });

  it('a cancelled call reaches the innermost', async () => {
    const inner = deferred<Context>();
    const kit = await services({
      c: {
        wait: (_: unknown, ctx) => {
          inner.resolve(ctx);
          return new Promise(() => {});
        },
      },
      b: (mesh) => mesh.handle('wait', () => mesh.connect('c').call('wait')),
      a: (mesh) => mesh.handle('wait', () => mesh.connect('b').call('wait')),
    });
    const client = kit.connect('a');
    const controller = new AbortController();
    const waiting = errorOf(client.call('wait', 1, { signal: controller.signal }));
    const context = await inner.promise;
    controller.abort();
    expect(await waiting).toMatchObject({ code: 'CANCELLED' });
    await until(() => context.signal.aborted);
    expect(context.signal.reason).toMatchObject({ code: 'CANCELLED', reason: 'CANCELLED' });
  });
});

describe('a call made by a handler', () => {
  it('inherits nothing when it is detached', async () => {
    const { client } = await chain({ detached: true });
    const metadata = { 'x-request-id': 'r-1', traceparent: TRACEPARENT };
    const seen = await client.call<unknown, Seen>('look', 1, { metadata, timeoutMs: 1500 });
    expect(seen.timeoutMs).toBeGreaterThan(5000);
    expect(seen.requestId).not.toBe('r-1');
    expect(seen.traceparent).toBeUndefined();
  });

  it('may say more than it inherits, and less time', async () => {
    const { client } = await chain({ timeoutMs: 200, metadata: { 'x-request-id': 'own' } });
    const seen = await client.call<unknown, Seen>('look', 1, { timeoutMs: 1500 });
    expect(seen.timeoutMs).toBeLessThanOrEqual(200);
    expect(seen.requestId).toBe('own');
  });

  it('has the mesh’s own time, not more, when its request has more', async () => {
    const kit = await services(
      {
        inner: { look },
        outer: (mesh) => mesh.handle('look', (_, ctx) => ctx.call('inner', 'look')),
      },
      { limits: { callTimeoutMs: 2000 } },
    );
    const client = kit.connect('outer');
    const seen = await client.call<unknown, Seen>('look', 1, { timeoutMs: 60_000 });
    expect(seen.timeoutMs).toBeLessThanOrEqual(2000);
    expect(seen.timeoutMs).toBeGreaterThan(500);
  });

  it('is refused at once when the time of its request is over', async () => {
    const failed = deferred<any>();
    let runs = 0;
    const kit = await services({
      inner: { get: () => (runs += 1) },
      outer: (mesh) =>
        mesh
          .handle('ready', () => true)
          .handle('late', async () => {
            await sleep(150);
            failed.resolve(await errorOf(mesh.connect('inner').call('get')));
          }),
    });
    const client = kit.connect('outer');
    // Otherwise the time may be over before there is a session.
    await client.call('ready');
    await errorOf(client.call('late', 1, { timeoutMs: 60 }));
    expect(await failed.promise).toMatchObject({ code: 'DEADLINE_EXCEEDED', reason: 'DEADLINE' });
    expect(runs).toBe(0);
  });

  it('is free of a request that has been answered', async () => {
    const later = deferred<unknown>();
    const gate = deferred();
    const kit = await services({
      inner: { look },
      outer: (mesh) =>
        mesh.handle('start', () => {
          void gate.promise.then(() => later.resolve(mesh.connect('inner').call('look')));
          return Promise.resolve('started');
        }),
    });
    const client = kit.connect('outer');
    const metadata = { 'x-request-id': 'r-1' };
    expect(await client.call('start', 1, { timeoutMs: 1500, metadata })).toBe('started');
    gate.resolve();
    const seen = (await later.promise) as Seen;
    expect(seen.timeoutMs).toBeGreaterThan(5000);
    expect(seen.requestId).not.toBe('r-1');
  });

  it('inherits in each step of a generator, and in middleware', async () => {
    const fromMiddleware: Seen[] = [];
    const kit = await services({
      inner: { look },
      outer: (mesh) => {
        const next = mesh.connect('inner');
        mesh
          .use(async (_, run) => {
            fromMiddleware.push(await next.call<unknown, Seen>('look'));
            return run();
          })
          .handle('looks', async function* () {
            yield next.call('look');
            await sleep(5);
            yield next.call('look');
          });
      },
    });
    const client = kit.connect('outer');
    const metadata = { 'x-request-id': 'r-7' };
    const seen: Seen[] = [];
    for await (const one of client.serverStream<unknown, Seen>('looks', 1, { metadata }))
      seen.push(one);
    expect([...fromMiddleware, ...seen].map(({ requestId }) => requestId)).toEqual([
      'r-7',
      'r-7',
      'r-7',
    ]);
  });

  it('keeps apart what two requests at once inherit', async () => {
    const kit = await services({
      inner: { look },
      outer: (mesh) => {
        const next = mesh.connect('inner');
        mesh.handle('look', async (wait: number) => {
          await sleep(wait);
          return next.call('look');
        });
      },
    });
    const client = kit.connect('outer');
    const ids = Array.from({ length: 20 }, (_, n) => `r-${n}`);
    const seen = await Promise.all(
      ids.map((id, n) =>
        client.call<number, Seen>('look', (n * 7) % 20, { metadata: { 'x-request-id': id } }),
      ),
    );
    expect(seen.map(({ requestId }) => requestId)).toEqual(ids);
  });
});

describe('a deadline', () => {
  it('is not held up by a handler that ignores it', async () => {
    const gate = deferred();
    const { client, server } = await pair((mesh) =>
      mesh
        .handle('deaf', async () => {
          await gate.promise;
          return 'late';
        })
        .handle('echo', (x) => x),
    );
    const begin = performance.now();
    expect(await errorOf(client.call('deaf', 1, { timeoutMs: 100 }))).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    expect(performance.now() - begin).toBeLessThan(2000);
    await client.call('echo', 1);
    const { sent } = server.getStats().messages;
    gate.resolve();
    await client.call('echo', 2);
    // The late result was not sent.
    expect(server.getStats().messages.sent).toBe(sent + 1);
  });
});

describe('ctx.signal', () => {
  const wait = (): { started: Promise<Context>; setup: (mesh: SecureMesh) => void } => {
    const started = deferred<Context>();
    return {
      started: started.promise,
      setup: (mesh) =>
        void mesh
          .handle('wait', (_, ctx) => {
            started.resolve(ctx);
            return new Promise(() => {});
          })
          .handle('short', { timeoutMs: 50 }, (_, ctx) => {
            started.resolve(ctx);
            return new Promise(() => {});
          }),
    };
  };
  const reasonOf = async (started: Promise<Context>): Promise<unknown> => {
    const { signal } = await started;
    await until(() => signal.aborted);
    return signal.reason;
  };

  it('says that the caller cancelled', async () => {
    const { started, setup } = wait();
    const { client } = await pair(setup);
    const controller = new AbortController();
    const waiting = errorOf(client.call('wait', 1, { signal: controller.signal }));
    await started;
    controller.abort();
    await waiting;
    expect(await reasonOf(started)).toMatchObject({ code: 'CANCELLED', reason: 'CANCELLED' });
  });

  it.each([
    ['wait', { timeoutMs: 80 }],
    ['short', {}],
  ])('says that the deadline passed: %s', async (method, options) => {
    const { started, setup } = wait();
    const { client } = await pair(setup);
    await errorOf(client.call(method, 1, options));
    expect(await reasonOf(started)).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      reason: 'DEADLINE',
    });
  });

  it('says that the caller was lost', async () => {
    const { started, setup } = wait();
    const { client, mesh } = await pair(setup);
    const waiting = errorOf(client.call('wait'));
    await started;
    await mesh.cleanup();
    await waiting;
    expect(await reasonOf(started)).toMatchObject({
      code: 'CANCELLED',
      reason: expect.stringMatching(/^(SESSION_LOST|CANCELLED)$/),
    });
  });

  it('says that the mesh stops', async () => {
    const { started, setup } = wait();
    const { client, server } = await pair(setup);
    const waiting = errorOf(client.call('wait'));
    await started;
    await server.cleanup();
    await waiting;
    expect(await reasonOf(started)).toMatchObject({ code: 'CANCELLED', reason: 'CLOSED' });
  });
});
