// The trace context as metadata of a call, by the propagator that the application has registered.

import type { Context } from '@opentelemetry/api';
import type { CallOptions } from '../rpc/call-types.js';
import { isName, MAX_BYTES, type Metadata } from '../rpc/metadata.js';
import type { Api } from './api.js';

// `tracestate` and `baggage` are dropped first where there is too little room.
const LAST = ['tracestate', 'baggage'];
// `"idempotency-key":"…",` at its longest.
const KEY_ROOM = 150;

const setter = {
  set: (fields: Map<string, string>, key: string, value: string): void => {
    if (typeof value === 'string' && isName(key)) fields.set(key.toLowerCase(), value);
  },
};
const getter = {
  keys: (metadata: Metadata): string[] => Object.keys(metadata),
  get: (metadata: Metadata, key: string): string | undefined => {
    const name = key.toLowerCase();
    return Object.hasOwn(metadata, name) ? metadata[name] : undefined;
  },
};

/** Adds a trace context to the options of a call. Entries for which the metadata has no room are left out. */
export function inject(
  api: Api,
  context: Context,
  options: CallOptions | undefined,
): CallOptions | undefined {
  const fields = new Map<string, string>();
  try {
    api.propagation.inject(context, fields, setter);
  } catch {
    // A call does not fail because a propagator does.
  }
  if (fields.size === 0) return options;
  const own = options?.metadata;
  // Invalid metadata is left to the check of the call.
  if (own !== undefined && (typeof own !== 'object' || own === null || Array.isArray(own))) {
    return options;
  }
  const metadata: Record<string, string> = { ...own };
  for (const name of api.propagation.fields()) delete metadata[name.toLowerCase()];
  let room = MAX_BYTES - Buffer.byteLength(JSON.stringify(metadata));
  if (options?.idempotencyKey !== undefined) room -= KEY_ROOM;
  const names = [...fields.keys()].toSorted((a, b) => LAST.indexOf(a) - LAST.indexOf(b));
  for (const name of names) {
    const value = fields.get(name) as string;
    const size = Buffer.byteLength(JSON.stringify(name) + JSON.stringify(value)) + 2;
    if (size > room) continue;
    room -= size;
    metadata[name] = value;
  }
  return { ...options, metadata };
}

/** Whether metadata has an entry of the propagator. */
export function hasTrace(api: Api, metadata: Metadata): boolean {
  return api.propagation.fields().some((name) => Object.hasOwn(metadata, name.toLowerCase()));
}

/** Reads a trace context, which may come from outside. A malformed one counts as missing. */
export function extract(api: Api, base: Context, metadata: Metadata): Context {
  try {
    return api.propagation.extract(base, metadata, getter);
  } catch {
    return base;
  }
}
