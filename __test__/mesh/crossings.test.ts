import { describe, expect, it, onTestFinished } from 'vitest';
import type { MeshConfig } from '../../js/index.js';
import { native } from '../../js/base/native.js';
import { pair } from '../support/meshes.js';

const CLASSES = [
  'NativeMesh',
  'NativeMetrics',
  'NativeQuota',
  'NativeCircuitBreaker',
  'NativeRetryPolicy',
] as const;

type Methods = Record<string, (this: unknown, ...args: unknown[]) => unknown>;

/** Counts the calls of methods of the addon until the test is over. */
function countCrossings(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of CLASSES) {
    const methods = native()[name].prototype as unknown as Methods;
    for (const method of Object.getOwnPropertyNames(methods)) {
      // Not the accessors: those are read while a mesh is made, not for its calls.
      const original = Object.getOwnPropertyDescriptor(methods, method)?.value as unknown;
      if (method === 'constructor' || typeof original !== 'function') continue;
      methods[method] = function count(...args) {
        counts.set(name, (counts.get(name) ?? 0) + 1);
        return (original as Methods[string]).apply(this, args);
      };
      onTestFinished(() => {
        methods[method] = original as Methods[string];
      });
    }
  }
  return counts;
}

describe('a unary call', () => {
  it('crosses to the addon as often with monitoring, quota, breaker and retries as without', async () => {
    const resilience: MeshConfig['resilience'] = {
      rateLimit: { maxRequests: 1_000_000, windowMs: 1_000 },
      circuitBreaker: { failureThreshold: 3, successThreshold: 1, timeout: 60_000 },
      retry: { maxAttempts: 3 },
    };
    const adapters = [{ logEvent: async () => undefined }];
    const all = { resilience, monitoring: { enabled: true, adapters } };
    const counts = countCrossings();
    const crossings = async (extra: Partial<MeshConfig>): Promise<number> => {
      const { mesh, server, client } = await pair(
        (mesh) => mesh.handle('m', () => 1),
        extra,
        extra,
      );
      await client.call('m', 1, { idempotent: true });
      counts.clear();
      for (let n = 0; n < 100; n += 1) await client.call('m', n, { idempotent: true });
      const { NativeMesh: calls = 0, ...others } = Object.fromEntries(counts);
      expect(others, 'nothing but batches crosses').toEqual({});
      await Promise.all([mesh.cleanup(), server.cleanup()]);
      return calls;
    };
    const without = await crossings({});
    expect(without).toBeGreaterThanOrEqual(400);
    const withAll = await crossings(all);
    // The distribution of events to batches depends on timing.
    expect(Math.abs(withAll - without)).toBeLessThanOrEqual(without / 20);
  });

  it('is counted by the core, with its latency and its code', async () => {
    const monitoring = { enabled: true, adapters: [{ logEvent: async () => undefined }] };
    const { mesh, client } = await pair((mesh) => mesh.handle('m', () => 1), {}, { monitoring });
    for (let n = 0; n < 3; n += 1) await client.call('m');
    await client.call('none').catch(() => undefined);
    const { performance, connections } = mesh.getStats().metrics;
    expect(performance.minLatency).toBeGreaterThan(0);
    expect(performance.maxLatency).toBeGreaterThanOrEqual(performance.avgLatency);
    expect(connections.total).toBe(1);
  });
});
