// `@opentelemetry/api`, if the application has it, and the SDK behind it.

import type * as OpenTelemetry from '@opentelemetry/api';
import { requireOpenTelemetry } from '../base/binaries.js';

/** The module `@opentelemetry/api`. */
export type Api = typeof OpenTelemetry;

let found: { readonly api: Api | undefined } | undefined;

/** Returns `@opentelemetry/api`, which is looked for once; `undefined` if it is not installed. */
export function openTelemetry(): Api | undefined {
  found ??= { api: usable(requireOpenTelemetry()) };
  return found.api;
}

/** Returns the module if it has all that is used here. */
function usable(module: unknown): Api | undefined {
  const api = module as Api | undefined;
  const complete =
    typeof api?.ProxyTracerProvider === 'function' &&
    typeof api.createNoopMeter === 'function' &&
    [api.trace, api.context, api.propagation, api.metrics].every(
      (part) => typeof part === 'object' && part !== null,
    );
  return complete ? api : undefined;
}
