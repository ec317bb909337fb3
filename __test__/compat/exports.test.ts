// The run-time exports of 0.2.0, and the other names in its documentation.

import * as esm from '@lemur-bookstores/secure-stack-mesh';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const cjs = createRequire(import.meta.url)('@lemur-bookstores/secure-stack-mesh') as typeof esm;

const NAMES = [
  'AuditLogger',
  'CircuitBreaker',
  'CircuitState',
  'ConsoleAdapter',
  'CryptoManager',
  'FileAdapter',
  'HealthMonitor',
  'HttpAdapter',
  'JWTManager',
  'KeyManager',
  'KeyRotation',
  'MetricsCollector',
  'RateLimiter',
  'RetryPolicy',
  'SecureMesh',
  'SecureMeshClient',
  'SecureMeshServer',
  'SessionManager',
  'StaticDiscovery',
  'TimeoutManager',
  'version',
] as const;

/** The methods of each class in the declarations of 0.2.0. */
const METHODS: Partial<Record<(typeof NAMES)[number], string>> = {
  AuditLogger: 'log logConnection logMessage logKeyRotation logRateLimit logCircuitBreaker',
  CircuitBreaker: 'execute getState reset',
  ConsoleAdapter: 'logEvent logMetrics',
  CryptoManager:
    'initialize generateSessionKey encrypt decrypt encryptWithPublicKey decryptWithPrivateKey getPublicKey sign verify',
  FileAdapter: 'logEvent logMetrics',
  HealthMonitor: 'registerCheck runChecks start stop getOverallStatus getResults',
  HttpAdapter: 'logEvent logMetrics',
  JWTManager: 'generateToken verifyToken decodeToken',
  KeyManager: 'generateKeyPair saveKeyPair loadKeyPair getOrCreateKeyPair',
  KeyRotation: 'rotate stop destroy',
  MetricsCollector:
    'recordConnection recordConnectionClosed recordMessageSent recordMessageReceived recordMessageFailed recordLatency recordRateLimitAllowed recordRateLimitBlocked recordCircuitBreakerState getMetrics reset',
  RateLimiter: 'checkLimit reset destroy',
  RetryPolicy: 'execute',
  SecureMesh: 'initialize connect disconnect getStats healthCheck cleanup',
  SecureMeshClient: 'connect sendMessage disconnect',
  SecureMeshServer: 'start stop',
  SessionManager:
    'createSession getSession getSessionByServiceId invalidateSession cleanupExpiredSessions getStats',
  StaticDiscovery:
    'registerService getService listServices updateServiceHealth removeService getHealthyServices',
  TimeoutManager: 'execute',
};

describe.each([
  ['ESM', esm],
  ['CommonJS', cjs],
])('the package as %s', (_format, mesh) => {
  it.each(NAMES)('exports %s', (name) => {
    expect(mesh[name]).toBeDefined();
    const { prototype } = mesh[name] as { prototype?: Record<string, unknown> };
    for (const method of METHODS[name]?.split(' ') ?? []) {
      expect(prototype?.[method], `${name}.${method}`).toBeTypeOf('function');
    }
  });
});

describe('the programs in the shape of 0.2.0', () => {
  const programs = readFileSync(join(import.meta.dirname, 'programs.test.ts'), 'utf8');
  // Each program is one test, whose name has its classes.
  const tests = programs.split(/^it\('/m).slice(1);

  it.each(Object.entries(METHODS))('use every method of %s', (name, methods) => {
    const about = tests.filter((test) =>
      test.slice(0, test.indexOf("'")).split(', ').includes(name),
    );
    expect(about, `no program about ${name}`).not.toEqual([]);
    const unused = methods
      .split(' ')
      .filter(
        (method) =>
          !about.join('').includes(`.${method}(`) &&
          !about.join('').includes(`.${method}?.(`) &&
          !about.join('').includes(`.${method}<`),
      );
    expect(unused).toEqual([]);
  });
});
