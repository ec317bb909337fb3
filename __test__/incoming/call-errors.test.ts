// The errors of failed calls, as callers receive them.
import { describe, expect, it } from 'vitest';
import { MeshError } from '../../js/index.js';
import { entry, make, pair, serve } from '../support/meshes.js';
import { errorOf } from '../support/promises.js';

describe('errors', () => {
  it('of a handler that throws a MeshError arrive exactly', async () => {
    const { client } = await pair((mesh) =>
      mesh
        .handle('sync', () => {
          throw new MeshError('NOT_FOUND', 'no such order', { data: { id: 1 }, retryAfterMs: 50 });
        })
        .handle('async', async () => {
          throw new MeshError('ABORTED', 'try €', { reason: 'STOCK', data: null });
        }),
    );
    const error = await errorOf(client.call('sync'));
    expect(error).toBeInstanceOf(MeshError);
    expect(error).toMatchObject({
      code: 'NOT_FOUND',
      reason: 'NOT_FOUND',
      message: 'no such order',
      data: { id: 1 },
      retryAfterMs: 50,
      remote: true,
      service: 'server',
      method: 'sync',
      attempts: 1,
    });
    expect(await errorOf(client.call('async'))).toMatchObject({
      code: 'ABORTED',
      reason: 'STOCK',
      message: 'try €',
    });
  });

  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;
  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('secret detail');
      },
    ],
    ['throws nothing', () => Promise.reject(undefined)],
    ['rejects', () => Promise.reject(new Error('secret detail'))],
    ['returns a cycle', () => cycle],
    ['returns a BigInt', () => ({ n: 1n })],
    ['returns a function', async () => () => 1],
    ['returns a stream', () => (async function* () {})()],
    [
      'returns a thenable that throws',
      () => ({
        then() {
          throw new Error('secret detail');
        },
      }),
    ],
    [
      'throws a MeshError with data that has no JSON',
      () => {
        throw new MeshError('NOT_FOUND', 'secret detail', { data: cycle });
      },
    ],
  ])('of a handler that %s are INTERNAL with an errorId', async (_name, handler) => {
    const logged: any[] = [];
    const { client } = await pair((mesh) => mesh.handle('fail', handler), {
      logger: { error: (...entry) => void logged.push(entry) },
    });
    const error = await errorOf(client.call('fail'));
    expect(error).toMatchObject({
      code: 'INTERNAL',
      reason: 'HANDLER',
      message: 'internal error',
      remote: true,
    });
    expect(error.errorId).toMatch(/^[0-9a-f-]{36}$/);
    expect(JSON.stringify(error)).not.toContain('secret');
    expect(logged).toHaveLength(1);
    expect(logged[0][1]).toMatchObject({
      errorId: error.errorId,
      method: 'fail',
      caller: 'caller',
    });
  });

  it('of the callee name what is wrong', async () => {
    const { client } = await pair((mesh) =>
      mesh.handle('private', { allow: ['somebody'] }, () => 1),
    );
    expect(await errorOf(client.call('none'))).toMatchObject({
      code: 'UNIMPLEMENTED',
      reason: 'METHOD_NOT_FOUND',
      remote: true,
    });
    expect(await errorOf(client.call('private'))).toMatchObject({ code: 'PERMISSION_DENIED' });
  });

  it.each<[string, unknown, unknown, any, object]>([
    ['a cycle', 'echo', cycle, {}, { reason: 'PAYLOAD' }],
    ['a BigInt', 'echo', 1n, {}, { reason: 'PAYLOAD' }],
    ['a function', 'echo', () => 1, {}, { reason: 'PAYLOAD' }],
    ['a symbol', 'echo', Symbol('s'), {}, { reason: 'PAYLOAD' }],
    ['no method', '', 1, {}, { message: 'method must be a non-empty string, got ""' }],
    ['a method that is none', 7, 1, {}, { message: 'method must be a non-empty string, got 7' }],
    [
      'a misspelt option',
      'echo',
      1,
      { timeout: 1 },
      { message: 'options.timeout does not exist; did you mean timeoutMs?' },
    ],
    ['a timeout of 0', 'echo', 1, { timeoutMs: 0 }, { reason: 'ARGUMENT' }],
    ['a timeout that is none', 'echo', 1, { timeoutMs: NaN }, { reason: 'ARGUMENT' }],
    ['a signal that is none', 'echo', 1, { signal: {} }, { reason: 'ARGUMENT' }],
    [
      'metadata that is no text',
      'echo',
      1,
      { metadata: { n: 1 } },
      { message: 'options.metadata.n must be a string, got 1' },
    ],
  ])('of wrong arguments: %s', async (_name, method, input, options, expected) => {
    const { client } = await pair((mesh) => mesh.handle('echo', (x) => x));
    const error = await errorOf(client.call(method as string, input, options));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', remote: false, ...expected });
  });

  it('of unknown services and of services that are not there', async () => {
    const server = await serve('server', () => {});
    const address = entry('server', server);
    await server.cleanup();
    const mesh = make('caller', { discovery: { services: [address] } });
    await mesh.initialize();
    expect(await errorOf(mesh.connect('unknown').call('x'))).toMatchObject({
      code: 'NOT_FOUND',
      reason: 'UNKNOWN_SERVICE',
    });
    expect(await errorOf(mesh.connect('server').call('x', 1, { timeoutMs: 3000 }))).toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'CONNECT_FAILED',
      retryable: true,
    });
  });

  it('of messages that are too large leave the session as it was', async () => {
    const { client, mesh } = await pair((server) =>
      server
        .handle('size', (bytes: Uint8Array) => bytes.length)
        .handle('make', (n: number) => new Uint8Array(n)),
    );
    expect(await client.call('size', new Uint8Array(1000))).toBe(1000);
    expect(await errorOf(client.call('size', new Uint8Array(5 << 20)))).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'TOO_LARGE',
    });
    expect((await errorOf(client.call('make', 5 << 20))).code).toMatch(
      /RESOURCE_EXHAUSTED|INTERNAL/,
    );
    expect(await client.call('size', new Uint8Array(4000))).toBe(4000);
    expect(mesh.getStats().activeSessions).toBe(1);
  });
});
