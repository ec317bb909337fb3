// Audit entries sent over HTTP.
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  AuditLogger,
  HttpAdapter,
  type HttpAdapterConfig,
  type MeshAuditEvent,
  type MeshError,
} from '../../js/index.js';
import { event } from '../support/audit.js';
import { deferred, errorOf, until } from '../support/promises.js';

function failure(act: () => unknown): any {
  try {
    act();
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}

describe('HttpAdapter', () => {
  interface Request {
    path: string;
    headers: IncomingHttpHeaders;
    body: any;
  }

  /** A server that answers with the given statuses in turn, then with 200. */
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
    expect(() => new HttpAdapter(missing)).toThrow(/config.auth.token must be a string/);
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
