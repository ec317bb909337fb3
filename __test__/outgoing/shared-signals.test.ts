// Signals, async contexts and stacks that calls share with their callers.
import { AsyncLocalStorage } from 'node:async_hooks';
import { getEventListeners } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import { MeshError, unary, defineContract } from '../../js/index.js';
import { pair, services } from '../support/kit.js';
import { errorOf, until } from '../support/promises.js';

/** Collects the warnings of this process. */
function warnings(): Error[] {
  const seen: Error[] = [];
  const take = (warning: Error): void => void seen.push(warning);
  process.on('warning', take);
  onTestFinished(() => void process.off('warning', take));
  return seen;
}

/** Node emits warnings in a later turn. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a signal that many calls share', () => {
  it('has one listener, and none when they are over', async () => {
    const seen = warnings();
    const { client } = await pair((mesh) => mesh.handle('echo', (x) => x));
    const { signal } = new AbortController();
    const calls = Array.from({ length: 20 }, (_, n) => client.call('echo', n, { signal }));
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    await Promise.all(calls);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    await turn();
    expect(seen).toEqual([]);
  });

  it('ends all of them', async () => {
    const { client, mesh } = await pair((server) =>
      server.handle(
        'wait',
        (_input, ctx) => new Promise((resolve) => (ctx.signal.onabort = resolve)),
      ),
    );
    const controller = new AbortController();
    const { signal } = controller;
    const calls = Array.from({ length: 12 }, () => errorOf(client.call('wait', 1, { signal })));
    controller.abort(new Error('enough'));
    for (const error of await Promise.all(calls)) expect(error.code).toBe('CANCELLED');
    expect(mesh.getStats().messages.failed).toBe(12);
  });

  it('may be that of a request: its own calls cause no warning', async () => {
    const seen = warnings();
    const kit = await services({
      leaf: (mesh) => mesh.handle('echo', (x) => x),
      middle: (mesh) =>
        mesh.handle('all', (_input, ctx) =>
          Promise.all(Array.from({ length: 20 }, (_, n) => ctx.call('leaf', 'echo', n))),
        ),
    });
    const caller = kit.mesh('caller');
    await caller.initialize();
    expect(await caller.connect('middle').call('all')).toHaveLength(20);
    await turn();
    expect(seen).toEqual([]);
  });

  it('may refuse to let go: the call is settled all the same', async () => {
    const { client } = await pair((mesh) => mesh.handle('echo', (x) => x));
    const { signal } = new AbortController();
    signal.removeEventListener = () => {
      throw new Error('never');
    };
    expect(await client.call('echo', 1, { signal, timeoutMs: 5_000 })).toBe(1);
  });
});

describe('a service id that is far too long', () => {
  it('is refused before anything is kept of it', async () => {
    const { mesh } = await pair((server) => server.handle('echo', (x) => x));
    const long = 'x'.repeat(70_000);
    expect(() => mesh.connect(long)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', reason: 'ARGUMENT' }),
    );
    const contract = defineContract('c', { get: unary() });
    expect(() => mesh.connect(contract, { service: long })).toThrow(/at most 128 characters/);
  });
});

describe('onResponseMetadata', () => {
  it('runs with its caller’s AsyncLocalStorage', async () => {
    const { client } = await pair((mesh) => mesh.handle('echo', (x) => x));
    const storage = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const onResponseMetadata = (): void => void seen.push(storage.getStore());
    await Promise.all(
      ['a', 'b'].map((tenant) =>
        storage.run(tenant, () => client.call('echo', 1, { onResponseMetadata })),
      ),
    );
    expect(seen.sort()).toEqual(['a', 'b']);
  });
});

describe('the stack of a failed call leads to its caller', () => {
  const setup = () =>
    pair((mesh) =>
      mesh
        .handle('fail', () => {
          throw new MeshError('NOT_FOUND', 'no such order');
        })
        .handle('wait', (_input, ctx) => new Promise((resolve) => (ctx.signal.onabort = resolve)))
        .handle('watch', async function* () {
          yield 1;
          throw new MeshError('ABORTED', 'no more');
        }),
    );

  it.each<[string, (client: any) => Promise<unknown>]>([
    [
      'whose handler threw',
      async function theCaller(client) {
        return await client.call('fail');
      },
    ],
    [
      'of a method that is not there',
      async function theCaller(client) {
        return await client.call('none');
      },
    ],
    [
      'that timed out',
      async function theCaller(client) {
        return await client.call('wait', 1, { timeoutMs: 20 });
      },
    ],
    [
      'that was cancelled',
      async function theCaller(client) {
        return await client.call('wait', 1, { signal: AbortSignal.timeout(20) });
      },
    ],
    [
      'with a wrong argument',
      async function theCaller(client) {
        return await client.call('');
      },
    ],
    [
      'with an input that cannot be sent',
      async function theCaller(client) {
        return await client.call('fail', 1n);
      },
    ],
    [
      'of a stream',
      async function theCaller(client) {
        for await (const item of client.serverStream('watch')) expect(item).toBe(1);
      },
    ],
    [
      'of a stream of inputs',
      async function theCaller(client) {
        return await client.clientStream('none', [1]);
      },
    ],
  ])('%s', async (_name, theCaller) => {
    const { client } = await setup();
    await client.call('fail').catch(() => {});
    const error = await errorOf(theCaller(client));
    expect(error).toBeInstanceOf(MeshError);
    expect(error.stack).toMatch(/at (async )?theCaller /);
    expect(error.stack.split('\n')[0]).toBe(`MeshError: ${error.message}`);
  });

  it('through middleware, too', async () => {
    const { client, mesh } = await setup();
    mesh.useClient((_call, next) => next());
    async function theCaller(): Promise<void> {
      await client.call('fail');
    }
    expect((await errorOf(theCaller())).stack).toMatch(/at (async )?theCaller /);
  });

  it('or stays where nobody waits yet', async () => {
    const { client } = await setup();
    const call = client.call('fail');
    let error: Error | undefined;
    call.catch((caught: Error) => (error = caught));
    await until(() => error !== undefined);
    expect(error?.stack).toContain('MeshError: no such order');
  });

  it('and an error of the caller’s own keeps its stack', async () => {
    const { client } = await setup();
    const own = new Error('mine');
    const { stack } = own;
    const items = (function* (): Generator<number> {
      throw own;
    })();
    expect(await errorOf(client.clientStream('fail', items))).toBe(own);
    expect(own.stack).toBe(stack);
  });
});
