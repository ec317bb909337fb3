// Values and errors that JSON or the wire cannot carry completely: no part of them is lost silently.
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { MeshError } from '../../js/index.js';
import { pair } from '../support/kit.js';
import { errorOf } from '../support/promises.js';

afterEach(() => vi.unstubAllEnvs());

const half = 'x😀'.slice(0, 2);

describe('an error with', () => {
  const thrown = (make: () => unknown) =>
    pair((mesh) => mesh.handle('fail', () => Promise.reject(make() as Error)));

  it('half a character in its message, reason and data keeps all the rest', async () => {
    const { client } = await thrown(
      () =>
        new MeshError('NOT_FOUND', half, {
          reason: `NO_${half}`,
          data: { text: half, [half]: 1, path: '\\ud83d' },
        }),
    );
    expect(await errorOf(client.call('fail'))).toMatchObject({
      code: 'NOT_FOUND',
      message: 'x\ufffd',
      reason: 'NO_x\ufffd',
      data: { text: 'x\ufffd', 'x\ufffd': 1, path: '\\ud83d' },
      remote: true,
    });
  });

  it('data that is nested deeply keeps what fits, and marks the cut', async () => {
    let data: unknown = 'leaf';
    for (let level = 0; level < 127; level += 1) data = { in: data };
    const { client } = await thrown(
      () => new MeshError('ABORTED', 'deep', { reason: 'DEEP', data }),
    );
    const error = await errorOf(client.call('fail'));
    expect(error).toMatchObject({ code: 'ABORTED', message: 'deep', reason: 'DEEP' });
    let inner = error.data;
    let levels = 0;
    for (; typeof inner === 'object'; inner = inner.in) levels += 1;
    expect(levels).toBe(100);
    expect(inner).toBe('[cut: nested too deeply]');
  });

  it.each(['m', '€', '😀'])(
    '16,000 %s as its message keeps what fits, and marks the cut',
    async (unit) => {
      const { client } = await thrown(
        () => new MeshError('NOT_FOUND', unit.repeat(16_000), { reason: 'LONG', data: { id: 1 } }),
      );
      const error = await errorOf(client.call('fail'));
      expect(error).toMatchObject({ code: 'NOT_FOUND', reason: 'LONG', data: { id: 1 } });
      expect(error.message).toMatch(/^(m|€|😀){1000,}… \[cut: (16|32)000 characters\]$/u);
      expect(Buffer.byteLength(error.message)).toBeGreaterThan(5_900);
    },
  );

  it('a reason that is far too long keeps its code and message', async () => {
    const { client } = await thrown(
      () => new MeshError('NOT_FOUND', 'text', { reason: 'R'.repeat(10_000) }),
    );
    const error = await errorOf(client.call('fail'));
    expect(error).toMatchObject({ code: 'NOT_FOUND', message: 'text' });
    expect(error.reason).toMatch(/^R+… \[cut: 10000 characters\]$/);
  });

  it.each([
    [
      'a proxy that throws',
      () => new Proxy({}, { has: refuse, get: refuse, getPrototypeOf: refuse }),
    ],
    [
      'a revoked proxy',
      () => {
        const { proxy, revoke } = Proxy.revocable({}, {});
        revoke();
        return proxy;
      },
    ],
  ])('%s in its place ends its call', async (_name, make) => {
    const { client } = await thrown(make);
    const error = await errorOf(client.call('fail', 1, { timeoutMs: 5_000 }));
    expect(error).toMatchObject({ code: 'INTERNAL', reason: 'HANDLER' });
  });
});

function refuse(): never {
  throw new Error('do not look at me');
}

describe('metadata with half a character', () => {
  it('arrives both ways, repaired', async () => {
    const { client } = await pair((mesh) =>
      mesh.handle('echo', (_input, ctx) => {
        ctx.responseMetadata['back'] = `${ctx.metadata['there']}${half}`;
        ctx.responseMetadata['whole'] = '😀';
        return 1;
      }),
    );
    let received: unknown;
    await client.call('echo', 1, {
      metadata: { there: half },
      onResponseMetadata: (metadata) => (received = metadata),
    });
    expect(received).toEqual({ back: 'x\ufffdx\ufffd', whole: '😀' });
  });
});

function speaking(said: unknown): object {
  return { toJSON: () => said };
}

function systemError(): unknown {
  try {
    return readFileSync('/no/such/file');
  } catch (error) {
    return error;
  }
}

const LOSSES: [string, unknown, string][] = [
  ['a Map', { tags: [{ by: new Map([[1, 2]]) }] }, 'a Map at tags[0].by'],
  ['a Set', { a: { 'b c': new Set() } }, 'a Set at a["b c"]'],
  ['a promise', { total: Promise.resolve(1) }, 'a promise (is an await missing?) at total'],
  ['an Error', [new Error('x')], 'an Error at [0]'],
  ['bytes', { file: new Uint8Array([1]) }, 'bytes at file'],
  ['no bytes', { file: new Uint8Array() }, 'bytes at file'],
  ['a Buffer', { file: Buffer.from('x') }, 'bytes at file'],
  ['an ArrayBuffer', { file: new ArrayBuffer(1) }, 'bytes at file'],
  ['a Map alone', new Map(), 'a Map'],
  ['an error of the system', { why: systemError() }, 'an Error at why'],
  ['a DOMException', { why: new DOMException('x') }, 'a DOMException at why'],
  ['an iterator', { ids: new Map([[1, 2]]).keys() }, 'a Map Iterator at ids'],
  ['a generator', { ids: (function* () {})() }, 'a Generator at ids'],
  ['a regular expression', { filter: /x/ }, 'a RegExp at filter'],
  ['headers', { headers: new Headers({ a: 'b' }) }, 'a Headers at headers'],
  ['a query', { query: new URLSearchParams('a=b') }, 'an URLSearchParams at query'],
  [
    'a Map in what speaks for itself',
    { order: speaking({ tags: new Map() }) },
    'a Map at order.tags',
  ],
  ['bytes there', [speaking({ file: Buffer.from('x') })], 'bytes at [0].file'],
  ['a Set there', { all: speaking(new Set([1])) }, 'a Set at all'],
  ['a Date there, which is asked no more', { at: speaking(new Date()) }, 'a Date at at'],
  ['a BigInt', { a: [1, { n: 1n }] }, 'a BigInt at a[1].n'],
];
const cycle: Record<string, unknown> = { name: 'c' };
cycle['in'] = { back: cycle };
LOSSES.push(['a cycle', cycle, 'a cycle at in.back']);

describe('a value that JSON cannot carry', () => {
  it.each(LOSSES)('is refused as an input, with its path: %s', async (_name, input, text) => {
    const { client } = await pair((mesh) => mesh.handle('echo', (x) => x));
    const error = await errorOf(client.call('echo', input));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'PAYLOAD', remote: false });
    expect(error.message).toContain(`JSON cannot carry ${text}`);
  });

  it.each(LOSSES)(
    'is refused as a result, with its path in the log: %s',
    async (_name, result, text) => {
      const logged: any[] = [];
      const { client } = await pair((mesh) => mesh.handle('get', () => ({ result })), {
        logger: { error: (...entry) => void logged.push(entry) },
      });
      const error = await errorOf(client.call('get'));
      expect(error).toMatchObject({
        code: 'INTERNAL',
        reason: 'HANDLER',
        message: 'internal error',
      });
      const [kind] = text.split(' at ');
      expect(logged[0][1].error.message).toContain(`JSON cannot carry ${kind} at result`);
      expect(logged[0][1].errorId).toBe(error.errorId);
    },
  );

  it('is named to the caller where the service runs in development', async () => {
    vi.stubEnv('NODE_ENV', 'development');
    const { client } = await pair((mesh) =>
      mesh
        .handle('get', () => ({ total: 12345n }))
        .handle('throw', () => {
          throw new TypeError('a secret');
        }),
    );
    const error = await errorOf(client.call('get'));
    expect(error.message).toContain('JSON cannot carry a BigInt at total');
    expect(error.message).not.toContain('12345');
    expect((await errorOf(client.call('throw'))).message).toBe('internal error');
  });

  it('is refused as an item of a stream, and as the data of an error', async () => {
    const logged: any[] = [];
    const { client } = await pair(
      (mesh) =>
        mesh
          .handle('watch', async function* () {
            yield { seen: new Set([1]) };
          })
          .handle('fail', () => {
            throw new MeshError('NOT_FOUND', 'x', { data: { seen: new Map() } });
          }),
      { logger: { error: (...entry) => void logged.push(entry) } },
    );
    await expect(client.serverStream('watch').next()).rejects.toMatchObject({ reason: 'HANDLER' });
    expect(logged[0][1].error.message).toContain('a Set at seen');
    expect(await errorOf(client.call('fail'))).toMatchObject({ reason: 'HANDLER' });
    expect(logged[1][1].error.message).toContain('a Map at seen');
  });

  it('speaks for itself where it has a toJSON, and may be empty, numbered or undefined', async () => {
    const { client } = await pair((mesh) => mesh.handle('echo', (x) => x));
    const at = new Date(0);
    const money = new (class {
      #cents = 7;
      toJSON(): object {
        return { cents: this.#cents };
      }
    })();
    expect(
      await client.call('echo', {
        at,
        money,
        empty: {},
        numbered: { 0: 'a' },
        text: '{} "type":"Buffer" "errno":',
        plain: { errno: 2, nothing: Object.create(null), boxed: new String('') },
        spoken: speaking({ at, none: {}, deep: speaking([speaking(1)]) }),
        left: undefined,
        error: new MeshError('NOT_FOUND', 'x'),
      }),
    ).toMatchObject({
      at: at.toISOString(),
      money: { cents: 7 },
      empty: {},
      numbered: { 0: 'a' },
      text: '{} "type":"Buffer" "errno":',
      plain: { errno: 2, nothing: {}, boxed: '' },
      spoken: { at: at.toISOString(), none: {}, deep: [1] },
      error: { code: 'NOT_FOUND' },
    });
    // The input itself may be bytes.
    expect(await client.call('echo', new Uint8Array([1]))).toEqual(new Uint8Array([1]));
  });
});

describe('the claims of a caller', () => {
  it('are frozen to the bottom', async () => {
    const { client } = await pair((mesh) =>
      mesh.handle('claims', (change: boolean, ctx) => {
        const cnf = ctx.caller.claims['cnf'] as Record<string, unknown>;
        if (change) expect(() => (cnf['jkt'] = 'mine')).toThrow(TypeError);
        return cnf['jkt'];
      }),
    );
    const before = await client.call('claims', false);
    await client.call('claims', true);
    expect(await client.call('claims', false)).toBe(before);
  });
});
