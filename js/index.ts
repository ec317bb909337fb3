// The exports of the package.

import { standaloneLink } from './compat/standalone.js';
import { provideStandalone } from './rpc/client.js';

export { SecureMesh } from './mesh/mesh.js';
export { SecureMeshClient } from './rpc/client.js';
export { SecureMeshServer } from './compat/server.js';
export { Context } from './rpc/context.js';
export {
  CertificateAuthority,
  type CertificateAuthorityOptions,
  type CertificateAuthorityStatus,
  type IssuedCertificate,
  type IssueOptions,
  type JoinToken,
  type JoinTokenOptions,
  type RevokedCertificate,
  type RevokeOptions,
  type RotateAuthorityOptions,
  type TrustBundle,
} from './authority/certificate-authority.js';
export { certificateAuthority, type CertificateAuthorityService } from './authority/service.js';
export type {
  CallKind,
  Priority,
  CallOptions,
  ClientMiddleware,
  Items,
  OutgoingCall,
} from './rpc/call-types.js';
export type {
  Handler,
  HandlerOf,
  HandlerOptions,
  HandlerPolicy,
  Middleware,
} from './rpc/handler-types.js';
export {
  bidiStream,
  clientStream,
  defineContract,
  serverStream,
  unary,
  type Contract,
  type ErrorsOf,
  type Procedure,
  type ProcedureDefinition,
  type Procedures,
} from './rpc/contract.js';
export type { ConnectOptions, ContractClient } from './rpc/contract-client.js';
export type { Implementation, ImplementOptions } from './incoming/contract-routes.js';
export type { ScopeOptions } from './rpc/outer-scope.js';
export { isDeclaredError, safe, type CallPromise, type SafeResult } from './rpc/safe.js';
export type { RouteLike, RouterLike, RouterTree } from './incoming/mount.js';
export type {
  DeclaredError,
  DeclaredErrorOptions,
  DeclaredErrors,
  ErrorDefinition,
  ErrorFactories,
  ErrorMap,
} from './rpc/declared-errors.js';
export type {
  SchemaInput,
  SchemaIssue,
  SchemaOutput,
  SchemaResult,
  StandardSchema,
  ValidationIssue,
} from './rpc/schema.js';
export type { MeshAuditEvent, MonitoringAdapter } from './monitoring/audit-event.js';
export {
  AuditLogger,
  type AuditLoggerConfig,
  type AuditLoggerStats,
} from './monitoring/audit-logger.js';
export {
  CircuitBreaker,
  CircuitState,
  type CircuitBreakerConfig,
} from './resilience/circuit-breaker.js';
export { ConsoleAdapter } from './monitoring/console-adapter.js';
export {
  CryptoManager,
  type AesKeySize,
  type CryptoManagerOptions,
} from './crypto/crypto-manager.js';
export type { CryptoData } from './crypto/bytes.js';
export type { DecryptOptions, EncryptedData, LegacyEncryptedData } from './crypto/envelope.js';
export { MeshError, type MeshErrorCode, type MeshErrorOptions } from './base/errors.js';
export {
  expressErrors,
  fastifyErrors,
  type ExpressResponseLike,
  type FastifyReplyLike,
  type FastifyRequestLike,
  type HttpErrorOptions,
} from './base/http-adapters.js';
export { serve, type ServeOptions } from './mesh/serve.js';
export { toHttpStatus, toProblem, type Problem } from './base/http.js';
export { FileAdapter, type FileAdapterOptions } from './monitoring/file-adapter.js';
export {
  HealthMonitor,
  type HealthCheck,
  type HealthCheckResult,
  type HealthMonitorOptions,
  type HealthStatus,
} from './monitoring/health-monitor.js';
export {
  HttpAdapter,
  type HttpAdapterConfig,
  type HttpAuth,
  type HttpClient,
} from './monitoring/http-adapter.js';
export {
  JWTManager,
  type ExpectedToken,
  type JWTManagerOptions,
  type KeyPairSource,
  type RotateSecretOptions,
  type TokenPayload,
} from './crypto/jwt-manager.js';
export type { IdempotencyConfig } from './incoming/idempotency-limits.js';
export type {
  MethodDescription,
  SchemaDescription,
  ServiceDescription,
} from './incoming/describe.js';
export type { ObserveOption } from './mesh/types.js';
export { KeyManager, type KeyPair, type RsaKeySize } from './crypto/key-manager.js';
export {
  KeyRotation,
  type KeyRotationConfig,
  type MakesSessionKeys,
  type RotatesKeys,
} from './crypto/key-rotation.js';
export {
  MetricsCollector,
  type CallRecord,
  type MeshMetrics,
} from './monitoring/metrics-collector.js';
export {
  RateLimiter,
  type RateLimiterConfig,
  type RateLimitResult,
} from './resilience/rate-limiter.js';
export {
  RetryPolicy,
  type RetryOptions,
  type RetryPolicyConfig,
} from './resilience/retry-policy.js';
export type { SharedQuotaConfig } from './resilience/shared-quota.js';
export type { MeshEventMap, MeshListener } from './mesh/events.js';
export type { ReadinessCheck } from './mesh/readiness.js';
export type { Revocation, RotateMeshSecretOptions } from './mesh/rotation.js';
export {
  SessionManager,
  type Session,
  type SessionManagerOptions,
  type SessionStats,
} from './crypto/session-manager.js';
export {
  StaticDiscovery,
  type CheckHealthOptions,
  type DiscoveryChange,
  type InstanceAddress,
  type ServiceDiscovery,
  type ServiceHealth,
  type ServiceInfo,
  type ServiceStatus,
} from './discovery/static-discovery.js';
export type {
  AdvertisedAddress,
  DiscoveredService,
  DiscoveryProvider,
  Instance,
  ProviderOption,
} from './discovery/provider.js';
export { TimeoutManager, type TimeoutConfig } from './resilience/timeout-manager.js';
export type { Logger } from './base/logger.js';
export type { Duration } from './base/values.js';
export type { Caller, Trust } from './rpc/caller.js';
export type { PeerCertificate, PeerSession } from './incoming/peers.js';
export { version } from './base/version.js';
export type {
  AdminConfig,
  AdminTlsConfig,
  AcceptedTrustConfig,
  AuthorizationConditions,
  AuthorizationConfig,
  AuthorizationRule,
  BalancingConfig,
  BuiltInProvider,
  BulkheadConfig,
  CallerConfig,
  CertificateConfig,
  ConcurrencyConfig,
  ConsulProviderConfig,
  CoreConfig,
  DiscoveryConfig,
  DiscoveryOptions,
  DnsProviderConfig,
  EjectionConfig,
  EnrolmentConfig,
  EtcdProviderConfig,
  FileProviderConfig,
  KubernetesProviderConfig,
  MeshLimits,
  PathsConfig,
  SecurityConfig,
  ServiceConfig,
  TlsConfig,
  TracingConfig,
} from './mesh/options.js';
export type {
  AuthorizationExplanation,
  AuthorizationRequest,
  MeshAddress,
  MeshConfig,
  MeshHealth,
  MemoryStats,
  MeshStats,
  SecureMeshConfig,
} from './mesh/types.js';

// The registration is here because the package is marked as free of side effects: the bundler would drop a
// module that only registers something.
provideStandalone(standaloneLink);
