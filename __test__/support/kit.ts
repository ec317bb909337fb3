// Services within this process, for tests that do not need sockets: the package's own test kit, closed after
// the test.
import { onTestFinished } from 'vitest';
import type { SecureMesh, SecureMeshClient } from '../../js/index.js';
import {
  createTestMesh,
  type TestConfig,
  type TestMesh,
  type TestService,
} from '../../js/testing/index.js';

/** Services, by their ids. */
export async function services<const TId extends string>(
  own: Readonly<Record<TId, TestService>>,
  config?: TestConfig | ((serviceId: string) => TestConfig),
): Promise<TestMesh<TId>> {
  const kit = await createTestMesh({ services: own, config });
  onTestFinished(() => kit.cleanup());
  return kit;
}

/** One service, `server`, and a client of it, of the service `caller`. */
export async function pair(
  setup: (mesh: SecureMesh) => unknown,
  serverConfig: TestConfig = {},
  callerConfig: TestConfig = {},
): Promise<{ server: SecureMesh; mesh: SecureMesh; client: SecureMeshClient }> {
  const kit = await services({ server: setup }, (id) =>
    id === 'server' ? serverConfig : callerConfig,
  );
  const mesh = kit.mesh('caller');
  await mesh.initialize();
  return { server: kit.mesh('server'), mesh, client: mesh.connect('server') };
}
