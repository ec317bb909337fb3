// The test kit: `@lemur-bookstores/secure-stack-mesh/testing`.

export type { Fault, FaultRule, Faults } from './faults.js';
export {
  createHandlerContext,
  type HandlerContextOptions,
  type ServiceStubs,
} from './handler-context.js';
export {
  createTestMesh,
  implementation,
  type TestConfig,
  type TestConnectOptions,
  type TestMesh,
  type TestMeshOptions,
  type TestService,
} from './test-mesh.js';
