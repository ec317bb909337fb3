// The SDK of OpenTelemetry in this process, which keeps the spans in memory.
import { context, metrics, propagation, trace, type TextMapPropagator } from '@opentelemetry/api';
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  SimpleSpanProcessor,
  type ReadableSpan,
  type Sampler,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace-node';
import { onTestFinished } from 'vitest';
import { until } from './promises.js';

/** The spans that the SDK has exported. */
export interface Telemetry {
  readonly provider: NodeTracerProvider;
  /** The ended spans, oldest end first. */
  spans(): readonly ReadableSpan[];
  /** Waits for an ended span of a kind, `client` or `server`, by its name. */
  span(kind: 'client' | 'server' | 'internal', name?: string): Promise<ReadableSpan>;
}

/** Registers the SDK, for the duration of a test. */
export function telemetry(
  options: {
    sampler?: Sampler;
    propagator?: TextMapPropagator;
    /** Precedes the exporter. */
    processor?: SpanProcessor;
  } = {},
): Telemetry {
  const exporter = new InMemorySpanExporter();
  const { sampler, propagator, processor } = options;
  const provider = new NodeTracerProvider({
    ...(sampler && { sampler }),
    spanProcessors: [...(processor ? [processor] : []), new SimpleSpanProcessor(exporter)],
  });
  provider.register(propagator && { propagator });
  onTestFinished(async () => {
    await provider.shutdown();
    reset();
  });
  const spans = (): readonly ReadableSpan[] => exporter.getFinishedSpans();
  const kinds = { internal: 0, server: 1, client: 2 };
  return {
    provider,
    spans,
    span: async (kind, name) => {
      const wanted = ({ kind: found, name: called }: ReadableSpan): boolean =>
        found === kinds[kind] && (name === undefined || called === name);
      await until(() => spans().some(wanted));
      return spans().find(wanted) as ReadableSpan;
    },
  };
}

/** Removes what is registered. */
export function reset(): void {
  trace.disable();
  context.disable();
  propagation.disable();
  metrics.disable();
}

/** The parent of a span, by its id. */
export function parentOf(span: ReadableSpan): string | undefined {
  return span.parentSpanContext?.spanId;
}
