// The page of metrics before promtool and a real Prometheus; `scripts/servers.mjs` installs both.

import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root } from '../../scripts/lib.mjs';
import type { Context, SecureMesh } from '../../js/index.js';
import { call, serve } from '../support/meshes.js';
import { errorOf } from '../support/promises.js';
import { installed, prometheus, promtool, TOKEN } from '../support/prometheus.js';

async function busy(): Promise<{ server: SecureMesh; mesh: SecureMesh }> {
  const extra = {
    admin: { port: 0, token: TOKEN },
    resilience: {
      circuitBreaker: { failureThreshold: 1_000, successThreshold: 1, timeout: 1_000 },
      retry: { maxAttempts: 2 },
    },
    authorization: { rules: [{ name: 'all but one', from: ['*'], to: ['*'], except: ['secret'] }] },
  };
  const server = await serve('server', (own) => void own.handle('echo', (input) => input), extra);
  const { mesh, client } = await call(server, extra);
  for (let index = 0; index < 20; index += 1) await client.call('echo', index);
  await errorOf(client.call('secret'));
  await errorOf(client.call('x{y="z"}'.replaceAll('"', '')));
  return { server, mesh };
}

async function page(mesh: SecureMesh, accept: string): Promise<string> {
  const { host, port } = mesh.adminAddress()!;
  const headers = { accept, authorization: `Bearer ${TOKEN}` };
  return (await fetch(`http://${host}:${port}/metrics`, { headers })).text();
}

describe.skipIf(!installed)('the page of metrics', () => {
  it('has no fault for promtool, on either side', async () => {
    for (const mesh of Object.values(await busy())) {
      const text = await page(mesh, 'text/plain');
      const { status, output } = promtool(['check', 'metrics'], text);
      expect({ status, output }, text).toEqual({ status: 0, output: '' });
      expect(text).toMatch(/rpc_(client|server)_call_duration_seconds_bucket\{/);
    }
    // The check finds something where something is wrong.
    expect(promtool(['check', 'metrics'], '# TYPE a counter\na 1\na 1\n').status).not.toBe(0);
  });

  it('is read by a real Prometheus, in the format that it prefers', async () => {
    const { server } = await busy();
    const rules = [join(root, 'docs', 'monitoring', 'alerts.yml')];
    const { query } = await prometheus([server], rules);
    const echo =
      'rpc_server_call_duration_seconds_count{rpc_method="server/echo",rpc_response_status_code="OK"}';
    let found: any[] = [];
    for (const end = Date.now() + 40_000; found.length === 0 && Date.now() < end;) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      found = await query(echo);
    }
    expect(found).toHaveLength(1);
    expect(found[0].value[1]).toBe('20');
    expect(found[0].metric.securestack_peer_service).toBe('caller');
    const denied = await query('securestack_authorization_denials_total');
    expect(denied[0].metric).toMatchObject({ rule: '(default)', rpc_method: 'secret' });
    expect((await query('up{job="mesh"}'))[0].value[1]).toBe('1');
  }, 60_000);

  it('leads from a bucket to a trace in it, in the newer format only', async () => {
    const tracing = { otlp: 'http://127.0.0.1:9', sample: 1 };
    const traces = new Set<string>();
    const echo = (_: unknown, ctx: Context): void => {
      traces.add(ctx.metadata['traceparent']!.slice(3, 35));
    };
    const extra = { admin: { port: 0, token: TOKEN }, tracing };
    const server = await serve('server', (own) => void own.handle('echo', echo), extra);
    const { client } = await call(server, extra);
    for (let index = 0; index < 5; index += 1) await client.call('echo', index);
    expect(traces.size).toBe(5);
    const mark = / # \{trace_id="([0-9a-f]{32})"\}/g;
    const newer = await page(server, 'application/openmetrics-text');
    const shown = [...newer.matchAll(mark)].map(([, trace]) => trace);
    expect(shown.length).toBeGreaterThan(0);
    for (const trace of shown) expect(traces).toContain(trace);
    expect(await page(server, 'text/plain')).not.toMatch(mark);
    const { exemplars } = await prometheus([server], []);
    let found: any[] = [];
    for (const end = Date.now() + 40_000; found.length === 0 && Date.now() < end;) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      found = await exemplars('rpc_server_call_duration_seconds_bucket');
    }
    expect(found.length).toBeGreaterThan(0);
    for (const { labels, of } of found) {
      expect(traces).toContain(labels.trace_id);
      expect(of.rpc_method).toBe('server/echo');
    }
  }, 60_000);
});
