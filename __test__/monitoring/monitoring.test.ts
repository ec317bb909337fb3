import {
  appendFileSync,
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  AuditLogger,
  ConsoleAdapter,
  FileAdapter,
  HttpAdapter,
  MetricsCollector,
  type HttpAdapterConfig,
  type MeshAuditEvent,
  type MeshError,
  type MonitoringAdapter,
} from '../../js/index.js';
import { native } from '../../js/base/native.js';
import { deferred, errorOf, until } from '../support/promises.js';

const directory = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-audit-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let names = 0;
const newPath = (): string => join(directory, String((names += 1)), 'audit.log');

function event(extra: Partial<MeshAuditEvent> = {}): MeshAuditEvent {
  return {
    id: 'e1',
    timestamp: new Date(1_800_000_000_000),
    eventType: 'connection',
    serviceId: 'orders',
    targetServiceId: 'stock',
    details: { success: true },
    ...extra,
  };
}

const FORGED = 'no\n{"eventType":"system","forged":true}\u001b[2J\u2028';

function failure(act: () => unknown): any {
  try {
    act();
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}

/** An adapter that keeps what it gets. */
function keeper(): MonitoringAdapter & { events: MeshAuditEvent[] } {
  const events: MeshAuditEvent[] = [];
  return { events, logEvent: async (entry) => void events.push(entry) };
}

describe('AuditLogger', () => {
  it('makes the entries of its methods', async () => {
    const adapter = keeper();
    const logger = new AuditLogger({ adapters: [adapter] });
    await logger.logConnection('a', 'b', false, 'why');
    await logger.logMessage('a', 'b', 3, 12);
    await logger.logKeyRotation('a', true);
    await logger.logRateLimit('a', 'client', true);
    await logger.logCircuitBreaker('a', 'b', 'open', 'why');
    await logger.log({ eventType: 'system', serviceId: 'a', details: { success: true } });
    expect(adapter.events).toMatchObject([
      { eventType: 'connection', targetServiceId: 'b', details: { success: false, error: 'why' } },
      { eventType: 'message', details: { success: true, messageCount: 3, duration: 12 } },
      { eventType: 'key_rotation', serviceId: 'a', details: { success: true } },
      {
        eventType: 'rate_limit',
        details: { success: false, action: 'blocked', metadata: { clientId: 'client' } },
      },
      { eventType: 'circuit_breaker', details: { success: false, action: 'open', error: 'why' } },
      { eventType: 'system', details: { success: true } },
    ]);
    expect(new Set(adapter.events.map(({ id }) => id)).size).toBe(6);
    expect(adapter.events[0]?.timestamp).toBeInstanceOf(Date);
  });

  it('loses nothing on flush, and keeps the order', async () => {
    const gate = deferred();
    const slow = keeper();
    const taken = slow.logEvent;
    slow.logEvent = async (entry) => {
      await gate.promise;
      await taken(entry);
    };
    const fast = keeper();
    const logger = new AuditLogger({ adapters: [slow, fast] });
    for (let n = 0; n < 500; n += 1) void logger.logMessage('a', 'b', n, 1);
    await until(() => fast.events.length === 500);
    expect(slow.events, 'a slow adapter does not hold up the other').toHaveLength(0);
    const flushed = logger.flush();
    gate.resolve();
    await flushed;
    const counts = Array.from({ length: 500 }, (_, n) => n);
    expect(slow.events.map(({ details }) => details.messageCount)).toEqual(counts);
    expect(logger.getStats()).toEqual({ queued: 0, delivered: 1_000, failed: 0, dropped: 0 });
  });

  it('is bounded, and says what it drops', async () => {
    const gate = deferred();
    const told: MeshError[] = [];
    const logger = new AuditLogger({
      adapters: [{ logEvent: () => gate.promise }],
      maxQueue: 10,
      onError: (error) => told.push(error),
    });
    for (let n = 0; n < 25; n += 1) void logger.logMessage('a', 'b', n, 1);
    expect(logger.getStats()).toMatchObject({ queued: 10, dropped: 15 });
    expect(told[0]).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'AUDIT_LIMIT' });
    gate.resolve();
    await logger.close();
    expect(logger.getStats()).toMatchObject({ queued: 0, delivered: 10 });
  });

  it('survives adapters that reject, throw or never answer', async () => {
    const good = keeper();
    const told: MeshError[] = [];
    const logger = new AuditLogger({
      adapters: [
        { logEvent: () => Promise.reject(new Error('disk')) },
        {
          logEvent: () => {
            throw new Error('bug');
          },
        },
        { logEvent: () => new Promise(() => undefined) },
        good,
      ],
      adapterTimeoutMs: 20,
      onError: (error) => told.push(error),
    });
    await logger.logKeyRotation('a', true);
    expect(good.events).toHaveLength(1);
    expect(told.map(({ reason }) => reason)).toEqual(Array(3).fill('AUDIT_DELIVERY'));
    expect(
      told
        .map(({ message }) => message)
        .toSorted()
        .join(),
    ).toMatch(/bug.*disk.*in time/s);
    expect(logger.getStats()).toMatchObject({ delivered: 1, failed: 3 });
  });

  it('writes an entry once for all adapters, as it was when it was logged', async () => {
    const write = vi.spyOn(native(), 'auditLine');
    const print = vi.spyOn(console, 'log').mockImplementation(() => {});
    const logger = new AuditLogger({ adapters: [new ConsoleAdapter(), new ConsoleAdapter()] });
    const details = { success: true, metadata: { step: 1 } };
    const logged = logger.log({ eventType: 'system', serviceId: 'a', details });
    details.metadata.step = 2;
    await logged;
    expect(write).toHaveBeenCalledTimes(1);
    expect(print).toHaveBeenCalledTimes(2);
    for (const [line] of print.mock.calls) expect(line).toContain('"step":1');
    write.mockRestore();
    print.mockRestore();
  });

  it('refuses what is no entry, and does nothing when disabled', async () => {
    const adapter = keeper();
    const logger = new AuditLogger({ adapters: [adapter] });
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    for (const wrong of [
      undefined,
      {},
      { eventType: 7, serviceId: 'a', details: { success: true } },
      { eventType: 'system', serviceId: 'a' },
      { eventType: 'system', serviceId: 'a', details: { success: true, metadata: cycle } },
    ]) {
      expect(await errorOf(logger.log(wrong as never))).toMatchObject({ reason: 'ARGUMENT' });
    }
    await new AuditLogger({ adapters: [adapter], enabled: false }).logKeyRotation('a', true);
    expect(adapter.events).toEqual([]);
    expect(() => new AuditLogger({ adapters: [{}] } as never)).toThrow(/config.adapters\[0\]/);
    expect(() => new AuditLogger({} as never)).toThrow(/config.adapters must be an array/);
  });
});

describe('ConsoleAdapter', () => {
  it('prints a line that hides nothing (P41)', async () => {
    const print = vi.spyOn(console, 'log').mockImplementation(() => undefined);
    onTestFinished(() => print.mockRestore());
    const adapter = new ConsoleAdapter();
    await adapter.logEvent(
      event({ serviceId: 'x\r\ny', details: { success: false, error: FORGED } }),
    );
    await adapter.logMetrics({ name: 'a\nb' });
    const [[entry], [figures]] = print.mock.calls as [[string], [string]];
    expect(entry).toMatch(/^\[MESH_AUDIT\] \{"id":"e1".*\}$/);
    expect(entry).not.toMatch(/[\u0000-\u001f\u2028]/);
    expect(figures).toMatch(/^\[MESH_METRICS\] \{"timestamp":".*","name":"a\\\\nb"\}$/);
  });
});

describe('FileAdapter', () => {
  const lines = (path: string): any[] =>
    readFileSync(path, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));

  it('appends a line for each entry, for its owner only (P41)', async () => {
    const path = newPath();
    const adapter = new FileAdapter(path, `${path}.metrics`);
    await adapter.logEvent(event());
    await adapter.logEvent(event({ id: 'e2', details: { success: false, error: FORGED } }));
    await adapter.logMetrics({ active: 1 });
    await adapter.close();
    expect(lines(path).map(({ id }) => id)).toEqual(['e1', 'e2']);
    expect(lines(`${path}.metrics`)).toMatchObject([{ active: 1 }]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(path, '..')).mode & 0o777).toBe(0o700);
    await adapter.logEvent(event({ id: 'e3' }));
    expect(lines(path), 'it can be used again').toHaveLength(3);
    await adapter.close();
  });

  it('keeps every one of many entries at once, through rotations', async () => {
    const path = newPath();
    const adapter = new FileAdapter(path, undefined, { maxBytes: 20_000, maxFiles: 10 });
    const all = Array.from({ length: 1_000 }, (_, n) => adapter.logEvent(event({ id: `n${n}` })));
    await Promise.all(all);
    await adapter.close();
    const files = readdirSync(join(path, '..')).toSorted(
      (a, b) => Number(b.split('.')[2] ?? 0) - Number(a.split('.')[2] ?? 0),
    );
    expect(files.length).toBeGreaterThan(3);
    const kept = files.flatMap((name) => lines(join(path, '..', name)));
    expect(kept.map(({ id }) => id)).toEqual(Array.from({ length: 1_000 }, (_, n) => `n${n}`));
    for (const name of files) {
      expect(statSync(join(path, '..', name)).size).toBeLessThanOrEqual(20_000);
    }
  });

  it('keeps no more files than allowed', async () => {
    for (const maxFiles of [0, 2]) {
      const path = newPath();
      const adapter = new FileAdapter(path, undefined, { maxBytes: 1_024, maxFiles });
      for (let n = 0; n < 50; n += 1) await adapter.logEvent(event());
      await adapter.close();
      expect(readdirSync(join(path, '..'))).toHaveLength(maxFiles + 1);
    }
  });

  it('closes a line that was cut off', async () => {
    const path = newPath();
    mkdirSync(join(path, '..'));
    writeFileSync(path, '{"cut":');
    chmodSync(path, 0o644);
    const adapter = new FileAdapter(path);
    await adapter.logEvent(event());
    await adapter.close();
    expect(readFileSync(path, 'utf8')).toMatch(/^\{"cut":\n\{"id":"e1".*\}\n$/);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('tells everybody whose entry was not written, and recovers', async () => {
    const path = newPath();
    mkdirSync(path, { recursive: true });
    const adapter = new FileAdapter(path);
    const all = await Promise.all([1, 2, 3].map(() => errorOf(adapter.logEvent(event()))));
    for (const error of all) {
      expect(error).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'AUDIT_DELIVERY' });
      expect(error.message).toContain(path);
    }
    rmSync(path, { recursive: true });
    await adapter.logEvent(event());
    expect(lines(path)).toHaveLength(1);
    await adapter.close();
  });

  it('follows no symbolic link', async () => {
    const path = newPath();
    const target = join(directory, 'target');
    appendFileSync(target, '');
    mkdirSync(join(path, '..'));
    symlinkSync(target, path);
    expect((await errorOf(new FileAdapter(path).logEvent(event()))).message).toMatch(
      /symbolic link/,
    );
    expect(readFileSync(target, 'utf8')).toBe('');
  });

  it.skipIf(process.platform === 'win32')(
    'refuses a directory that everybody may write to, and says what to do',
    async () => {
      for (const mode of [0o777, 0o1777, 0o702]) {
        const open = dirname(newPath());
        mkdirSync(open);
        chmodSync(open, mode);
        const path = join(open, 'audit.log');
        const error = await errorOf(new FileAdapter(path).logEvent(event()));
        expect(error).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'AUDIT_DELIVERY' });
        expect(error.message).toContain(`chmod o-w ${open}`);
        expect(readdirSync(open)).toEqual([]);
        // Either repair is one.
        const own = /such as (\S+?),/.exec(error.message)![1]!;
        await new FileAdapter(own).logEvent(event());
        expect(statSync(dirname(own)).mode & 0o777).toBe(0o700);
        chmodSync(open, mode & ~0o002);
        await new FileAdapter(path).logEvent(event());
        expect(readFileSync(path, 'utf8')).toContain('"id":"e1"');
      }
    },
  );

  it.runIf(process.getuid?.() === 0)("refuses another user's file", async () => {
    const path = newPath();
    mkdirSync(dirname(path));
    writeFileSync(path, '');
    chownSync(path, 12_345, 12_345);
    const error = await errorOf(new FileAdapter(path).logEvent(event()));
    expect(error.message).toContain('belongs to another user (uid 12345)');
    expect(readFileSync(path, 'utf8')).toBe('');
  });

  it('writes nothing below the working directory unless told to (P37)', async () => {
    vi.stubEnv('XDG_STATE_HOME', directory);
    onTestFinished(() => void vi.unstubAllEnvs());
    const adapter = new FileAdapter();
    await adapter.logEvent(event());
    await adapter.close();
    expect(lines(join(directory, 'secure-stack-mesh', 'logs', 'mesh-audit.log'))).toHaveLength(1);
  });
});

describe('HttpAdapter', () => {
  interface Request {
    path: string;
    headers: IncomingHttpHeaders;
    body: any;
  }

  /** A server that answers with one status after the other, then with 200. */
  async function server(...statuses: number[]): Promise<{ url: string; requests: Request[] }> {
    const requests: Request[] = [];
    const http = createServer((request, response) => {
      let text = '';
      request.on('data', (chunk) => (text += chunk));
      request.on('end', () => {
        requests.push({
          path: request.url ?? '',
          headers: request.headers,
          body: JSON.parse(text),
        });
        const status = statuses.shift() ?? 200;
        if (status === 0) return; // Never answered.
        response.writeHead(status, status === 307 ? { location: '/elsewhere' } : {}).end('ok');
      });
    });
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      http.closeAllConnections();
      http.close();
    });
    return { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/events`, requests };
  }

  const quick: HttpAdapterConfig['retry'] = { maxAttempts: 3, initialDelay: 1 };

  it('posts an entry, as 0.2.0 did, with credentials that it never shows', async () => {
    const { url, requests } = await server();
    const adapter = new HttpAdapter({
      endpoint: url,
      metricsEndpoint: url.replace('events', 'metrics'),
      headers: { 'X-Tenant': 't' },
      auth: { type: 'bearer', token: 'sesame' },
    });
    await adapter.logEvent(event({ serviceId: 'a\nb' }));
    await adapter.logMetrics({ active: 1 });
    expect(requests[0]).toMatchObject({
      path: '/events',
      headers: {
        'x-tenant': 't',
        authorization: 'Bearer sesame',
        'content-type': 'application/json',
      },
      body: { id: 'e1', serviceId: 'a\\nb' },
    });
    expect(requests[1]).toMatchObject({ path: '/metrics', body: { active: 1 } });
    expect(inspect(adapter, { depth: 9, showHidden: true })).not.toContain('sesame');
  });

  it('knows four ways to show who it is', async () => {
    const sent: unknown[] = [];
    const client = {
      post: async (_url: string, _data: unknown, headers?: object) => sent.push(headers),
    };
    for (const auth of [
      { type: 'basic', username: 'u', password: 'p' },
      { type: 'api-key', apiKey: 'k' },
      { type: 'api-key', apiKey: 'k', headerName: 'H' },
      { type: 'custom', customHeader: { name: 'n', value: 'v' } },
    ] as const) {
      await new HttpAdapter({ endpoint: 'http://h/', client, auth }).logEvent(event());
    }
    expect(sent).toMatchObject([
      { Authorization: 'Basic dTpw' },
      { 'X-API-Key': 'k' },
      { H: 'k' },
      { n: 'v' },
    ]);
    const missing = { endpoint: 'http://h/', auth: { type: 'bearer' } } as const;
    expect(() => new HttpAdapter(missing)).toThrow(/config.auth.token must be a text/);
    expect(() => new HttpAdapter({ endpoint: 'file:///etc/passwd' })).toThrow(/config.endpoint/);
  });

  it('sends the password of a URL in a header, to that URL alone, and shows it nowhere', async () => {
    const { url, requests } = await server(500, 200);
    const withPassword = url.replace('//', '//us%40er:s%C3%A9same-1@');
    const adapter = new HttpAdapter({
      endpoint: withPassword,
      metricsEndpoint: url.replace('events', 'metrics'),
      retry: { maxAttempts: 1 },
    });
    const shown = inspect(await errorOf(adapter.logEvent(event())), { depth: 9 });
    await adapter.logEvent(event());
    await adapter.logMetrics({ active: 1 });
    const basic = `Basic ${Buffer.from('us@er:sésame-1').toString('base64')}`;
    expect(requests.map(({ path, headers }) => [path, headers.authorization])).toEqual([
      ['/events', basic],
      ['/events', basic],
      ['/metrics', undefined],
    ]);
    expect(shown).toContain('status 500');
    expect(shown + inspect(adapter, { depth: 9, showHidden: true })).not.toMatch(/same-1|c%C3/);
  });

  it('shows no secret that a client puts into its errors', async () => {
    const secrets = ['key-in-query', 'pass-word', 'to-ken', 'cook-ie'];
    const seen: string[] = [];
    const client = {
      post: async (url: string, _data: unknown, headers?: object) => {
        seen.push(url);
        throw new Error(`refused: ${url} ${JSON.stringify(headers)} ${secrets.join(' ')}`);
      },
    };
    const retry = { maxAttempts: 1 };
    const headers = { Cookie: secrets[3]! };
    for (const [endpoint, auth] of [
      ['http://user:pass-word@h/e?k=key-in-query', undefined],
      ['http://h/e?key-in-query', { type: 'bearer', token: 'to-ken' }],
      ['http://h/e?k=key-in-query', { type: 'basic', username: 'user', password: 'pass-word' }],
    ] as const) {
      const config = { client, endpoint, retry, headers, ...(auth === undefined ? {} : { auth }) };
      const adapter = new HttpAdapter(config);
      const error = await errorOf(adapter.logEvent(event()));
      expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'AUDIT_DELIVERY' });
      const shown = inspect(error, { depth: 9 });
      expect(shown).toContain('refused: http://h/e?');
      const own = [auth === undefined || auth.type === 'basic' ? 'pass-word' : 'to-ken'];
      for (const secret of [...own, 'key-in-query', 'cook-ie', btoa('user:pass-word')]) {
        expect(shown).not.toContain(secret);
      }
    }
    expect(seen.every((url) => url.includes('key-in-query') && !url.includes('pass-word'))).toBe(
      true,
    );
  });

  it('takes a user from one place', () => {
    const auth = { type: 'bearer', token: 'sesame' } as const;
    const error = failure(() => new HttpAdapter({ endpoint: 'http://us:er-1@h/', auth }));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'ARGUMENT' });
    expect(error.message).not.toContain('er-1');
    const wrong = failure(() => new HttpAdapter({ endpoint: 'ftp://us:er-1@h/' }));
    expect(wrong.message).toBe('config.endpoint must be an http: or https: URL');
  });

  it('tries again what may pass, and nothing else', async () => {
    const { url, requests } = await server(503, 429, 200, 400);
    const adapter = new HttpAdapter({ endpoint: url, retry: quick });
    await adapter.logEvent(event());
    expect(requests).toHaveLength(3);
    expect(await errorOf(adapter.logEvent(event()))).toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'AUDIT_DELIVERY',
      message: expect.stringContaining('status 400'),
    });
    expect(requests).toHaveLength(4);
  });

  it('does not wait for ever, nor carry its credentials elsewhere', async () => {
    const { url, requests } = await server(0, 307);
    const adapter = new HttpAdapter({ endpoint: url, timeoutMs: 50, retry: { maxAttempts: 1 } });
    expect((await errorOf(adapter.logEvent(event()))).message).toMatch(/in time/);
    expect(await errorOf(adapter.logEvent(event()))).toMatchObject({ reason: 'AUDIT_DELIVERY' });
    expect(requests.map(({ path }) => path)).toEqual(['/events', '/events']);
  });

  it('sends batches, in order, and the rest on flush', async () => {
    const { url, requests } = await server(503);
    const adapter = new HttpAdapter({
      endpoint: url,
      batchSize: 10,
      flushIntervalMs: '1h',
      retry: quick,
    });
    const logger = new AuditLogger({ adapters: [adapter] });
    for (let n = 0; n < 25; n += 1) void logger.logMessage('a', 'b', n, 1);
    await logger.close();
    const bodies = requests.slice(1).map(({ body }) => body as MeshAuditEvent[]);
    expect(bodies.map((batch) => batch.length)).toEqual([10, 10, 5]);
    const counts = bodies.flat().map(({ details }) => details.messageCount);
    expect(counts).toEqual(Array.from({ length: 25 }, (_, n) => n));
  });

  it('sends a batch that does not fill', async () => {
    const { url, requests } = await server();
    const adapter = new HttpAdapter({ endpoint: url, batchSize: 10, flushIntervalMs: 10 });
    await adapter.logEvent(event());
    await until(() => requests.length === 1);
  });

  it('holds a bounded number of entries', async () => {
    const gate = deferred();
    const told: string[] = [];
    const adapter = new HttpAdapter({
      endpoint: 'http://h/',
      client: { post: () => gate.promise },
      batchSize: 2,
      maxBuffer: 4,
      onError: (error) => told.push((error as MeshError).reason),
    });
    for (let n = 0; n < 10; n += 1) await adapter.logEvent(event());
    expect(told).toEqual(Array(6).fill('AUDIT_LIMIT'));
    gate.resolve();
    await adapter.flush();
    await adapter.logEvent(event());
    expect(told).toHaveLength(6);
    await adapter.close();
  });

  it('tells whoever flushes of a batch that was lost', async () => {
    const client = { post: () => Promise.reject(new Error('down')) };
    const adapter = new HttpAdapter({ endpoint: 'http://h/', client, batchSize: 2, retry: quick });
    await adapter.logEvent(event());
    expect(await errorOf(adapter.flush())).toMatchObject({ reason: 'AUDIT_DELIVERY' });
    await adapter.flush();
  });
});

describe('MetricsCollector', () => {
  it('counts, in bounded memory', () => {
    const metrics = new MetricsCollector();
    expect(metrics.getMetrics().performance).toEqual({
      avgLatency: 0,
      maxLatency: 0,
      minLatency: 0,
    });
    metrics.recordConnection(true);
    metrics.recordConnection(false);
    metrics.recordConnectionClosed();
    metrics.recordMessageSent();
    metrics.recordMessageReceived();
    metrics.recordMessageFailed();
    for (const ms of [5, 10, 0.5]) metrics.recordLatency(ms);
    metrics.recordRateLimitAllowed();
    metrics.recordRateLimitBlocked();
    metrics.recordCircuitBreakerState('half_open');
    const figures = metrics.getMetrics();
    expect(figures).toMatchObject({
      connections: { total: 2, active: 0, failed: 1 },
      messages: { sent: 1, received: 1, failed: 1 },
      performance: { maxLatency: 10, minLatency: 0.5 },
      rateLimiting: { allowed: 1, blocked: 1 },
      circuitBreaker: { closed: 0, open: 0, halfOpen: 1 },
    });
    expect(figures.performance.avgLatency).toBeCloseTo(15.5 / 3);
    expect(metrics.toPrometheus()).toMatch(/^secure_mesh_latency_seconds_count 3$/m);
    metrics.reset();
    expect(metrics.getMetrics().connections.total).toBe(0);
  });

  it('is read by Prometheus whatever the names are', () => {
    const metrics = new MetricsCollector();
    metrics.recordCall({ service: 'orders', method: 'get', latencyMs: 3 });
    metrics.recordCall({
      service: 'a"}\nforged 1',
      method: 'get',
      latencyMs: 3,
      code: 'NOT_FOUND',
    });
    const page = metrics.toPrometheus();
    expect(page).toMatch(/^secure_mesh_calls_total\{service="orders",method="get",code="OK"\} 1$/m);
    expect(page).not.toMatch(/^forged/m);
    expect(page).toMatch(/# EOF\n$/);
  });

  it('names what is wrong', () => {
    const metrics = new MetricsCollector();
    for (const ms of [-1, NaN, Infinity, '5']) {
      expect(() => metrics.recordLatency(ms as number), String(ms)).toThrow(/latencyMs/);
    }
    expect(() => metrics.recordCircuitBreakerState('ajar' as never)).toThrow(/state must be/);
  });
});
