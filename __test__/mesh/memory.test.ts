// The memory budget as an application sees it.
import { describe, expect, it } from 'vitest';
import { MeshError } from '../../js/index.js';
import { make, pair } from '../support/meshes.js';
import { until } from '../support/promises.js';

const MIB = 1024 * 1024;
const limits = { maxMessageBytes: MIB / 4, maxMemoryBytes: 4 * MIB };

describe('the memory of a mesh', () => {
  it('is in its statistics, and little of it makes its health degraded', async () => {
    const releases: (() => void)[] = [];
    const hang = () => new Promise<null>((resolve) => releases.push(() => resolve(null)));
    const { client, mesh, server } = await pair(
      (server) => server.handle('hang', hang),
      { limits },
      { limits },
    );
    expect(server.getStats().memory).toMatchObject({ limitBytes: 4 * MIB, usedBytes: 0 });
    const input = Buffer.alloc(MIB / 5);
    // Own calls have three quarters, and what a peer asks for has the rest.
    const calls = Array.from({ length: 40 }, () =>
      client.call('hang', input).catch((e: unknown) => e),
    );
    await until(() => mesh.getStats().memory.refused > 0);
    await until(() => releases.length >= 4);
    const { usedBytes, peakBytes, refused } = server.getStats().memory;
    expect(usedBytes).toBeGreaterThan((4 * MIB) / 5);
    expect(usedBytes).toBeLessThanOrEqual(1.5 * MIB);
    expect(peakBytes).toBeGreaterThanOrEqual(usedBytes);
    expect(refused).toBeGreaterThan(0);
    expect(await server.healthCheck()).toMatchObject({ status: 'healthy' });
    for (const release of releases) release();
    const errors = (await Promise.all(calls)).filter((error) => error instanceof MeshError);
    expect(errors.length).toBeGreaterThan(0);
    for (const error of errors) {
      expect(error).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'MEMORY_LIMIT' });
      expect(error.retryable).toBe(true);
      expect(error.retryAfterMs).toBeGreaterThan(0);
    }
    await until(() => server.getStats().memory.usedBytes === 0);
    await until(() => mesh.getStats().memory.usedBytes === 0);
  });

  it('is nothing before the mesh is initialized', () => {
    expect(make('a').getStats().memory).toEqual({
      limitBytes: 0,
      usedBytes: 0,
      peakBytes: 0,
      refused: 0,
    });
  });

  it('has room for 16 of the largest messages at least', () => {
    expect(() => make('a', { limits: { maxMemoryBytes: MIB } })).toThrow(
      /limits\.maxMemoryBytes must be 67108864…/,
    );
  });
});
