// Events of a mesh: mesh.on.

import { describe, expect, it } from 'vitest';
import { call, make, serve } from '../support/meshes.js';
import { errorOf } from '../support/promises.js';

const SECRET = 'a secret of these tests, longer than 32 bytes';

async function until(seen: () => boolean): Promise<void> {
  for (const end = Date.now() + 10_000; !seen();) {
    if (Date.now() > end) throw new Error('it never happened');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe('on', () => {
  it('tells of sessions, refused peers and another key, until the listener is removed', async () => {
    const security = { jwtSecret: SECRET };
    const server = await serve('server', (own) => void own.handle('echo', (input) => input), {
      host: '127.0.0.1',
      security,
    });
    const sessions: object[] = [];
    const refused: object[] = [];
    const identity: object[] = [];
    const remove = server.on('session', (event) => sessions.push(event));
    server.on('session', () => {
      throw new Error('a listener that throws harms nobody');
    });
    server.on('refused', (event) => refused.push(event));
    server.on('identity', (event) => identity.push(event));
    const { mesh, client } = await call(server, { security });
    await client.call('echo', 1);
    await until(() => sessions.length > 0);
    expect(sessions[0]).toMatchObject({
      state: 'opened',
      service: 'caller',
      trust: 'shared-secret',
    });
    const stranger = await call(server, { security: { jwtSecret: SECRET.replace('a', 'b') } });
    await errorOf(stranger.client.call('echo', 1));
    await until(() => refused.length > 0);
    expect(refused[0]).toMatchObject({ reason: 'HELLO_MAC', count: 1 });
    await server.rotateKeys();
    await until(() => identity.length > 0);
    expect(identity[0]).toMatchObject({ what: 'key.rotated' });
    remove();
    const count = sessions.length;
    await mesh.cleanup();
    const { client: again } = await call(server, { security });
    await again.call('echo', 1);
    expect(sessions).toHaveLength(count);
  });

  it('refuses what is no event or no listener', () => {
    const mesh = make('a');
    expect(() => mesh.on('sessions' as never, () => undefined)).toThrow('event must be one of');
    expect(() => mesh.on('session', 7 as never)).toThrow('listener must be a function');
  });
});
