// The admin port of a mesh, over HTTP and between real processes' meshes.

import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { SecureMesh } from '../../js/index.js';
import { call, make, serve } from '../support/meshes.js';
import { errorOf } from '../support/promises.js';

const SECRET = 'a secret of these tests, longer than 32 bytes';
const TOKEN = 'a-token-of-these-tests-0123456789';

/** The answer of an admin port. */
async function get(
  mesh: SecureMesh,
  path: string,
  headers: Record<string, string> = {},
): Promise<Response> {
  const { host, port } = mesh.adminAddress()!;
  return fetch(`http://${host}:${port}${path}`, { headers });
}

/** Repeats `look` until it returns something. */
async function until<T>(look: () => Promise<T | undefined | false>): Promise<T> {
  for (const end = Date.now() + 15_000; ;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    if (Date.now() > end) throw new Error('it never happened');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe('the option admin', () => {
  const refused = (admin: object): string => {
    try {
      make('a', { admin: admin });
    } catch (error) {
      expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'CONFIG' });
      return (error as Error).message;
    }
    throw new Error('it was accepted');
  };

  it('is refused beyond loopback without a token, and names what is wrong', () => {
    expect(refused({ port: 0, host: '0.0.0.0' })).toContain('admin.token');
    expect(refused({ port: 0, host: '192.168.1.5' })).toContain('admin.token');
    expect(refused({ port: 0, token: 'short' })).toContain('admin.token must be 16 to 256');
    expect(refused({ port: 0, token: 'short' })).not.toContain('"short"');
    expect(refused({ host: '127.0.0.1' })).toContain('admin.port');
    expect(refused({ port: 0, hosts: ['http://x'] })).toContain('admin.hosts[0]');
    make('a', { admin: { port: 0, host: '0.0.0.0', token: TOKEN } });
  });

  it('opens no port by itself, and the port closes with the mesh', async () => {
    const plain = make('plain');
    await plain.initialize();
    expect(plain.adminAddress()).toBeNull();
    const mesh = make('a', { admin: { port: 0 } });
    expect(mesh.adminAddress()).toBeNull();
    await mesh.initialize();
    const { host, port } = mesh.adminAddress()!;
    expect(host).toBe('127.0.0.1');
    await mesh.cleanup();
    await expect(fetch(`http://127.0.0.1:${port}/livez`)).rejects.toThrow();
    // It can be taken at once.
    const again = make('a', { admin: { port } });
    await again.initialize();
    expect(again.adminAddress()).toEqual({ host, port });
  });

  it('names the option when the port is taken, and nothing has started', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void taken.close());
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as AddressInfo;
    const mesh = make('a', { port: 0, admin: { port } });
    const error = await errorOf(mesh.initialize());
    expect(error).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'LISTEN' });
    expect(error.message).toContain('admin.port');
    expect(mesh.address()).toBeNull();
  });
});

describe('readiness', () => {
  it('is there once the mesh is, also on one that only calls, and ends with the drain', async () => {
    const mesh = make('a', { admin: { port: 0 } });
    await mesh.initialize();
    expect((await get(mesh, '/readyz')).status).toBe(200);
    expect((await get(mesh, '/livez')).status).toBe(200);
  });

  it('asks what the application depends on', async () => {
    let answer: () => unknown = () => true;
    const mesh = make('a', { admin: { port: 0 } });
    mesh.readiness('database', () => answer());
    await mesh.initialize();
    await until(async () => (await get(mesh, '/readyz')).status === 200);
    answer = () => {
      throw new Error('connection\nlost');
    };
    const told = await until(async () => {
      const response = await get(mesh, '/readyz');
      return response.status === 503 && (await response.text());
    });
    expect(told).toBe('database: connection lost\n');
    answer = () => false;
    await until(async () => (await (await get(mesh, '/readyz')).text()).includes('it is not well'));
    const remove = mesh.readiness('queue', () => new Promise(() => undefined));
    expect(await (await get(mesh, '/readyz')).text()).toContain('queue: it has not been asked yet');
    remove();
    answer = () => undefined;
    await until(async () => (await get(mesh, '/readyz')).status === 200);
    expect(() => mesh.readiness('database', () => true)).toThrow('must be new');
    expect(() => mesh.readiness('', () => true)).toThrow('1 to 200');
    expect(() => mesh.readiness('x', 7 as never)).toThrow('check must be a function');
  });
});

describe('the data', () => {
  async function two(): Promise<{ server: SecureMesh; mesh: SecureMesh }> {
    const extra = {
      admin: { port: 0, token: TOKEN },
      security: { jwtSecret: SECRET },
      observe: true,
    };
    const server = await serve(
      'server',
      (own) => {
        own.handle('echo', (input) => input);
        own.handle('fail', () => {
          throw new Error('a fault that only the log may hold');
        });
      },
      { host: '127.0.0.1', ...extra },
    );
    const { mesh, client } = await call(server, extra);
    for (let index = 0; index < 10; index += 1)
      await client.call('echo', { secret: 'payload-4711' });
    for (let index = 0; index < 5; index += 1) await errorOf(client.call('fail'));
    await errorOf(client.call('no.such.method'));
    return { server, mesh };
  }
  const bearer = { authorization: `Bearer ${TOKEN}` };

  it('is the report of each side, with nothing secret in it', async () => {
    const { server, mesh } = await two();
    const own = await (await get(mesh, '/api/v1/self', bearer)).json();
    expect(own).toMatchObject({
      v: 1,
      service: 'caller',
      state: 'ready',
      mode: 'shared-secret',
      tls: false,
    });
    expect(own.instance).toMatch(/^[0-9a-f]{16}$/);
    const echo = own.outbound.find((flow: any) => flow.method === 'echo');
    expect(echo).toMatchObject({
      peer: 'server',
      kind: 'unary',
      total: 10,
      failed: 0,
      inFlight: 0,
    });
    expect(echo.codes).toEqual({ OK: 10 });
    expect(echo.buckets).toHaveLength(17);
    expect(echo.buckets[16]).toBe(10);
    expect(own.instances[0]).toMatchObject({
      service: 'server',
      connected: true,
      breaker: 'closed',
    });
    expect(own.sessions[0]).toMatchObject({
      peer: 'server',
      direction: 'out',
      trust: 'shared-secret',
    });
    const theirs = await (await get(server, '/api/v1/self', bearer)).json();
    const fail = theirs.inbound.find((flow: any) => flow.method === 'fail');
    expect(fail).toMatchObject({ peer: 'caller', total: 5, failed: 5, codes: { INTERNAL: 5 } });
    // A name that the caller made up gets no row.
    expect(theirs.inbound.map((flow: any) => flow.method)).toContain('_other');
    expect(theirs.inbound.map((flow: any) => flow.method)).not.toContain('no.such.method');
    expect(theirs.errors[0]).toMatchObject({ direction: 'in', peer: 'caller' });
    expect(theirs.problems.map((problem: any) => problem.kind)).toContain('method-failing');
    expect(theirs.sessions[0].address).toMatch(/^127\.0\.0\.1:\d+$/);
  });

  it('holds no secret, token, key or payload, wherever one looks', async () => {
    const { server, mesh } = await two();
    for (const at of [server, mesh]) {
      for (const path of [
        '/',
        '/metrics',
        '/readyz',
        '/api/v1/self',
        '/api/v1/mesh',
        '/api/v1/history',
      ]) {
        const response = await get(at, path, bearer);
        const text = (await response.text()) + JSON.stringify([...response.headers]);
        for (const secret of [
          SECRET,
          TOKEN,
          'PRIVATE KEY',
          'PUBLIC KEY',
          'payload-4711',
          'only the log',
          'eyJ',
        ]) {
          expect(text, `${path} has ${secret}`).not.toContain(secret);
        }
      }
    }
  });

  it('is merged over the mesh itself, and what the callee says counts', async () => {
    const { mesh } = await two();
    const picture = await (await get(mesh, '/api/v1/mesh', bearer)).json();
    expect(picture).toMatchObject({ v: 1, observer: 'caller' });
    const words = picture.nodes.map((node: any) => [node.service, node.report]);
    expect(words).toEqual([
      ['caller', 'self'],
      ['server', 'direct'],
    ]);
    const [edge] = picture.edges;
    expect(edge).toMatchObject({ from: 'caller', to: 'server', by: 'both' });
    expect(edge.figures.total).toBe(16);
    expect(picture.problems.some((problem: any) => problem.reporter === 'server')).toBe(true);
    // A question is no call of the application.
    expect(edge.methods.map((flow: any) => flow.method)).not.toContain('securestack.observe');
  });

  it('is only hearsay where the other does not permit it', async () => {
    const extra = { admin: { port: 0 }, security: { jwtSecret: SECRET } };
    const server = await serve('server', (own) => void own.handle('echo', (input) => input), {
      host: '127.0.0.1',
      ...extra,
      observe: { from: ['another'] },
    });
    const { mesh, client } = await call(server, extra);
    await client.call('echo', 1);
    const picture = await (await get(mesh, '/api/v1/mesh')).json();
    const node = picture.nodes.find((one: any) => one.service === 'server');
    expect(node).toMatchObject({ report: 'hearsay', instances: [], seenBy: ['caller'] });
    expect(node.unreachable).toContain('observe');
    const error = await errorOf(client.call('securestack.observe'));
    expect(error).toMatchObject({ code: 'PERMISSION_DENIED', remote: true });
  });

  it('streams calls and events as they happen', async () => {
    const { server } = await two();
    const { host, port } = server.adminAddress()!;
    let seen = '';
    const asked = request({ host, port, path: '/api/v1/events', headers: bearer }, (response) => {
      response.setEncoding('utf8').on('data', (text: string) => (seen += text));
    });
    asked.on('error', () => undefined).end();
    onTestFinished(() => void asked.destroy());
    await until(async () => seen.length > 0);
    const { client } = await call(server, { security: { jwtSecret: SECRET }, observe: false });
    await client.call('echo', 1);
    await until(async () => seen.includes('event: call') && seen.includes('event: event'));
    const data = seen.split('\n').filter((line) => line.startsWith('data: '));
    const lines = data.map((line) => JSON.parse(line.slice(6)));
    expect(lines.find((line) => line.type === 'call')).toMatchObject({
      direction: 'in',
      peer: 'caller',
      method: 'echo',
      code: 'OK',
    });
    expect(lines.find((line) => line.kind === 'session')).toMatchObject({
      type: 'event',
      service: 'server',
    });
  });
});

describe('metrics', () => {
  it('are given without an admin port too', async () => {
    const server = await serve('server', (own) => void own.handle('echo', (input) => input));
    const { mesh, client } = await call(server);
    expect(() => make('b').metricsText()).toThrow('initialize');
    await client.call('echo', 1);
    const text = mesh.metricsText();
    expect(text).toContain('rpc_client_call_duration_seconds_count');
    expect(text).toContain('rpc_method="server/echo"');
    expect(text.endsWith('# EOF\n')).toBe(true);
    const off = make('c', { observe: false });
    await off.initialize();
    expect(off.metricsText()).toContain('securestack_build_info');
    expect(off.metricsText()).not.toContain('securestack_sessions');
  });

  it('are read from the environment too', async () => {
    process.env['SECURE_MESH_ADMIN_PORT'] = '0';
    process.env['SECURE_MESH_ADMIN_TOKEN'] = TOKEN;
    onTestFinished(() => {
      delete process.env['SECURE_MESH_ADMIN_PORT'];
      delete process.env['SECURE_MESH_ADMIN_TOKEN'];
    });
    const mesh = make('a');
    await mesh.initialize();
    expect((await get(mesh, '/metrics')).status).toBe(401);
    const response = await get(mesh, '/metrics', { authorization: `Bearer ${TOKEN}` });
    expect(response.headers.get('content-type')).toContain('version=0.0.4');
  });
});
