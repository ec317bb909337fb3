// The inheritance of calls in a scope, for code that answers no request of the mesh.
import { describe, expect, it } from 'vitest';
import type { Context, SecureMesh } from '../../js/index.js';
import { pair, services } from '../support/kit.js';
import { errorOf, sleep, until } from '../support/promises.js';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const TRACEPARENT = `00-${TRACE}-00f067aa0ba902b7-01`;

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

/** A service that looks at its requests, and the mesh and the client of another. */
async function looking(): Promise<{ mesh: SecureMesh; see: () => Promise<Seen> }> {
  const kit = await services({ a: { look }, gateway: {} });
  const mesh = kit.mesh('gateway');
  const client = mesh.connect('a');
  return { mesh, see: () => client.call<unknown, Seen>('look') };
}

describe('calls in a scope', () => {
  it('carry its request id, its metadata and its trace, each with a span of its own', async () => {
    const { mesh, see } = await looking();
    const options = {
      requestId: 'r-1',
      metadata: { tenant: 't1' },
      traceparent: TRACEPARENT,
    };
    const [first, second] = await mesh.scope(options, async () => {
      await sleep(5);
      return [await see(), await see()];
    });
    expect(first).toMatchObject({ requestId: 'r-1', metadata: { tenant: 't1' } });
    for (const { traceparent } of [first, second]) {
      expect(traceparent).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`));
      expect(traceparent).not.toContain('00f067aa0ba902b7');
    }
    expect(first.traceparent).not.toBe(second.traceparent);
  });

  it('share its time', async () => {
    const { mesh, see } = await looking();
    await mesh.scope({ timeoutMs: 1500 }, async () => {
      await sleep(50);
      const { timeoutMs } = await see();
      expect(timeoutMs).toBeLessThan(1460);
      expect(timeoutMs).toBeGreaterThan(100);
    });
    await mesh.scope({ timeoutMs: 30 }, async () => {
      await sleep(60);
      expect(await errorOf(see())).toMatchObject({
        code: 'DEADLINE_EXCEEDED',
        reason: 'DEADLINE',
      });
    });
    // More time than a call has by itself does not lengthen it.
    const seen = await mesh.scope({ timeoutMs: 60_000 }, see);
    expect(seen.timeoutMs).toBeLessThanOrEqual(10_000);
  });

  it('are cancelled with its signal, streams too', async () => {
    const started: Context[] = [];
    const { client, mesh } = await pair((server) =>
      server
        .handle('wait', (_, ctx) => {
          started.push(ctx);
          return new Promise(() => {});
        })
        .handle('drip', async function* (_, ctx) {
          started.push(ctx);
          yield 1;
          await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve));
        }),
    );
    const controller = new AbortController();
    const stream = async (): Promise<void> => {
      for await (const one of client.serverStream('drip')) expect(one).toBe(1);
    };
    const both = mesh.scope({ signal: controller.signal }, () =>
      Promise.all([errorOf(client.call('wait')), errorOf(stream())]),
    );
    await until(() => started.length === 2);
    controller.abort();
    for (const error of await both) expect(error).toMatchObject({ code: 'CANCELLED' });
    await until(() => started.every(({ signal }) => signal.aborted));
  });

  it('may say more than it, and are free of it when they are detached', async () => {
    const { mesh } = await looking();
    const client = mesh.connect('a');
    const options = { requestId: 'r-1', metadata: { tenant: 't1', zone: 'z' }, timeoutMs: 1500 };
    await mesh.scope(options, async () => {
      const own = { metadata: { tenant: 't2' }, timeoutMs: 200 };
      const seen = await client.call<unknown, Seen>('look', 1, own);
      expect(seen.metadata).toMatchObject({ tenant: 't2', zone: 'z' });
      expect(seen.timeoutMs).toBeLessThanOrEqual(200);
      const free = await client.call<unknown, Seen>('look', 1, { detached: true });
      expect(free.requestId).not.toBe('r-1');
      expect(free.metadata).not.toHaveProperty('tenant');
      expect(free.timeoutMs).toBeGreaterThan(5000);
    });
  });

  it('inherit nothing once its function is done, and nothing outside of it', async () => {
    const { mesh, see } = await looking();
    let later: Promise<Seen> | undefined;
    const inside = mesh.scope({ requestId: 'r-1' }, async () => {
      later = sleep(50).then(see);
      return see();
    });
    const outside = see();
    expect((await inside).requestId).toBe('r-1');
    expect((await outside).requestId).not.toBe('r-1');
    expect((await later!).requestId).not.toBe('r-1');
  });
});

describe('a scope', () => {
  it('inside of another adds to it, and has no more time', async () => {
    const { mesh, see } = await looking();
    const outer = { timeoutMs: 1000, requestId: 'outer', metadata: { a: '1', b: '1' } };
    const seen = await mesh.scope(outer, () =>
      mesh.scope({ timeoutMs: 5000, metadata: { b: '2' } }, see),
    );
    expect(seen.requestId).toBe('outer');
    expect(seen.metadata).toMatchObject({ a: '1', b: '2' });
    expect(seen.timeoutMs).toBeLessThanOrEqual(1000);
  });

  it('inside of a handler inherits from its request as well', async () => {
    const kit = await services({
      inner: { look },
      outer: (mesh) => {
        const next = mesh.connect('inner');
        mesh.handle('look', () =>
          mesh.scope({ metadata: { tenant: 't1' }, timeoutMs: 60_000 }, () => next.call('look')),
        );
      },
    });
    const seen = await kit
      .connect('outer')
      .call<unknown, Seen>('look', 1, { timeoutMs: 1500, metadata: { 'x-request-id': 'r-9' } });
    expect(seen).toMatchObject({ requestId: 'r-9', metadata: { tenant: 't1' } });
    expect(seen.timeoutMs).toBeLessThanOrEqual(1500);
  });

  it('leaves out a trace and a request id that are not well formed', async () => {
    const { mesh, see } = await looking();
    const seen = await mesh.scope({ traceparent: '00-zz', requestId: 'a b\n' }, see);
    expect(seen.traceparent).toBeUndefined();
    expect(seen.requestId).toMatch(/^[\x21-\x7e]+\/\d+$/);
    const none = await mesh.scope({ traceparent: undefined, requestId: undefined }, see);
    expect(none.traceparent).toBeUndefined();
  });

  it('returns and throws what its function does', async () => {
    const { mesh } = await looking();
    expect(await mesh.scope({}, () => 7)).toBe(7);
    const error = new Error('mine');
    expect(
      await errorOf(
        mesh.scope({}, () => {
          throw error;
        }),
      ),
    ).toBe(error);
  });

  it.each([
    [{ timeoutMs: 0 }, 'options.timeoutMs'],
    [{ signal: 'x' }, 'options.signal'],
    [{ metadata: { a: 1 } }, 'options.metadata.a'],
    [{ metadata: { 'idempotency-key': 'k' } }, 'idempotency-key'],
    [{ traceparent: 7 }, 'options.traceparent'],
    [{ requestId: ['a'] }, 'options.requestId'],
    [{ timeout: 1 }, 'timeoutMs'],
  ])('refuses %j', async (options, named) => {
    const { mesh } = await looking();
    let ran = false;
    const error = await errorOf(mesh.scope(options as object, () => (ran = true)));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'ARGUMENT' });
    expect((error as Error).message).toContain(named);
    expect(ran).toBe(false);
  });

  it('refuses what is no function', async () => {
    const { mesh } = await looking();
    expect(await errorOf(mesh.scope({}, 7 as never))).toMatchObject({ reason: 'ARGUMENT' });
  });
});
