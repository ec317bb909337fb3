// Errors of the mesh as real HTTP servers answer them.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import express from 'express';
import fastify from 'fastify';
import { describe, expect, it, onTestFinished } from 'vitest';
import { expressErrors, fastifyErrors, MeshError } from '../../js/index.js';

/** Errors as they reach an error handler, by path. None of their texts is for the client but those of `/exposed`. */
const ERRORS: Record<string, () => unknown> = {
  '/missing': () => new MeshError('NOT_FOUND', 'no row 7 in table orders', { reason: 'NO_ORDER' }),
  '/busy': () => new MeshError('RESOURCE_EXHAUSTED', 'inside', { retryAfterMs: 1_500 }),
  '/refused': () => new MeshError('UNAUTHENTICATED', 'inside', { reason: 'HANDSHAKE_REFUSED' }),
  '/fault': () => new Error('password inside'),
  '/thrown': () => 'inside',
  // An error of a client of another server, such as undici's.
  '/upstream': () => Object.assign(new Error('inside'), { statusCode: 404 }),
  '/upstream-fault': () => Object.assign(new Error('inside'), { statusCode: 503 }),
  '/hidden': () => Object.assign(new Error('inside'), { statusCode: 400, expose: false }),
};

async function ask(url: string, path: string, init?: RequestInit) {
  const answer = await fetch(url + path, init);
  const text = await answer.text();
  return { answer, status: answer.status, text };
}

/** What both servers have to do. */
async function check(url: string, logged: unknown[]): Promise<void> {
  const missing = await ask(url, '/missing');
  expect(missing.answer.headers.get('content-type')).toContain('application/problem+json');
  expect(missing.answer.headers.get('cache-control')).toBe('no-store');
  expect(JSON.parse(missing.text)).toEqual({
    status: 404,
    title: 'Not Found',
    code: 'NOT_FOUND',
    reason: 'NO_ORDER',
  });
  expect((await ask(url, '/busy')).answer.headers.get('retry-after')).toBe('2');
  expect(logged).toEqual([]);
  const statuses = [];
  for (const path of Object.keys(ERRORS)) {
    const { status, text } = await ask(url, path);
    expect(text, path).not.toMatch(/inside|row 7/);
    expect(JSON.parse(text)).toMatchObject({ status });
    statuses.push(status);
  }
  expect(statuses).toEqual([404, 429, 502, 500, 500, 404, 500, 400]);
  // Those of 500 and above.
  expect(logged).toHaveLength(4);
}

describe('expressErrors', () => {
  it('answers with problems, and hides what is inside', async () => {
    const logged: unknown[] = [];
    const app = express();
    app.use(express.json({ limit: 100 }));
    app.post('/body', (_, response) => void response.end());
    app.get('/begun', (_, response) => {
      response.write('half');
      throw new MeshError('ABORTED', 'inside');
    });
    app.get('/*path', ({ path }) => {
      throw ERRORS[path]?.();
    });
    app.use(expressErrors({ onError: (error) => logged.push(error) }));
    // Quiet: Express prints what its own handler gets.
    app.set('env', 'test');
    const server = app.listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await check(url, logged);
    // The body parser's errors have texts for the client.
    const headers = { 'content-type': 'application/json' };
    const init = { method: 'POST', headers, body: '{ "a"' };
    expect(await ask(url, '/body', init)).toMatchObject({ status: 400 });
    await expect(ask(url, '/begun')).rejects.toThrow();
  });
});

describe('fastifyErrors', () => {
  it('answers with problems, and hides what is inside', async () => {
    const logged: unknown[] = [];
    const app = fastify();
    onTestFinished(() => app.close());
    app.setErrorHandler(fastifyErrors({ onError: (error) => logged.push(error) }));
    app.get('/*', ({ url }) => {
      throw ERRORS[url]?.();
    });
    const schema = { body: { type: 'object', required: ['sku'] } };
    app.post('/body', { schema }, () => 'ok');
    const url = await app.listen({ port: 0, host: '127.0.0.1' });
    await check(url, logged);
    const headers = { 'content-type': 'application/json' };
    const wrong = await ask(url, '/body', { method: 'POST', headers, body: '{}' });
    expect(wrong.status).toBe(400);
    expect(wrong.text).toContain('sku');
  });

  it('writes faults to the log of the request', async () => {
    const lines: string[] = [];
    const app = fastify({ logger: { stream: { write: (line: string) => lines.push(line) } } });
    onTestFinished(() => app.close());
    app.setErrorHandler(fastifyErrors());
    app.get('/', () => {
      throw new Error('the cause, inside');
    });
    const { statusCode, body } = await app.inject('/');
    expect(statusCode).toBe(500);
    expect(body).not.toContain('inside');
    expect(lines.join()).toContain('the cause, inside');
  });
});

describe('the options of both', () => {
  it('name what is wrong', () => {
    for (const make of [expressErrors, fastifyErrors]) {
      expect(() => make({ onerror: () => {} } as object)).toThrow(/did you mean onError/);
      expect(() => make({ onError: 1 } as object)).toThrow(/onError must be a function/);
    }
  });
});
