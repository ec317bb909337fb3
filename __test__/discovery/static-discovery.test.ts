import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  StaticDiscovery,
  type DiscoveryChange,
  type ServiceInfo,
} from '../../js/discovery/static-discovery.js';

const at = (port: number, more: Partial<ServiceInfo> = {}): ServiceInfo => ({
  id: 'a',
  host: 'localhost',
  port,
  ...more,
});
const ports = (services: ServiceInfo[]): number[] => services.map(({ port }) => port);

describe('StaticDiscovery', () => {
  it('runs the README snippet', () => {
    const discovery = new StaticDiscovery();
    discovery.register({
      id: 'my-service',
      host: 'localhost',
      port: 50051,
      publicKey: '<RSA-PUBLIC-KEY>',
    });
    const service = discovery.lookup('my-service');
    expect(service).toEqual({
      id: 'my-service',
      host: 'localhost',
      port: 50051,
      publicKey: '<RSA-PUBLIC-KEY>',
      metadata: {},
      status: 'unknown',
    });
    expect(discovery.lookup('another-service')).toBeUndefined();
    expect(discovery.lookup('../../etc/passwd')).toBeUndefined();
  });

  it('takes the instances of a service in turn, without the unhealthy ones', async () => {
    const discovery = new StaticDiscovery([at(1), at(2), at(3)]);
    const turns = (): (number | undefined)[] => [1, 2, 3, 4].map(() => discovery.lookup('a')?.port);
    expect(turns()).toEqual([1, 2, 3, 1]);
    await discovery.updateServiceHealth('a', 'unhealthy', { host: 'localhost', port: 1 });
    expect(new Set(turns())).toEqual(new Set([2, 3]));
    expect(ports(discovery.lookupAll('a'))).toEqual([1, 2, 3]);
    await discovery.updateServiceHealth('a', 'unhealthy');
    expect(discovery.lookup('a')).toBeUndefined();
    expect((await discovery.getService('a'))?.port).toBe(1);
    await discovery.updateServiceHealth('a', 'healthy');
    expect(discovery.lookup('a')?.lastHealthCheck).toBeInstanceOf(Date);
  });

  it('replaces what it knows about an instance', () => {
    const discovery = new StaticDiscovery();
    discovery.register(at(1, { metadata: { zone: 'eu' } }));
    discovery.register(at(1, { publicKey: 'k', metadata: { zone: 'us' }, status: 'healthy' }));
    expect(discovery.lookupAll('a')).toEqual([
      at(1, {
        publicKey: 'k',
        metadata: { zone: 'us' },
        status: 'healthy',
        lastHealthCheck: expect.any(Date) as Date,
      }),
    ]);
  });

  it('takes the shape of 0.2.0', async () => {
    const discovery = new StaticDiscovery([{ id: 'b', host: 'h', port: 2 }]);
    await discovery.registerService(at(1));
    expect(await discovery.getService('a')).toMatchObject({ id: 'a', port: 1 });
    expect(await discovery.getService('x')).toBeUndefined();
    expect((await discovery.listServices()).map(({ id }) => id)).toEqual(['a', 'b']);
    await discovery.updateServiceHealth('a', 'unhealthy');
    expect((await discovery.getHealthyServices()).map(({ id }) => id)).toEqual(['b']);
    expect(await discovery.removeService('a')).toBe(true);
    expect(await discovery.removeService('a')).toBe(false);
    await expect(discovery.updateServiceHealth('a', 'healthy')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      reason: 'UNKNOWN_SERVICE',
    });
  });

  it('tells watchers of each change and of nothing else', async () => {
    const discovery = new StaticDiscovery();
    const seen: string[] = [];
    const stop = discovery.watch(({ type, service }: DiscoveryChange) => {
      seen.push(`${type} ${service.id}:${service.port} ${service.status}`);
    });
    discovery.register(at(1));
    discovery.register(at(1));
    discovery.register(at(2));
    await discovery.updateServiceHealth('a', 'healthy', { host: 'localhost', port: 2 });
    await discovery.updateServiceHealth('a', 'healthy', { host: 'localhost', port: 2 });
    await discovery.removeService('a', { host: 'localhost', port: 1 });
    expect(seen).toEqual([
      'registered a:1 unknown',
      'registered a:2 unknown',
      'health a:2 healthy',
      'removed a:1 unknown',
    ]);
    stop();
    await discovery.removeService('a');
    expect(seen).toHaveLength(4);
  });

  it('keeps a watcher that throws from harming the others', async () => {
    const discovery = new StaticDiscovery();
    const uncaught = vi.fn();
    const previous = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException').on('uncaughtException', uncaught);
    const seen = vi.fn();
    discovery.watch(() => {
      throw new Error('watcher');
    });
    discovery.watch(seen);
    discovery.register(at(1));
    await new Promise((resolve) => setTimeout(resolve, 10));
    process.removeAllListeners('uncaughtException');
    for (const listener of previous) process.on('uncaughtException', listener);
    expect(seen).toHaveBeenCalledTimes(1);
    expect(uncaught.mock.calls[0]?.[0]).toMatchObject({ message: 'watcher' });
  });

  it('knows an IPv6 address by either spelling', async () => {
    const discovery = new StaticDiscovery([at(1, { host: '[::1]' })]);
    expect(discovery.lookup('a')?.host).toBe('::1');
    expect(await discovery.removeService('a', { host: '[::1]', port: 1 })).toBe(true);
  });

  it('names the field that is wrong', async () => {
    const discovery = new StaticDiscovery();
    const bad = (service: object) => () => discovery.register(service as ServiceInfo);
    expect(bad({ ...at(1), id: '../x' })).toThrow(/^service\.id: a service id is/);
    expect(bad({ ...at(1), host: 'http://x' })).toThrow(/^service\.host must be/);
    expect(bad({ ...at(1), host: '' })).toThrow(/^service\.host must be/);
    expect(bad({ ...at(1), port: 'x' })).toThrow('service.port must be 1…65535, got "x"');
    expect(bad({ ...at(1), port: 70000 })).toThrow(/^service\.port must be 1…65535, got 70000/);
    expect(bad({ ...at(1), prot: 1 })).toThrow(/did you mean port/);
    expect(bad({ ...at(1), metadata: { a: 1 } })).toThrow(/service\.metadata\.a must be a string/);
    expect(bad({ ...at(1), status: 'fine' })).toThrow(/service\.status must be 'healthy'/);
    expect(bad({ host: 'x', port: 1 })).toThrow(/service\.id must be a string/);
    expect(bad(null as never)).toThrow(/service must be an object/);
    expect(() => new StaticDiscovery([at(1), at(0)])).toThrow(/^services\[1\]\.port must be/);
    expect(() => new StaticDiscovery({} as never)).toThrow(/services must be an array/);
    await expect(discovery.updateServiceHealth('a', 'toString' as never)).rejects.toThrow(
      /status must be/,
    );
    expect(await discovery.listServices()).toEqual([]);
  });
});

describe('checkHealth', () => {
  let server: Server | undefined;
  afterEach(() => server?.close());

  it('finds out who can be connected to', async () => {
    server = createServer((socket) => socket.resume()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const closed = createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const { port: nobody } = closed.address() as AddressInfo;
    closed.close();
    await once(closed, 'close');

    const discovery = new StaticDiscovery([
      at(port, { host: '127.0.0.1' }),
      at(nobody, { host: '127.0.0.1' }),
    ]);
    const health = await discovery.checkHealth('a');
    expect(health).toMatchObject({
      id: 'a',
      status: 'healthy',
      instances: [
        { port, status: 'healthy' },
        { port: nobody, status: 'unhealthy', error: 'ECONNREFUSED' },
      ],
    });
    expect([discovery.lookup('a')?.port, discovery.lookup('a')?.port]).toEqual([port, port]);
    await discovery.removeService('a', { host: '127.0.0.1', port });
    expect((await discovery.checkHealth('a')).status).toBe('unhealthy');
  });

  it('is bounded in time, and stands the removal of what it asks', async () => {
    // An address for documentation (RFC 5737): nothing answers there, or the network reports that.
    const discovery = new StaticDiscovery([at(9, { host: '192.0.2.1' })]);
    const started = performance.now();
    const checking = discovery.checkHealth('a', { timeoutMs: 100 });
    await discovery.removeService('a');
    expect(await checking).toMatchObject({
      status: 'unhealthy',
      instances: [{ status: 'unhealthy' }],
    });
    expect(performance.now() - started).toBeLessThan(2_000);
    expect(await discovery.listServices()).toEqual([]);
  });

  it('refuses what it cannot check', async () => {
    const discovery = new StaticDiscovery();
    await expect(discovery.checkHealth('x')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      reason: 'UNKNOWN_SERVICE',
    });
    await expect(discovery.checkHealth('x', { timeoutMs: -1 })).rejects.toThrow(/timeoutMs/);
    await expect(discovery.checkHealth('x', { timeout: 1 } as never)).rejects.toThrow(/timeoutMs/);
  });
});
