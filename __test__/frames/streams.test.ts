// Streams of every kind, between two meshes on real sockets.
import { describe, expect, it } from 'vitest';
import { MeshError } from '../../js/index.js';
import { pair } from '../support/meshes.js';
import { deferred, errorOf, sleep, until } from '../support/promises.js';

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

async function* count(to: number): AsyncGenerator<number> {
  for (let number = 0; number < to; number += 1) yield number;
}

async function idle(meshes: { healthCheck(): Promise<any> }[]): Promise<void> {
  const busy = async (): Promise<number> => {
    const figures = await Promise.all(meshes.map((mesh) => mesh.healthCheck()));
    return figures.reduce(
      (sum, { details }) => sum + details.callsInFlight + details.requestsInFlight,
      0,
    );
  };
  for (let tries = 0; tries < 500; tries += 1) {
    if ((await busy()) === 0) return;
    await sleep(10);
  }
  throw new Error('something is still under way');
}

describe('the four kinds', () => {
  it('server stream: one input, many items', async () => {
    const { client } = await pair((mesh) => {
      mesh.handle('count', async function* ({ to }, ctx) {
        ctx.responseMetadata['total'] = String(to);
        yield* count(to);
      });
    });
    let metadata = {};
    const items = client.serverStream(
      'count',
      { to: 5000 },
      {
        onResponseMetadata: (sent) => (metadata = sent),
      },
    );
    expect(await collect(items)).toEqual([...Array(5000).keys()]);
    expect(metadata).toEqual({ total: '5000' });
    expect(await items.next()).toEqual({ done: true, value: undefined });
  });

  it('client stream: many items, one result', async () => {
    const { client } = await pair((mesh) => {
      mesh.handle('sum', async (numbers: AsyncIterable<number>) => {
        let sum = 0;
        for await (const number of numbers) sum += number;
        return { sum };
      });
    });
    expect(await client.clientStream('sum', count(5000))).toEqual({ sum: 12497500 });
    expect(await client.clientStream('sum', [1, 2, 3])).toEqual({ sum: 6 });
    expect(await client.clientStream('sum', [])).toEqual({ sum: 0 });
  });

  it('bidirectional: many items each way, as they come', async () => {
    const { client } = await pair((mesh) => {
      mesh.handle('double', async function* (numbers: AsyncIterable<number>) {
        for await (const number of numbers) yield number * 2;
      });
    });
    const turn = deferred();
    async function* talk(): AsyncGenerator<number> {
      yield 1;
      await turn.promise;
      yield 2;
    }
    const answers = client.bidiStream<number, number>('double', talk());
    expect((await answers.next()).value).toBe(2);
    turn.resolve();
    expect(await collect(answers)).toEqual([4]);
  });

  it('bytes are bytes, and an item may be anything', async () => {
    const { client } = await pair((mesh) => {
      mesh.handle('echo', async function* (items: AsyncIterable<unknown>) {
        yield* items;
      });
    });
    const sent = [new Uint8Array([0, 255]), undefined, null, '', 0, { a: [1] }, new Uint8Array()];
    expect(await collect(client.bidiStream('echo', sent))).toEqual(sent);
  });
});

describe('how a stream ends', () => {
  it('leaving a for await runs the finally of the other side', async () => {
    const finished = deferred<string>();
    const { server, mesh, client } = await pair((mesh) => {
      mesh.handle('endless', async function* (_input, ctx) {
        try {
          for (let number = 0; ; number += 1) {
            yield number;
            await sleep(1);
          }
        } finally {
          finished.resolve((ctx.signal.reason as MeshError).reason);
        }
      });
    });
    for await (const number of client.serverStream<unknown, number>('endless')) {
      if (number === 3) break;
    }
    expect(await finished.promise).toBe('CANCELLED');
    await idle([server, mesh]);
  });

  it('a signal ends it on both sides, and drops what was not read', async () => {
    const finished = deferred();
    const { client } = await pair((mesh) => {
      mesh.handle('endless', async function* () {
        try {
          for (let number = 0; ; number += 1) yield number;
        } finally {
          finished.resolve();
        }
      });
    });
    const abort = new AbortController();
    const items = client.serverStream('endless', undefined, { signal: abort.signal });
    await items.next();
    abort.abort();
    expect(await errorOf(items.next())).toMatchObject({ code: 'CANCELLED' });
    expect(await items.next()).toEqual({ done: true, value: undefined });
    await finished.promise;
  });

  it('an error comes after the items before it, exactly as it was thrown', async () => {
    const { client } = await pair((mesh) => {
      mesh.handle('fail', async function* ({ how }) {
        yield 1;
        yield 2;
        if (how === 'mesh') throw new MeshError('NOT_FOUND', 'no more', { data: { at: 2 } });
        throw new Error('secret');
      });
    });
    const seen: unknown[] = [];
    const read = async (how: string): Promise<void> => {
      for await (const item of client.serverStream('fail', { how })) seen.push(item);
    };
    expect(await errorOf(read('mesh'))).toMatchObject({
      code: 'NOT_FOUND',
      message: 'no more',
      data: { at: 2 },
      remote: true,
    });
    const masked = await errorOf(read('other'));
    expect(masked).toMatchObject({ code: 'INTERNAL', reason: 'HANDLER' });
    expect(JSON.stringify(masked)).not.toContain('secret');
    expect(seen).toEqual([1, 2, 1, 2]);
  });

  it('what the caller’s own iterable throws ends the call, as it is', async () => {
    const ended = deferred<unknown>();
    const read = deferred();
    const { client } = await pair((mesh) => {
      mesh.handle('sum', async (numbers: AsyncIterable<number>) => {
        try {
          for await (const _ of numbers) read.resolve();
        } catch (error) {
          ended.resolve(error);
        }
      });
    });
    const mine = new Error('mine');
    async function* broken(): AsyncGenerator<number> {
      yield 1;
      await read.promise;
      throw mine;
    }
    expect(await errorOf(client.clientStream('sum', broken()))).toBe(mine);
    expect(await ended.promise).toMatchObject({ code: 'CANCELLED' });
    const bad = await errorOf(client.clientStream('sum', [1n]));
    expect(bad).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'PAYLOAD' });
    const none = await errorOf(client.clientStream('sum', 7 as never));
    expect(none).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'ARGUMENT' });
  });

  it('a service that is done stops its caller’s iterable', async () => {
    const { server, mesh, client } = await pair((mesh) => {
      mesh.handle('first', async (items: AsyncIterable<unknown>) => {
        for await (const item of items) return item;
        return undefined;
      });
    });
    let finished = false;
    async function* endless(): AsyncGenerator<number> {
      try {
        for (let number = 0; ; number += 1) yield number;
      } finally {
        finished = true;
      }
    }
    expect(await client.clientStream('first', endless())).toBe(0);
    await until(() => finished);
    await idle([server, mesh]);
  });

  it('cleanup of either side ends it once', async () => {
    for (const closes of ['server', 'caller']) {
      const finished = deferred<unknown>();
      const { server, mesh, client } = await pair((mesh) => {
        mesh.handle('endless', async function* (_input, ctx) {
          try {
            for (;;) {
              yield 1;
              await sleep(1);
            }
          } finally {
            finished.resolve(ctx.signal.aborted);
          }
        });
      });
      const items = client.serverStream('endless');
      await items.next();
      const end = errorOf(collect(items));
      await (closes === 'server' ? server : mesh).cleanup();
      expect(['SESSION_LOST', 'CLOSED']).toContain((await end).reason);
      expect(await finished.promise).toBe(true);
      expect(await items.next()).toEqual({ done: true, value: undefined });
    }
  });

  it('a deadline holds for the whole stream; without one there is none', async () => {
    const { client } = await pair(
      (mesh) => {
        mesh.handle('endless', async function* (_input, ctx) {
          yield ctx.timeoutMs() === Infinity;
          for (;;) {
            await sleep(20);
            yield true;
          }
        });
      },
      {},
      { limits: { callTimeoutMs: 50 } },
    );
    const limited = client.serverStream('endless', undefined, { timeoutMs: 100 });
    expect((await limited.next()).value).toBe(false);
    expect(await errorOf(collect(limited))).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    const free = client.serverStream('endless');
    for (let number = 0; number < 6; number += 1) expect((await free.next()).value).toBe(true);
    await free.return?.();
  });

  it('is not opened before it is read, nor after it was left', async () => {
    let opened = 0;
    const { client } = await pair((mesh) => {
      mesh.handle('open', async function* () {
        opened += 1;
        yield 1;
      });
    });
    const unread = client.serverStream('open');
    await unread.return?.();
    expect(await unread.next()).toEqual({ done: true, value: undefined });
    await sleep(50);
    expect(opened).toBe(0);
  });
});

describe('kinds are not mixed up', () => {
  it('a method is called as what it is', async () => {
    const { client } = await pair((mesh) => {
      mesh.handle('stream', async function* () {
        yield 1;
      });
      mesh.handle('plain', async () => 1);
      mesh.handle('upload', { kind: 'clientStream' }, async () => 1);
    });
    const wrong = { code: 'UNIMPLEMENTED', reason: 'CALL_KIND' };
    expect(await errorOf(client.call('stream'))).toMatchObject(wrong);
    expect(await errorOf(collect(client.serverStream('plain')))).toMatchObject(wrong);
    expect(await errorOf(client.call('upload'))).toMatchObject(wrong);
    expect(await errorOf(collect(client.serverStream('none')))).toMatchObject({
      reason: 'METHOD_NOT_FOUND',
    });
  });
});

describe('back-pressure', () => {
  it('a slow consumer holds its producer; other calls go on', async () => {
    let made = 0;
    const { client } = await pair((mesh) => {
      mesh.handle('fast', async function* () {
        for (; made < 1000; made += 1) yield new Uint8Array(10_000);
      });
      mesh.handle('echo', (input) => input);
    });
    const items = client.serverStream('fast');
    await items.next();
    await sleep(200);
    const held = made;
    expect(held).toBeLessThan(40);
    for (let call = 0; call < 50; call += 1) expect(await client.call('echo', call)).toBe(call);
    expect(made).toBe(held);
    let read = 1;
    for await (const _ of items) read += 1;
    expect(read).toBe(1000);
  });

  it('a slow service holds its caller', async () => {
    const go = deferred();
    const { client } = await pair((mesh) => {
      mesh.handle('slow', async (items: AsyncIterable<Uint8Array>) => {
        await go.promise;
        let bytes = 0;
        for await (const item of items) bytes += item.length;
        return bytes;
      });
    });
    let made = 0;
    async function* source(): AsyncGenerator<Uint8Array> {
      for (; made < 1000; made += 1) yield new Uint8Array(10_000);
    }
    const result = client.clientStream('slow', source());
    await sleep(200);
    expect(made).toBeLessThan(40);
    go.resolve();
    expect(await result).toBe(10_000_000);
  });
});

describe('middleware and schemas', () => {
  it('surrounds a stream until it is over, on both sides', async () => {
    const log: string[] = [];
    const { mesh, client } = await pair((server) => {
      server.use(async (ctx, next) => {
        log.push(`in ${ctx.kind}`);
        try {
          await next();
          log.push('done');
        } catch (error) {
          log.push((error as Error).message);
          throw error;
        }
      });
      server.handle('count', async function* ({ to }) {
        yield* count(to);
        if (to === 2) throw new MeshError('ABORTED', 'two');
      });
    });
    mesh.useClient(async (call, next) => {
      log.push(`out ${call.kind}`);
      await next();
      log.push('over');
    });
    expect(await collect(client.serverStream('count', { to: 3 }))).toEqual([0, 1, 2]);
    expect(await errorOf(collect(client.serverStream('count', { to: 2 })))).toMatchObject({
      code: 'ABORTED',
    });
    expect(log).toEqual([
      'out serverStream',
      'in serverStream',
      'done',
      'over',
      'out serverStream',
      'in serverStream',
      'two',
    ]);
  });
});

it('hundreds of streams opened and left at random leave nothing', async () => {
  const { server, mesh, client } = await pair((mesh) => {
    mesh.handle('mixed', async function* (items: AsyncIterable<number> | { to: number }) {
      if ('to' in items) yield* count(items.to);
      else yield* items;
    });
    mesh.handle('sum', async (items: AsyncIterable<number>) => {
      let sum = 0;
      for await (const item of items) sum += item;
      return sum;
    });
  });
  let ends = 0;
  const one = async (number: number): Promise<void> => {
    const abort = new AbortController();
    const options = { signal: abort.signal };
    const leave = number % 7;
    if (number % 3 === 0) {
      if (leave < 3) setImmediate(() => abort.abort());
      await client.clientStream('sum', count(20), options).then(
        (sum) => expect(sum).toBe(190),
        (error: MeshError) => expect(error.code).toBe('CANCELLED'),
      );
    } else {
      const items =
        number % 3 === 1
          ? client.serverStream('mixed', { to: 20 }, options)
          : client.bidiStream('mixed', count(20), options);
      let read = 0;
      for await (const _ of items) {
        read += 1;
        if (read === leave * 2) break;
      }
    }
    ends += 1;
  };
  for (let round = 0; round < 30; round += 1) {
    await Promise.all(Array.from({ length: 20 }, (_, number) => one(round * 20 + number)));
  }
  expect(ends).toBe(600);
  await idle([server, mesh]);
  expect(mesh.getStats().activeSessions).toBe(1);
});
