// Requests that a service has no time for, and the priority of a call.
import { describe, expect, it } from 'vitest';
import { make } from '../support/meshes.js';
import { pair } from '../support/kit.js';
import { errorOf, sleep } from '../support/promises.js';
import { run } from '../support/processes.js';

describe('requests that are over before their handler can run', () => {
  it('do not reach a handler whose event loop was blocked', async () => {
    const server = run('blocking');
    const { host, port } = await server.next();
    const mesh = make('caller', { discovery: { services: [{ id: 'server', host, port }] } });
    const client = mesh.connect('server');
    await mesh.initialize();
    expect(await client.call('seen')).toMatchObject({ worked: 0 });
    const blocked = client.call('block', 1_500);
    await sleep(300);
    const calls = Array.from({ length: 10 }, () =>
      errorOf(client.call('work', undefined, { timeoutMs: 300 })),
    );
    for (const error of await Promise.all(calls)) {
      expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED', reason: 'DEADLINE' });
    }
    await blocked;
    expect(await client.call('seen')).toMatchObject({ worked: 0, shed: { late: 10 } });
    await client.call('work', undefined, { timeoutMs: 5_000 });
    expect(await client.call('seen')).toMatchObject({ worked: 1 });
  });
});

describe('options.priority', () => {
  it('is one of three, and reaches the service', async () => {
    const { client } = await pair((server) => server.handle('who', () => 'me'));
    for (const priority of ['sheddable', 'normal', 'critical'] as const) {
      expect(await client.call('who', undefined, { priority })).toBe('me');
    }
    const error = await errorOf(client.call('who', undefined, { priority: 'high' as 'normal' }));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'ARGUMENT' });
    expect(error.message).toContain(
      "options.priority must be one of 'sheddable', 'normal', 'critical'",
    );
  });
});
