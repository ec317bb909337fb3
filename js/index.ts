// What the package exports.

export { SecureMesh } from './mesh.js';
export { SecureMeshClient } from './client.js';
export { Context } from './context.js';
export { MeshError, type MeshErrorCode, type MeshErrorOptions } from './errors.js';
export { version } from './version.js';
export type {
  Caller,
  CallOptions,
  Duration,
  Handler,
  HandlerOptions,
  HealthStatus,
  Logger,
  MeshConfig,
  MeshLimits,
  MeshStats,
  PeerSession,
  SecureMeshConfig,
  SecurityConfig,
  ServiceConfig,
  Trust,
} from './types.js';
