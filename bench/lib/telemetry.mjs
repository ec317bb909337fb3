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

/** Registers the SDK that a variant of the suite `tracing` has, if any; returns the option of the mesh. */
export function trace(variant) {
  if (variant === 'off') return { enabled: false };
  if (variant !== 'api') {
    const root = variant === 'all' ? new AlwaysOnSampler() : new TraceIdRatioBasedSampler(0.01);
    new NodeTracerProvider({
      sampler: new ParentBasedSampler({ root }),
      spanProcessors: [new BatchSpanProcessor(nowhere)],
    }).register();
  }
  return { enabled: true };
}
