// Each alert rule fires in a real Prometheus because its fault happens, and only then. The rules are those of
// `docs/monitoring` with shorter times.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { root } from '../../scripts/lib.mjs';
import { SecureMesh, type MeshConfig } from '../../js/index.js';
import { Authority } from '../support/authority.js';
import { config, entry, make, serve } from '../support/meshes.js';
import { errorOf, sleep } from '../support/promises.js';
import { installed, prometheus, promtool, TOKEN, type Prometheus } from '../support/prometheus.js';

const RULES = readFileSync(join(root, 'docs', 'monitoring', 'alerts.yml'), 'utf8');
const NAMES = [...RULES.matchAll(/alert: (\w+)/g)].map(([, name]) => name as string);
const SEEN: Partial<MeshConfig> = { admin: { port: 0, token: TOKEN } };
const SECRET = 'xa8v2Qm5Zr7Kd0Wf3Jt6Yb9Nc1Ls4HgPq';

/** A copy of the rules in which only durations are others. */
function hastened(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mesh-alerts-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'alerts.yml');
  const shorter = RULES.replaceAll(/\[\d+m\]/g, '[15s]').replaceAll(/offset \d+m/g, 'offset 15s');
  writeFileSync(file, shorter.replaceAll(/for: \d+m/g, 'for: 1s'));
  return file;
}

/**
 * A fault: the meshes that are scraped, and its cause, which is repeated until the alert fires, or happens `once` after
 * a scrape.
 */
interface Fault {
  readonly meshes: SecureMesh[];
  readonly cause: () => Promise<unknown>;
  readonly once?: boolean;
}

/** A caller that is scraped, of a service. */
async function caller(server: SecureMesh, extra: Partial<MeshConfig> = {}): Promise<SecureMesh> {
  const { service } = server.getStats();
  const mesh = make(`caller-of-${service}`, {
    discovery: { services: [entry(service, server)] },
    ...SEEN,
    ...extra,
  });
  await mesh.initialize();
  return mesh;
}

/** A service with handlers of one kind of fault each. */
const service = (id: string, setup: (mesh: SecureMesh) => void, extra: Partial<MeshConfig> = {}) =>
  serve(id, setup, { ...SEEN, ...extra });

const FAULTS: Record<string, () => Promise<Fault>> = {
  MeshCallsFail: async () => {
    const nothing = (): void => {};
    const logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };
    const fail = (): never => {
      throw new Error('no');
    };
    const server = await service('failing', (mesh) => void mesh.handle('fail', fail), { logger });
    const mesh = await caller(server);
    return { meshes: [mesh], cause: () => errorOf(mesh.connect('failing').call('fail')) };
  },
  MeshCallsSlow: async () => {
    const server = await service('slow', (mesh) => void mesh.handle('wait', () => sleep(1_500)));
    const mesh = await caller(server);
    return { meshes: [mesh], cause: () => mesh.connect('slow').call('wait') };
  },
  MeshBreakerOpen: async () => {
    const server = await service('broken', () => {});
    const circuitBreaker = { failureThreshold: 2, successThreshold: 1, timeout: 60_000 };
    const mesh = await caller(server, { resilience: { circuitBreaker } });
    await server.cleanup();
    return {
      meshes: [mesh],
      cause: () => errorOf(mesh.connect('broken').call('x', null, { timeoutMs: 500 })),
    };
  },
  MeshCertificateExpires: async () => {
    const certificate = {
      ...new Authority().issue('expiring', { days: '2' }),
      trustDomain: 'shop.example',
    };
    const mesh = await service('expiring', () => {}, { security: { certificate } });
    return { meshes: [mesh], cause: async () => {} };
  },
  MeshPeersRefused: async () => {
    const server = await service('closed', () => {}, { security: { jwtSecret: SECRET } });
    // Each is a new process, so to speak: one that was refused would rest for longer and longer.
    const stranger = async (number: number): Promise<void> => {
      const mesh = new SecureMesh(
        config(`stranger-${number}`, {
          discovery: { services: [entry('closed', server)] },
          security: { jwtSecret: SECRET.toUpperCase() },
        }),
      );
      await mesh.initialize();
      await errorOf(mesh.connect('closed').call('x', null, { timeoutMs: 500 }));
      await mesh.cleanup();
    };
    return {
      meshes: [server],
      cause: () => Promise.all(Array.from({ length: 8 }, (_, number) => stranger(number))),
    };
  },
  MeshRequestsDenied: async () => {
    const server = await service('guarded', (mesh) => void mesh.handle('secret', () => 1), {
      authorization: { rules: [{ from: ['nobody'], to: ['*'] }] },
    });
    const mesh = await caller(server);
    const cause = (): Promise<unknown> => errorOf(mesh.connect('guarded').call('secret'));
    return { meshes: [server], cause, once: true };
  },
  MeshLimitNear: async () => {
    const server = await service('busy', (mesh) => void mesh.handle('wait', () => sleep(60_000)));
    const mesh = await caller(server, { limits: { maxPendingCalls: 10 } });
    for (let number = 0; number < 9; number += 1) void errorOf(mesh.connect('busy').call('wait'));
    return { meshes: [mesh], cause: async () => {} };
  },
  MeshStreamsStall: async () => {
    const server = await service('pouring', (mesh) => {
      mesh.handle('pour', { kind: 'serverStream' }, async function* () {
        for (;;) yield 'x'.repeat(64 * 1024);
      });
    });
    const mesh = await caller(server);
    // Its reader takes one item and then nothing.
    const items = mesh.connect('pouring').serverStream('pour');
    await items.next();
    return { meshes: [server], cause: async () => {} };
  },
};

describe.skipIf(!installed)('the alert rules', () => {
  it('have no fault for promtool', () => {
    const { status, output } = promtool([
      'check',
      'rules',
      join(root, 'docs', 'monitoring', 'alerts.yml'),
    ]);
    expect(status, output).toBe(0);
  });

  it('have a fault each in this test', () => {
    expect(Object.keys(FAULTS).toSorted()).toEqual(NAMES.toSorted());
  });

  it('are silent while all is well', async () => {
    const server = await service('well', (mesh) => void mesh.handle('echo', (input) => input));
    const mesh = await caller(server);
    const { query, firing } = await prometheus([server, mesh], [hastened()]);
    const end = Date.now() + 60_000;
    const counted = 'sum(rate(rpc_client_call_duration_seconds_count[15s])) > 0';
    for (let seen = 0; seen < 20; seen += (await query(counted)).length) {
      if (Date.now() > end) throw new Error('nothing was scraped');
      await mesh.connect('well').call('echo', 1);
      await sleep(100);
      expect([...(await firing())]).toEqual([]);
    }
  }, 90_000);

  it.each(Object.keys(FAULTS))(
    '%s fires by its fault',
    async (name) => {
      const { meshes, cause, once = false } = await FAULTS[name]!();
      const server: Prometheus = await prometheus(meshes, [hastened()]);
      const end = Date.now() + 90_000;
      if (once) {
        while ((await server.query('securestack_start_timestamp_seconds')).length === 0) {
          if (Date.now() > end) throw new Error('nothing was scraped');
          await sleep(200);
        }
        await cause();
      }
      while (!(await server.firing()).has(name)) {
        if (Date.now() > end) throw new Error(`${name} did not fire`);
        await Promise.all([once || cause(), sleep(200)]);
      }
      // And no other one does by this fault, but those that follow from it.
      const follows = name === 'MeshBreakerOpen' ? ['MeshCallsFail', name] : [name];
      for (const other of await server.firing()) expect(follows).toContain(other);
    },
    120_000,
  );
});
