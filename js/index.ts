// What the package exports.

export { SecureMesh } from './mesh.js';
export { SecureMeshClient } from './client.js';
export { SecureMeshServer } from './server.js';
export { Context } from './context.js';
export type {
  CallKind,
  CallOptions,
  ClientMiddleware,
  Handler,
  HandlerOf,
  HandlerOptions,
  HandlerPolicy,
  Items,
  Middleware,
  OutgoingCall,
} from './call-types.js';
export {
  bidiStream,
  clientStream,
  defineContract,
  serverStream,
  unary,
  type ConnectOptions,
  type Contract,
  type ContractClient,
  type ErrorsOf,
  type Implementation,
  type ImplementOptions,
  type Procedure,
  type ProcedureDefinition,
  type Procedures,
} from './contract.js';
export { isDeclaredError, safe, type CallPromise, type SafeResult } from './safe.js';
export type { RouteLike, RouterLike, RouterTree } from './mount.js';
export type {
  DeclaredError,
  DeclaredErrorOptions,
  DeclaredErrors,
  ErrorDefinition,
  ErrorFactories,
  ErrorMap,
} from './declared-errors.js';
export type {
  SchemaInput,
  SchemaIssue,
  SchemaOutput,
  SchemaResult,
  StandardSchema,
  ValidationIssue,
} from './schema.js';
export type { MeshAuditEvent, MonitoringAdapter } from './audit-event.js';
export { AuditLogger, type AuditLoggerConfig, type AuditLoggerStats } from './audit-logger.js';
export { CircuitBreaker, CircuitState, type CircuitBreakerConfig } from './circuit-breaker.js';
export { ConsoleAdapter } from './console-adapter.js';
export {
  CryptoManager,
  type AesKeySize,
  type CryptoData,
  type CryptoManagerOptions,
  type DecryptOptions,
  type EncryptedData,
  type LegacyEncryptedData,
} from './crypto-manager.js';
export { MeshError, type MeshErrorCode, type MeshErrorOptions } from './errors.js';
export { FileAdapter, type FileAdapterOptions } from './file-adapter.js';
export {
  HealthMonitor,
  type HealthCheck,
  type HealthCheckResult,
  type HealthMonitorOptions,
  type HealthStatus,
} from './health-monitor.js';
export {
  HttpAdapter,
  type HttpAdapterConfig,
  type HttpAuth,
  type HttpClient,
} from './http-adapter.js';
export {
  JWTManager,
  type ExpectedToken,
  type JWTManagerOptions,
  type KeyPairSource,
  type RotateSecretOptions,
  type TokenPayload,
} from './jwt-manager.js';
export type { IdempotencyConfig } from './idempotency-limits.js';
export { KeyManager, type KeyPair, type RsaKeySize } from './key-manager.js';
export { KeyRotation, type KeyRotationConfig, type RotatesKeys } from './key-rotation.js';
export { MetricsCollector, type CallRecord, type MeshMetrics } from './metrics-collector.js';
export { RateLimiter, type RateLimiterConfig, type RateLimitResult } from './rate-limiter.js';
export { RetryPolicy, type RetryOptions, type RetryPolicyConfig } from './retry-policy.js';
export type { RotateMeshSecretOptions } from './rotation.js';
export {
  SessionManager,
  type Session,
  type SessionManagerOptions,
  type SessionStats,
} from './session-manager.js';
export {
  StaticDiscovery,
  type CheckHealthOptions,
  type DiscoveryChange,
  type InstanceAddress,
  type ServiceDiscovery,
  type ServiceHealth,
  type ServiceInfo,
  type ServiceStatus,
} from './static-discovery.js';
export { TimeoutManager, type TimeoutConfig } from './timeout-manager.js';
export { version } from './version.js';
export type {
  Caller,
  Duration,
  Logger,
  MeshAddress,
  MeshConfig,
  MeshHealth,
  MeshLimits,
  MeshStats,
  PeerSession,
  SecureMeshConfig,
  SecurityConfig,
  ServiceConfig,
  Trust,
} from './types.js';
