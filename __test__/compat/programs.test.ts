// Programs for the API of 0.2.0: type-checked against index.d.ts, and run unchanged against the package. The
// name of each test has the class.

import {
  AuditLogger,
  CircuitBreaker,
  CircuitState,
  ConsoleAdapter,
  CryptoManager,
  FileAdapter,
  HealthMonitor,
  HttpAdapter,
  JWTManager,
  KeyManager,
  KeyRotation,
  MetricsCollector,
  RateLimiter,
  RetryPolicy,
  SecureMesh,
  SecureMeshClient,
  SecureMeshServer,
  SessionManager,
  StaticDiscovery,
  TimeoutManager,
  type AuditLoggerConfig,
  type CircuitBreakerConfig,
  type EncryptedData,
  type HealthCheck,
  type HealthCheckResult,
  type HealthStatus,
  type HttpAdapterConfig,
  type HttpAuth,
  type HttpClient,
  type KeyPair,
  type KeyRotationConfig,
  type MeshAuditEvent,
  type MeshMetrics,
  type MonitoringAdapter,
  type RateLimiterConfig,
  type RateLimitResult,
  type RetryPolicyConfig,
  type SecureMeshConfig,
  type ServiceDiscovery,
  type ServiceInfo,
  type Session,
  type TimeoutConfig,
  type TokenPayload,
} from '@lemur-bookstores/secure-stack-mesh';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it, vi } from 'vitest';

const directory = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-compat-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const keysDir = join(directory, 'keys');

/** An adapter as written for 0.2.0. */
class Memory implements MonitoringAdapter {
  events: MeshAuditEvent[] = [];
  metrics: any[] = [];
  async logEvent(event: MeshAuditEvent): Promise<void> {
    this.events.push(event);
  }
  async logMetrics(metrics: any): Promise<void> {
    this.metrics.push(metrics);
  }
}

it('RateLimiter', async () => {
  const config: RateLimiterConfig = { maxRequests: 2, windowMs: 60_000, blockDuration: 5_000 };
  const limiter: RateLimiter = new RateLimiter(config);
  const first: RateLimitResult = await limiter.checkLimit('client');
  expect(first.allowed).toBe(true);
  expect(first.remaining).toBe(1);
  expect(first.resetTime.getTime()).toBeGreaterThan(Date.now());
  expect(first.retryAfter).toBeUndefined();
  await limiter.checkLimit('client');
  const third = await limiter.checkLimit('client');
  expect(third.allowed).toBe(false);
  expect(third.retryAfter, 'seconds').toBeLessThanOrEqual(30);
  limiter.reset('client');
  expect((await limiter.checkLimit('client')).allowed).toBe(true);
  limiter.destroy();
});

it('CircuitBreaker, CircuitState', async () => {
  const config: CircuitBreakerConfig = {
    failureThreshold: 2,
    successThreshold: 1,
    timeout: 20,
    monitoringPeriod: 10_000,
  };
  const breaker = new CircuitBreaker(config);
  const failing = async (): Promise<number> => {
    throw new Error('down');
  };
  await expect(breaker.execute(failing)).rejects.toThrow('down');
  expect(breaker.getState()).toBe(CircuitState.CLOSED);
  await expect(breaker.execute(failing)).rejects.toThrow('down');
  expect(breaker.getState()).toBe(CircuitState.OPEN);
  await expect(breaker.execute(async () => 1)).rejects.toThrow(/open/);
  await new Promise((resolve) => setTimeout(resolve, 30));
  const result: number = await breaker.execute<number>(async () => 1);
  expect(result).toBe(1);
  expect(breaker.getState()).toBe(CircuitState.CLOSED);
  breaker.reset();
  const states: CircuitState[] = [CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN];
  expect(states).toEqual(['closed', 'open', 'half_open']);
});

it('RetryPolicy', async () => {
  const config: RetryPolicyConfig = {
    maxAttempts: 3,
    initialDelay: 1,
    maxDelay: 10,
    backoffMultiplier: 2,
    retryableErrors: ['ECONNREFUSED'],
  };
  let tries = 0;
  const result: string = await new RetryPolicy(config).execute(async () => {
    tries += 1;
    if (tries < 3) throw new Error('connect ECONNREFUSED');
    return 'done';
  });
  expect(result).toBe('done');
  tries = 0;
  const all = new RetryPolicy({ maxAttempts: 2, initialDelay: 1 });
  const failing = all.execute(async () => {
    tries += 1;
    throw new Error('anything');
  });
  await expect(failing).rejects.toThrow('anything');
  expect(tries).toBe(2);
});

it('TimeoutManager', async () => {
  const config: TimeoutConfig = { timeout: 10, errorMessage: 'too slow' };
  const manager = new TimeoutManager(config);
  const result: number = await manager.execute(async () => 5);
  expect(result).toBe(5);
  await expect(manager.execute(() => new Promise<void>(() => undefined))).rejects.toThrow(
    'too slow',
  );
  const plain = new TimeoutManager({ timeout: 10 });
  await expect(plain.execute(() => new Promise(() => undefined))).rejects.toThrow(
    'Operation timed out',
  );
});

it('MetricsCollector', () => {
  const collector = new MetricsCollector();
  collector.recordConnection(true);
  collector.recordConnection(false);
  collector.recordConnectionClosed();
  collector.recordMessageSent();
  collector.recordMessageReceived();
  collector.recordMessageFailed();
  collector.recordLatency(5);
  collector.recordLatency(10);
  collector.recordRateLimitAllowed();
  collector.recordRateLimitBlocked();
  collector.recordCircuitBreakerState('closed');
  collector.recordCircuitBreakerState('open');
  collector.recordCircuitBreakerState('half_open');
  const metrics: MeshMetrics = collector.getMetrics();
  expect(metrics).toEqual({
    connections: { total: 2, active: 0, failed: 1 },
    messages: { sent: 1, received: 1, failed: 1 },
    performance: { avgLatency: 7.5, maxLatency: 10, minLatency: 5 },
    rateLimiting: { allowed: 1, blocked: 1 },
    circuitBreaker: { closed: 1, open: 1, halfOpen: 1 },
  } satisfies MeshMetrics);
  collector.reset();
  expect(collector.getMetrics().messages.sent).toBe(0);
});

it('AuditLogger', async () => {
  const memory = new Memory();
  const config: AuditLoggerConfig = { adapters: [memory], enabled: true };
  const logger = new AuditLogger(config);
  await logger.logConnection('a', 'b', true);
  await logger.logConnection('a', 'b', false, 'refused');
  await logger.logMessage('a', 'b', 3, 12);
  await logger.logKeyRotation('a', true);
  await logger.logRateLimit('a', 'client', true);
  await logger.logCircuitBreaker('a', 'b', 'open', 'failures');
  await logger.log({
    eventType: 'system',
    serviceId: 'a',
    details: { action: 'start', success: true, metadata: { version: 1 } },
  });
  expect(memory.events.map(({ eventType }) => eventType)).toEqual([
    'connection',
    'connection',
    'message',
    'key_rotation',
    'rate_limit',
    'circuit_breaker',
    'system',
  ]);
  expect(memory.events[1]).toMatchObject({
    id: expect.any(String),
    timestamp: expect.any(Date),
    serviceId: 'a',
    targetServiceId: 'b',
    details: { success: false, error: 'refused' },
  });
});

const event: MeshAuditEvent = {
  id: '1',
  timestamp: new Date(),
  eventType: 'system',
  serviceId: 'a',
  details: { success: true },
};

it('ConsoleAdapter', async () => {
  const print = vi.spyOn(console, 'log').mockImplementation(() => undefined);
  const adapter: MonitoringAdapter = new ConsoleAdapter();
  await adapter.logEvent(event);
  await adapter.logMetrics?.({ active: 1 });
  expect(print.mock.calls.flat().join()).toMatch(/\[MESH_AUDIT\].*\[MESH_METRICS\]/);
  print.mockRestore();
});

it('FileAdapter', async () => {
  const [events, metrics] = [join(directory, 'events.log'), join(directory, 'metrics.log')];
  const adapter: MonitoringAdapter = new FileAdapter(events, metrics);
  await adapter.logEvent(event);
  await adapter.logMetrics?.({ active: 1 });
  expect(JSON.parse(readFileSync(events, 'utf8'))).toMatchObject({ id: '1', eventType: 'system' });
  expect(JSON.parse(readFileSync(metrics, 'utf8'))).toMatchObject({ active: 1 });
});

it('HttpAdapter', async () => {
  const posts: { url: string; data: any; headers: Record<string, string> | undefined }[] = [];
  const client: HttpClient = {
    async post(url: string, data: any, headers?: Record<string, string>): Promise<any> {
      posts.push({ url, data, headers });
    },
  };
  const auth: HttpAuth = { type: 'api-key', apiKey: 'k' };
  const errors: Error[] = [];
  const config: HttpAdapterConfig = {
    client,
    endpoint: 'http://collector/events',
    metricsEndpoint: 'http://collector/metrics',
    headers: { 'X-Tenant': 't' },
    auth,
    mapEvent: (one: MeshAuditEvent) => ({ mapped: one.id }),
    mapMetrics: (metrics: any) => ({ mapped: metrics.active }),
    onError: (error: Error) => errors.push(error),
  };
  const adapter = new HttpAdapter(config);
  await adapter.logEvent(event);
  await adapter.logMetrics({ active: 1 });
  expect(posts).toMatchObject([
    { url: 'http://collector/events', data: { mapped: '1' }, headers: { 'X-API-Key': 'k' } },
    { url: 'http://collector/metrics', data: { mapped: 1 } },
  ]);
  expect(errors).toEqual([]);
});

it('CryptoManager, KeyManager, KeyRotation', async () => {
  const keyManager = new KeyManager(keysDir, 2048);
  const pair: KeyPair = keyManager.getOrCreateKeyPair('orders');
  expect(keyManager.loadKeyPair('orders')).toEqual(pair);
  const other: KeyPair = keyManager.generateKeyPair();
  keyManager.saveKeyPair('other', other);
  const partial: Partial<KeyPair> = { publicKey: other.publicKey };
  keyManager.saveKeyPair('known', partial);
  expect(keyManager.loadKeyPair('known')?.publicKey).toBe(other.publicKey);
  const aesKeySize: number = 256;
  const crypto = new CryptoManager({ keyManager, aesKeySize });
  // Not awaited, as in programs for 0.2.0: the methods wait for the key.
  void crypto.initialize('orders');
  const previous: string = crypto.getPublicKey();
  expect(previous).toBe(pair.publicKey);
  const encrypted: EncryptedData = crypto.encrypt('hello', previous);
  expect(crypto.decrypt(encrypted).toString()).toBe('hello');
  expect(crypto.verify('data', crypto.sign('data'), previous)).toBe(true);
  const key: Buffer = crypto.generateSessionKey();
  const wrapped: string = crypto.encryptWithPublicKey(key, previous);
  expect(crypto.decryptWithPrivateKey(wrapped)).toEqual(key);

  const memory = new Memory();
  const fingerprints: string[] = [];
  const config: KeyRotationConfig = {
    rotationInterval: 86_400_000,
    autoRotate: true,
    onRotation: (newKeyFingerprint: string) => fingerprints.push(newKeyFingerprint),
  };
  const logger = new AuditLogger({ adapters: [memory] });
  const rotation = new KeyRotation('orders', crypto, config, logger);
  await rotation.rotate();
  expect(crypto.getPublicKey()).not.toBe(previous);
  expect(fingerprints).toHaveLength(1);
  expect(memory.events[0]?.eventType).toBe('key_rotation');
  rotation.stop();
  rotation.destroy();
});

it('JWTManager', () => {
  const keyManager = new KeyManager(keysDir, 2048);
  keyManager.getOrCreateKeyPair('orders');
  keyManager.getOrCreateKeyPair('stock');
  const token: string = new JWTManager('orders', keyManager).generateToken('stock', '1h');
  const stock = new JWTManager('stock', keyManager);
  const payload: TokenPayload = stock.verifyToken(token, 'orders');
  expect(payload).toMatchObject({ sub: 'orders', aud: 'stock' });
  expect(stock.decodeToken(token)?.iss).toBe('orders');
  const seconds: number = (payload.exp ?? 0) - (payload.iat ?? 0);
  expect(Math.abs(seconds - 3_600)).toBeLessThan(2);
});

it('SessionManager', () => {
  const ttl: number | undefined = Number('60000');
  const manager = new SessionManager(ttl);
  const key = Buffer.alloc(32, 7);
  const session: Session = manager.createSession('peer', key, { role: 'x' });
  expect(manager.getSession(session.id)?.sessionKey).toEqual(key);
  // A program for 0.2.0 may use the returned key.
  const back: Buffer = session.sessionKey;
  const role: string = session.metadata?.['role'].toUpperCase();
  expect([back.toString('hex'), role]).toEqual([key.toString('hex'), 'X']);
  expect(manager.getSessionByServiceId('peer')?.id).toBe(session.id);
  expect(manager.getStats().activeSessions).toBe(1);
  manager.cleanupExpiredSessions();
  manager.invalidateSession(session.id);
  expect(manager.getSession(session.id)).toBeUndefined();
});

it('StaticDiscovery', async () => {
  const services: ServiceInfo[] = [{ id: 'a', host: 'localhost', port: 1 }];
  const discovery = new StaticDiscovery(services);
  const any: ServiceDiscovery = discovery;
  await any.registerService({ id: 'b', host: 'localhost', port: 2, status: 'unhealthy' });
  expect((await any.getService('a'))?.port).toBe(1);
  expect(await any.listServices()).toHaveLength(2);
  expect((await discovery.getHealthyServices()).map(({ id }) => id)).toEqual(['a']);
  await any.updateServiceHealth('b', 'healthy');
  expect(await discovery.getHealthyServices()).toHaveLength(2);
  expect(await discovery.removeService('a')).toBe(true);
});

it('HealthMonitor', async () => {
  const monitor = new HealthMonitor(60_000);
  const check: HealthCheck = {
    name: 'db',
    async check(): Promise<HealthCheckResult> {
      return { status: 'degraded', details: { lag: 5 }, timestamp: new Date() };
    },
  };
  monitor.registerCheck(check);
  await monitor.runChecks();
  const status: HealthStatus = monitor.getOverallStatus();
  expect(status).toBe('degraded');
  const results: Record<string, HealthCheckResult> = monitor.getResults();
  expect(results['db']?.details).toEqual({ lag: 5 });
  monitor.start();
  monitor.stop();
});

it('SecureMeshServer, SecureMeshClient', async () => {
  const server = new SecureMeshServer('echo', keysDir, { maxRequests: 100, windowMs: 60_000 });
  await server.start(0);
  const { port } = server.address() as { port: number };
  const client = new SecureMeshClient('front', 'echo', `localhost:${port}`, keysDir);
  await client.connect();
  expect(await client.sendMessage('hello')).toBe('Echo: hello');
  client.disconnect();
  server.stop();
});

it('SecureMesh', async () => {
  const memory = new Memory();
  const server = new SecureMeshServer('echo', keysDir);
  await server.start(0);
  const { port } = server.address() as { port: number };
  const services: ServiceInfo[] = [{ id: 'echo', host: 'localhost', port }];
  const sizes: { rsaKeySize: number; aesKeySize: number } = { rsaKeySize: 4096, aesKeySize: 256 };
  const config: SecureMeshConfig = {
    serviceId: 'front',
    port: 0,
    security: { ...sizes, sessionTimeout: 3_600_000 },
    paths: {
      protoFile: './proto/secure-messaging.proto',
      keysDir,
      logsDir: join(directory, 'logs'),
      metricsDir: join(directory, 'logs'),
    },
    discovery: { services },
    resilience: {
      rateLimit: { maxRequests: 100, windowMs: 60_000 },
      circuitBreaker: { failureThreshold: 5, successThreshold: 2, timeout: 30_000 },
      retry: { maxAttempts: 3, initialDelay: 100 },
    },
    monitoring: { enabled: true, adapters: [memory] },
    rotation: { interval: 86_400_000, autoRotate: true },
  };
  const mesh = new SecureMesh(config);
  await mesh.initialize();
  const client = mesh.connect('echo');
  const answer: string = await client.call<string, string>('sendMessage', 'hello');
  expect(answer).toBe('Echo: hello');
  const stats = mesh.getStats();
  expect(stats.service).toBe('front');
  expect(stats.sessions.activeSessions).toBe(1);
  expect(stats.connectedServices).toEqual(['echo']);
  const metrics: MeshMetrics = stats.metrics;
  expect(metrics.messages.sent).toBeGreaterThan(0);
  const health = await mesh.healthCheck();
  expect(health.status).toBe('healthy');
  expect(health.services).toBe(1);
  const state: string = health.details.state.toUpperCase();
  expect(state).toBe('READY');
  await mesh.disconnect('echo');
  await mesh.cleanup();
  expect(memory.events.map(({ eventType }) => eventType)).toContain('connection');
  expect(memory.metrics).toHaveLength(1);
  server.stop();
});
