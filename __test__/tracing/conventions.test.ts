// The names that the mesh uses, against the package that OpenTelemetry generates from its conventions.
import { metrics } from '@opentelemetry/api';
import {
  AggregationTemporality,
  DataPointType,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import * as stable from '@opentelemetry/semantic-conventions';
import { describe, expect, it, onTestFinished } from 'vitest';
import * as names from '../../js/tracing/conventions.js';
import { pair } from '../support/kit.js';
import { errorOf } from '../support/promises.js';
import { reset, telemetry } from '../support/telemetry.js';

describe('the names', () => {
  it('are those of the stable conventions', () => {
    expect({
      system: names.RPC_SYSTEM_NAME,
      method: names.RPC_METHOD,
      original: names.RPC_METHOD_ORIGINAL,
      status: names.RPC_STATUS_CODE,
      error: names.ERROR_TYPE,
      address: names.SERVER_ADDRESS,
      port: names.SERVER_PORT,
      client: names.CLIENT_DURATION,
      server: names.SERVER_DURATION,
    }).toEqual({
      system: stable.ATTR_RPC_SYSTEM_NAME,
      method: stable.ATTR_RPC_METHOD,
      original: stable.ATTR_RPC_METHOD_ORIGINAL,
      status: stable.ATTR_RPC_STATUS_CODE,
      error: stable.ATTR_ERROR_TYPE,
      address: stable.ATTR_SERVER_ADDRESS,
      port: stable.ATTR_SERVER_PORT,
      client: stable.METRIC_RPC_CLIENT_CALL_DURATION,
      server: stable.METRIC_RPC_SERVER_CALL_DURATION,
    });
  });

  it('of every attribute are stable, or begin with securestack', async () => {
    const known = new Set(
      Object.entries(stable).flatMap(([name, value]) => (name.startsWith('ATTR_') ? [value] : [])),
    );
    const sdk = telemetry();
    const { client } = await pair((mesh) => {
      mesh.handle('echo', (input) => input);
      mesh.handle('fail', () => {
        throw new Error('no');
      });
      mesh.handle('count', async function* () {
        yield 1;
      });
    });
    await client.call('echo');
    await errorOf(client.call('fail'));
    await errorOf(client.call('missing'));
    for await (const item of client.serverStream('count')) expect(item).toBe(1);
    await sdk.span('server', 'server/count');
    const used = sdk.spans().flatMap((span) => Object.keys(span.attributes));
    expect(used.length).toBeGreaterThan(20);
    const strange = used.filter((name) => !known.has(name) && !name.startsWith('securestack.'));
    expect(strange).toEqual([]);
    for (const span of sdk.spans()) {
      expect(span.instrumentationScope.schemaUrl).toBe('https://opentelemetry.io/schemas/1.45.0');
      expect(span.attributes).toHaveProperty(['rpc.system.name'], 'securestack');
      expect(span.attributes).toHaveProperty(['rpc.method']);
      // The name of a span is its method, or the system for a method without a handler.
      const method = span.attributes['rpc.method'];
      expect(span.name).toBe(method === '_OTHER' ? 'securestack' : method);
    }
  });
});

describe('the durations', () => {
  /** Registers a provider of metrics, and returns a function that reads them. */
  function meters() {
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1e6 });
    const provider = new MeterProvider({ readers: [reader] });
    metrics.setGlobalMeterProvider(provider);
    onTestFinished(async () => {
      await provider.shutdown();
      reset();
    });
    return async () => {
      await reader.forceFlush();
      const scopes = exporter.getMetrics().at(-1)?.scopeMetrics ?? [];
      return scopes.flatMap((scope) => scope.metrics);
    };
  }

  it.each([true, false])('are recorded by method and outcome; with spans: %s', async (spans) => {
    if (spans) telemetry();
    const read = meters();
    const { client } = await pair((mesh) => {
      mesh.handle('echo', (input) => input);
      mesh.handle('fail', () => {
        throw new Error('no');
      });
    });
    await client.call('echo');
    await client.call('echo');
    await errorOf(client.call('fail'));
    await errorOf(client.call('missing.1'));
    await errorOf(client.call('missing.2'));
    const found = await read();
    expect(
      found.map(({ descriptor, dataPointType }) => [
        descriptor.name,
        descriptor.unit,
        dataPointType,
      ]),
    ).toEqual(
      expect.arrayContaining([
        ['rpc.client.call.duration', 's', DataPointType.HISTOGRAM],
        ['rpc.server.call.duration', 's', DataPointType.HISTOGRAM],
      ]),
    );
    for (const { dataPoints } of found) {
      const points = dataPoints.map(({ attributes, value }) => {
        const { count, sum } = value as { count: number; sum: number };
        expect(sum).toBeGreaterThan(0);
        expect(sum).toBeLessThan(5);
        return [attributes['rpc.method'], attributes['rpc.status_code'], count];
      });
      expect(points).toEqual([
        ['server/echo', 'OK', 2],
        ['server/fail', 'INTERNAL', 1],
        // The number of series is bounded: names without a handler have one.
        ['_OTHER', 'UNIMPLEMENTED', 2],
      ]);
      expect(dataPoints[1]?.attributes).toMatchObject({
        'rpc.system.name': 'securestack',
        'error.type': 'INTERNAL',
      });
    }
  });
});
