// The tracer and the histograms of the SDK. An application may register its SDK before or after it creates
// the mesh, so each use asks whether there is one.

import type { Histogram, Tracer } from '@opentelemetry/api';
import { version } from '../base/version.js';
import type { Api } from './api.js';
import { CLIENT_DURATION, SCHEMA_URL, SERVER_DURATION } from './conventions.js';

const SCOPE = '@lemur-bookstores/secure-stack-mesh';

// Those of the conventions, with shorter ones: a call within one machine takes 0.1 ms.
const BOUNDARIES = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1,
  2.5, 5, 7.5, 10,
];

// All copies of the API's major version 1 keep what is registered here, so that they share it. To ask the API itself
// whether there is a provider would take most of the 0.5 % that a call without an SDK may cost.
const REGISTERED = Symbol.for('opentelemetry.js.api.1');

/** The histograms of the durations, in seconds. */
export interface Durations {
  readonly client: Histogram;
  readonly server: Histogram;
}

type TracerProvider = ReturnType<Api['trace']['getTracerProvider']>;
type MeterProvider = ReturnType<Api['metrics']['getMeterProvider']>;

/** The providers that are registered now. */
export class Providers {
  readonly #api: Api;
  /** The provider that stands in where none is registered. */
  readonly #idle: TracerProvider;
  readonly #noMeter: unknown;
  #tracerProvider: TracerProvider | undefined;
  #tracer: Tracer | undefined;
  #meterProvider: MeterProvider | undefined;
  #durations: Durations | undefined;

  constructor(api: Api) {
    this.#api = api;
    this.#idle = new api.ProxyTracerProvider().getDelegate();
    this.#noMeter = api.createNoopMeter();
  }

  /** Whether nothing is registered, as long as a program has no SDK. */
  get none(): boolean {
    return (globalThis as { [REGISTERED]?: unknown })[REGISTERED] === undefined;
  }

  /** The tracer; `undefined` while none is registered. */
  tracer(): Tracer | undefined {
    const provider = this.#api.trace.getTracerProvider() as TracerProvider & {
      getDelegate?: () => TracerProvider;
    };
    const current = provider.getDelegate === undefined ? provider : provider.getDelegate();
    if (current !== this.#tracerProvider) {
      this.#tracerProvider = current;
      this.#tracer =
        current === this.#idle
          ? undefined
          : current.getTracer(SCOPE, version, { schemaUrl: SCHEMA_URL });
    }
    return this.#tracer;
  }

  /** The histograms; `undefined` while no provider is registered. */
  durations(): Durations | undefined {
    const current = this.#api.metrics.getMeterProvider();
    if (current !== this.#meterProvider) {
      this.#meterProvider = current;
      const meter = current.getMeter(SCOPE, version, { schemaUrl: SCHEMA_URL });
      const make = (name: string, description: string): Histogram =>
        meter.createHistogram(name, {
          description,
          unit: 's',
          advice: { explicitBucketBoundaries: BOUNDARIES },
        });
      this.#durations =
        meter === this.#noMeter
          ? undefined
          : {
              client: make(CLIENT_DURATION, 'The duration of outgoing calls.'),
              server: make(SERVER_DURATION, 'The duration of incoming requests.'),
            };
    }
    return this.#durations;
  }
}
