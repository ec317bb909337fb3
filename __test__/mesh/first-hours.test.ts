// Typical first mistakes: each causes an error at its place.

import { createServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { createServer as createTcpServer, type AddressInfo, type Server } from 'node:net';
import { Server as GrpcServer, ServerCredentials } from '@grpc/grpc-js';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  defineContract,
  JWTManager,
  type MeshError,
  SecureMesh,
  StaticDiscovery,
  unary,
} from '../../js/index.js';
import { call, config, entry, make, serve } from '../support/meshes.js';
import { errorOf } from '../support/promises.js';

function failure(act: () => unknown): any {
  try {
    act();
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}

describe('a configuration', () => {
  const refused = (extra: object): any =>
    failure(() => new SecureMesh({ ...config('a'), ...extra }));

  it('that holds a registry says how to take its services over', async () => {
    const server = await serve('server', (mesh) => mesh.handle('echo', (input) => input));
    const registry = new StaticDiscovery();
    registry.register(entry('server', server));
    const error = refused({ discovery: registry });
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'CONFIG' });
    expect(error.message).toContain('got a StaticDiscovery');
    expect(error.message).toContain('services: await registry.listServices()');
    // The suggested repair works.
    const caller = make('caller', { discovery: { services: await registry.listServices() } });
    await caller.initialize();
    expect(await caller.connect('server').call('echo', 7)).toBe(7);
  });

  it('that holds what JSON would make nothing of is refused by its path', () => {
    const cases: [object, string][] = [
      [{ discovery: Promise.resolve({ services: [] }) }, 'discovery must be a plain object'],
      [{ discovery: { services: new Set() } }, 'discovery.services must be'],
      [{ security: new JWTManager({ secret: 'x'.repeat(40) }) }, 'security must be a plain object'],
      [{ limits: new Map([['maxSessions', 1]]) }, 'limits must be a plain object'],
    ];
    for (const [extra, text] of cases) expect(refused(extra).message).toContain(text);
    // An application's class with options is accepted.
    class Options {
      maxSessions = 7;
    }
    expect(new SecureMesh({ ...config('a'), limits: new Options() })).toBeInstanceOf(SecureMesh);
  });
});

describe('handle', () => {
  it.each([undefined, null, 7, 'text'])('names the method whose handler is %s', (handler) => {
    const error = failure(() => make('a').handle('orders.get', handler as never));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'ARGUMENT' });
    expect(error.message).toContain('the handler of orders.get must be a function');
  });

  it('names the method whose handler is missing after its options', () => {
    const error = failure(() =>
      make('a').handle('orders.get', { timeoutMs: 5 }, undefined as never),
    );
    expect(error.message).toContain('the handler of orders.get must be a function, got undefined');
  });

  it('is refused once the mesh is closed, as are its neighbours', async () => {
    const mesh = make('a');
    await mesh.initialize();
    await mesh.cleanup();
    const orders = defineContract('orders', { get: unary() });
    for (const add of [
      () => mesh.handle('late', () => 1),
      () => mesh.implement(orders, { get: () => 1 }),
    ]) {
      const error = failure(add);
      expect(error).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'CLOSED' });
      expect(error.message).toContain('make a new one');
    }
  });
});

/** The error of a call to a port where something else than a mesh listens. */
async function refusedAt(port: number): Promise<MeshError> {
  const services = [{ id: 'server', host: '127.0.0.1', port }];
  const caller = make('caller', { discovery: { services } });
  await caller.initialize();
  const error = await errorOf(caller.connect('server').call('echo'));
  expect(error).toMatchObject({
    code: 'FAILED_PRECONDITION',
    reason: 'WRONG_PORT',
    retryable: false,
    attempts: expect.any(Number),
  });
  return error;
}

describe('a port at which something else listens', () => {
  async function listen(server: Server): Promise<number> {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    return (server.address() as AddressInfo).port;
  }

  it.each<[string, () => Server]>([
    ['an HTTP/1.1 server', () => createServer((_, response) => response.end('hello'))],
    [
      'an HTTP/2 server that does not speak gRPC',
      () =>
        createHttp2Server((_, response) => {
          response.setHeader('content-type', 'text/html');
          response.end('<p>hello');
        }),
    ],
    [
      'an HTTP/2 server that does not speak gRPC',
      () =>
        createHttp2Server((_, response) => {
          response.statusCode = 404;
          response.end();
        }),
    ],
    [
      'an SSH server',
      () =>
        createTcpServer((socket) => {
          socket.on('error', () => undefined);
          socket.write('SSH-2.0-OpenSSH_9.9\r\n');
        }),
    ],
  ])('is named: %s', async (found, make_) => {
    const port = await listen(make_());
    const error = await refusedAt(port);
    expect(error.message).toContain(`${found} listens at 127.0.0.1:${port}`);
  });

  it('is named: a gRPC server of something else', async () => {
    const other = new GrpcServer();
    onTestFinished(() => other.forceShutdown());
    const port = await new Promise<number>((resolve, reject) => {
      const credentials = ServerCredentials.createInsecure();
      other.bindAsync('127.0.0.1:0', credentials, (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    const error = await refusedAt(port);
    expect(error.attempts).toBe(1);
    expect(error.message).toContain(`a gRPC server of something else listens at 127.0.0.1:${port}`);
  });

  it('is not the port of a mesh', async () => {
    const server = await serve('server', (mesh) => mesh.handle('echo', (input) => input));
    const { client } = await call(server);
    expect(await client.call('echo', 1)).toBe(1);
  });
});
