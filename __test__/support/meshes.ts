// Meshes for tests: with a separate key directory, small keys and free ports, closed after the test.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, onTestFinished } from 'vitest';
import { SecureMesh, type MeshConfig, type SecureMeshClient } from '../../js/index.js';

/** A key directory for one test file, so that keys are generated once. */
export const keysDir = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-test-'));
afterAll(() => rmSync(keysDir, { recursive: true, force: true }));

/** A minimal configuration. */
export function config(serviceId: string, extra: Partial<MeshConfig> = {}): MeshConfig {
  return {
    serviceId,
    ...extra,
    paths: { keysDir, ...extra.paths },
    security: { rsaKeySize: 2048, ...extra.security },
  };
}

/** A mesh that is cleaned up after the test; not initialized. */
export function make(serviceId: string, extra: Partial<MeshConfig> = {}): SecureMesh {
  const mesh = new SecureMesh(config(serviceId, extra));
  onTestFinished(() => mesh.cleanup());
  return mesh;
}

/** A listening mesh. */
export async function serve(
  serviceId: string,
  setup: (mesh: SecureMesh) => void,
  extra: Partial<MeshConfig> = {},
): Promise<SecureMesh> {
  const mesh = make(serviceId, { port: 0, ...extra });
  setup(mesh);
  await mesh.initialize();
  return mesh;
}

/** The entry of a service for discovery. */
export function entry(id: string, mesh: SecureMesh): { id: string; host: string; port: number } {
  const address = mesh.address();
  if (address === null) throw new Error(`${id} does not listen`);
  return { id, ...address };
}

/** A mesh that only calls, and its client for `server`. */
export async function call(
  server: SecureMesh,
  extra: Partial<MeshConfig> = {},
): Promise<{ mesh: SecureMesh; client: SecureMeshClient }> {
  const { service } = server.getStats();
  const mesh = make('caller', { discovery: { services: [entry(service, server)] }, ...extra });
  await mesh.initialize();
  return { mesh, client: mesh.connect(service) };
}

/** A server with handlers and a client for it, in one line. */
export async function pair(
  setup: (mesh: SecureMesh) => void,
  serverExtra: Partial<MeshConfig> = {},
  callerExtra: Partial<MeshConfig> = {},
): Promise<{ server: SecureMesh; mesh: SecureMesh; client: SecureMeshClient }> {
  const server = await serve('server', setup, serverExtra);
  return { server, ...(await call(server, callerExtra)) };
}

/** Waits until the instance of this name answers `who`. Until a list is read there may be none. */
export async function untilAnswers(client: SecureMeshClient, name: string): Promise<void> {
  let answer = '';
  const end = Date.now() + 10_000;
  while (answer !== name) {
    if (Date.now() > end) throw new Error(`${answer} answers, not ${name}`);
    answer = await client
      .call<undefined, string>('who', undefined, { timeoutMs: 5_000 })
      .catch((error: unknown) => String(error));
  }
}
