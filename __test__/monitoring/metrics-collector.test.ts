// Metrics, and their text format for Prometheus.
import { describe, expect, it } from 'vitest';
import { MetricsCollector } from '../../js/index.js';

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
