import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  AuditLogger,
  CryptoManager,
  HealthMonitor,
  KeyManager,
  KeyRotation,
  type HealthCheckResult,
  type MeshAuditEvent,
} from '../../js/index.js';
import { run } from '../support/processes.js';
import { deferred, errorOf, until } from '../support/promises.js';

describe('KeyRotation', () => {
  async function crypto(): Promise<CryptoManager> {
    const manager = new CryptoManager({ rsaKeySize: 2048 });
    await manager.initialize();
    return manager;
  }

  it('really replaces the key, and names it by its public half (P23, P24)', async () => {
    const manager = await crypto();
    const peer = await crypto();
    const previous = manager.getPublicKey();
    const envelope = peer.encrypt('for the previous key', previous);
    const fingerprints: string[] = [];
    const entries: MeshAuditEvent[] = [];
    const audit = new AuditLogger({
      adapters: [{ logEvent: async (entry) => void entries.push(entry) }],
    });
    const onRotation = (fingerprint: string) => fingerprints.push(fingerprint);
    const config = { rotationInterval: 86_400_000, onRotation };
    const rotation = new KeyRotation('orders', manager, config, audit);
    await rotation.rotate();
    const current = manager.getPublicKey();
    expect(current).not.toBe(previous);
    expect(fingerprints).toEqual([manager.getThumbprint()]);
    const onlyPublic = new CryptoManager({ rsaKeySize: 2048 });
    onlyPublic.importKeyPair(manager.exportKeyPair());
    expect(onlyPublic.getThumbprint()).toBe(fingerprints[0]);
    expect(manager.verify('x', manager.sign('x'), current)).toBe(true);
    expect(manager.verify('x', manager.sign('x'), previous)).toBe(false);
    expect(manager.decrypt(envelope, peer.getPublicKey()).toString()).toBe('for the previous key');
    expect(entries).toMatchObject([
      { eventType: 'key_rotation', serviceId: 'orders', details: { success: true } },
    ]);
    expect(JSON.stringify(entries)).not.toContain('PRIVATE');
    rotation.destroy();
  });

  it('stores the new key where the old one was (P23)', async () => {
    const keysDir = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-rotation-'));
    onTestFinished(() => rmSync(keysDir, { recursive: true, force: true }));
    const keyManager = new KeyManager(keysDir, 2048);
    const manager = new CryptoManager({ keyManager });
    await manager.initialize('orders');
    await new KeyRotation('orders', manager, { rotationInterval: 1_000 }).rotate();
    expect(keyManager.loadKeyPair('orders')?.publicKey).toBe(manager.getPublicKey());
  });

  describe('by itself', () => {
    beforeEach(() => {
      vi.useFakeTimers();
    });
    afterEach(() => {
      expect(vi.getTimerCount()).toBe(0);
      vi.useRealTimers();
    });

    const stub = (rotate: () => Promise<string>): CryptoManager =>
      Object.assign(Object.create(CryptoManager.prototype) as CryptoManager, {
        rotate,
        getThumbprint: () => 'thumbprint',
      });

    it('rotates after each interval, however long, and stops', async () => {
      const rotate = vi.fn(async () => 'pem');
      const config = { rotationInterval: '90d', autoRotate: true };
      const rotation = new KeyRotation('orders', stub(rotate), config);
      const day = 86_400_000;
      await vi.advanceTimersByTimeAsync(89 * day);
      expect(rotate).toHaveBeenCalledTimes(0);
      await vi.advanceTimersByTimeAsync(2 * day);
      expect(rotate).toHaveBeenCalledTimes(1);
      await vi.advanceTimersByTimeAsync(90 * day);
      expect(rotate).toHaveBeenCalledTimes(2);
      rotation.stop();
      await vi.advanceTimersByTimeAsync(365 * day);
      expect(rotate).toHaveBeenCalledTimes(2);
    });

    it('says when it fails, tries again soon, and logs it', async () => {
      const rotate = vi.fn(() => Promise.reject(new Error('disk full')));
      const errors: string[] = [];
      const entries: MeshAuditEvent[] = [];
      const audit = new AuditLogger({
        adapters: [{ logEvent: async (entry) => void entries.push(entry) }],
      });
      const rotation = new KeyRotation(
        'orders',
        stub(rotate),
        {
          rotationInterval: '1d',
          autoRotate: true,
          onError: (error) => void errors.push(error.message),
        },
        audit,
      );
      await vi.advanceTimersByTimeAsync(86_400_000);
      expect(errors).toEqual(['disk full']);
      expect(entries).toMatchObject([{ details: { success: false, error: 'disk full' } }]);
      await vi.advanceTimersByTimeAsync(60_000);
      expect(rotate).toHaveBeenCalledTimes(2);
      expect(await errorOf(rotation.rotate())).toMatchObject({ message: 'disk full' });
      rotation.destroy();
    });

    it('does it once when asked twice, and whatever its listener does', async () => {
      const gate = deferred<string>();
      const rotate = vi.fn(() => gate.promise);
      const onError = vi.fn();
      const rotation = new KeyRotation('orders', stub(rotate), {
        rotationInterval: 1_000,
        onRotation: () => {
          throw new Error('listener');
        },
        onError,
      });
      const both = [rotation.rotate(), rotation.rotate()];
      gate.resolve('pem');
      await Promise.all(both);
      expect(rotate).toHaveBeenCalledTimes(1);
      expect(onError).toHaveBeenCalledTimes(1);
    });

    it('keeps no process alive', () => {
      const timers = vi.spyOn(globalThis, 'setTimeout');
      const config = { rotationInterval: 1_000, autoRotate: true };
      const rotation = new KeyRotation('orders', stub(vi.fn()), config);
      expect((timers.mock.results[0]?.value as NodeJS.Timeout).hasRef()).toBe(false);
      rotation.stop();
      timers.mockRestore();
    });
  });

  it('names the setting that is wrong', async () => {
    const manager = new CryptoManager();
    const bad = (config: object) => () => new KeyRotation('a', manager, config as never);
    expect(bad({})).toThrow(/config.rotationInterval/);
    expect(bad({ rotationInterval: 0 })).toThrow(/config.rotationInterval must be at least 1 ms/);
    expect(bad({ rotationInterval: 5, onRotate: 1 })).toThrow(/did you mean onRotation/);
    expect(() => new KeyRotation('a', {} as never, { rotationInterval: 5 })).toThrow(
      /CryptoManager/,
    );
  });
});

describe('HealthMonitor', () => {
  const found = async (status: HealthCheckResult['status']): Promise<HealthCheckResult> => ({
    status,
    timestamp: new Date(),
  });

  it('knows the worst of what was found', async () => {
    const monitor = new HealthMonitor();
    expect(monitor.getOverallStatus()).toBe('healthy');
    monitor.registerCheck({ name: 'a', check: () => found('healthy') });
    expect(monitor.getOverallStatus(), 'nothing is known yet').toBe('degraded');
    await monitor.runChecks();
    expect(monitor.getOverallStatus()).toBe('healthy');
    monitor.registerCheck({ name: 'b', check: () => found('degraded') });
    monitor.registerCheck({ name: '__proto__', check: () => Promise.reject(new Error('down')) });
    await monitor.runChecks();
    expect(monitor.getOverallStatus()).toBe('unhealthy');
    const results = monitor.getResults();
    expect(Object.keys(results)).toEqual(['a', 'b', '__proto__']);
    expect(Object.getOwnPropertyDescriptor(results, '__proto__')?.value).toMatchObject({
      status: 'unhealthy',
      details: { error: 'down' },
    });
  });

  it('waits for no check that does not answer, nor for one after the other', async () => {
    const monitor = new HealthMonitor(1_000, { timeoutMs: 20 });
    const gate = deferred();
    monitor.registerCheck({ name: 'stuck', check: () => new Promise(() => undefined) });
    monitor.registerCheck({
      name: 'needs the other',
      check: async () => {
        await gate.promise;
        return found('healthy');
      },
    });
    monitor.registerCheck({
      name: 'other',
      check: () => {
        gate.resolve();
        return found('healthy');
      },
    });
    monitor.registerCheck({ name: 'nonsense', check: async () => ({ status: 'fine' }) as never });
    await monitor.runChecks();
    expect(monitor.getResults()).toMatchObject({
      stuck: { status: 'unhealthy', details: { error: expect.stringContaining('in time') } },
      'needs the other': { status: 'healthy' },
      nonsense: { status: 'unhealthy' },
    });
  });

  it('checks again and again until stopped', async () => {
    const monitor = new HealthMonitor(5);
    const check = vi.fn(() => found('healthy'));
    monitor.registerCheck({ name: 'a', check });
    monitor.start();
    monitor.start();
    await until(() => check.mock.calls.length >= 3);
    monitor.stop();
    const calls = check.mock.calls.length;
    await new Promise((resolve) => setTimeout(resolve, 40));
    expect(check.mock.calls.length).toBeLessThanOrEqual(calls + 1);
  });

  it('runs one round at a time', async () => {
    const monitor = new HealthMonitor();
    const gate = deferred();
    const check = vi.fn(async () => {
      await gate.promise;
      return found('healthy');
    });
    monitor.registerCheck({ name: 'a', check });
    const both = [monitor.runChecks(), monitor.runChecks()];
    gate.resolve();
    await Promise.all(both);
    expect(check).toHaveBeenCalledTimes(1);
  });

  it('names what is wrong', () => {
    expect(() => new HealthMonitor(0)).toThrow(/checkIntervalMs must be at least 1/);
    expect(() => new HealthMonitor(5, { timeout: 1 } as never)).toThrow(/did you mean timeoutMs/);
    expect(() => new HealthMonitor().registerCheck({ name: 'a' } as never)).toThrow(/check.check/);
  });
});

it('keeps no process alive with its timers', async () => {
  const { ended } = run('unref');
  const { code, output } = await ended;
  expect(output).toContain('started');
  expect(code).toBe(0);
}, 30_000);
