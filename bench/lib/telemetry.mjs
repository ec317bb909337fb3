// The SDK of OpenTelemetry in a measured process. Its exporter drops the spans: the cost of an exporter is not
// that of the mesh.
import {
  AlwaysOnSampler,
  BatchSpanProcessor,
  NodeTracerProvider,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-node';

const nowhere = {
  export: (_, done) => done({ code: 0 }),
  shutdown: async () => {},
};

/** Registers the SDK that a variant of the suite `tracing` has, if any; returns the options of the mesh. */
export function sight(variant, collector) {
  const otlp = (sample) => ({ tracing: { otlp: collector, sample } });
  switch (variant) {
    case 'unrecorded':
      return { tracing: { enabled: false }, observe: false };
    case 'off':
      return { tracing: { enabled: false } };
    case 'admin':
      return { tracing: { enabled: false }, admin: { port: 0 } };
    case 'core':
      return otlp(0.01);
    case 'coreAll':
      return otlp(1);
    case 'everything':
      return { ...otlp(0.01), admin: { port: 0 } };
    case 'api':
      return { tracing: { enabled: true } };
  }
  const root = variant === 'all' ? new AlwaysOnSampler() : new TraceIdRatioBasedSampler(0.01);
  new NodeTracerProvider({
    sampler: new ParentBasedSampler({ root }),
    spanProcessors: [new BatchSpanProcessor(nowhere)],
  }).register();
  return { tracing: { enabled: true } };
}
