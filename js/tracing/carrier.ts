// The trace context as metadata of a call, by the propagator that the application has registered.

import type { Context } from '@opentelemetry/api';
import type { CallOptions } from '../rpc/call-types.js';
import { isName, MAX_BYTES, type Metadata } from '../rpc/metadata.js';
import type { Api } from './api.js';

// `tracestate` and `baggage` are dropped first where there is too little room.
const LAST = ['tracestate', 'baggage'];
// `"idempotency-key":"…",` at its longest.
const KEY_ROOM = 150;

// A bound below this need not be exact.
const SMALL = 1000;

const setter = {
  set: (fields: Record<string, string>, key: string, value: string): void => {
    if (typeof value === 'string' && isName(key)) fields[key.toLowerCase()] = value;
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
  const fields: Record<string, string> = {};
  try {
    api.propagation.inject(context, fields, setter);
  } catch {
    // A call does not fail because a propagator does.
  }
  const names = Object.keys(fields);
  if (names.length === 0) return options;
  const own = options?.metadata;
  // Invalid metadata is left to the check of the call.
  if (own !== undefined && (typeof own !== 'object' || own === null || Array.isArray(own))) {
    return options;
  }
  const metadata: Record<string, string> = { ...own };
  if (own !== undefined) {
    for (const name of fieldsOf(api)) delete metadata[name.toLowerCase()];
  }
  let room = MAX_BYTES - sizeOf(metadata);
  if (options?.idempotencyKey !== undefined) room -= KEY_ROOM;
  if (names.length > 1) names.sort((a, b) => LAST.indexOf(a) - LAST.indexOf(b));
  for (const name of names) {
    const value = fields[name] as string;
    const size = sizeOf({ [name]: value });
    if (size > room) continue;
    room -= size;
    metadata[name] = value;
  }
  return { ...options, metadata };
}

/** The size of metadata as JSON; for little of it, an upper bound. */
function sizeOf(metadata: Metadata): number {
  let bound = 2;
  // The longest form of a character in JSON, and the quotes and signs around it.
  for (const name in metadata) bound += 6 * (name.length + String(metadata[name]).length + 1);
  return bound < SMALL ? bound : Buffer.byteLength(JSON.stringify(metadata));
}

/** The names that the propagator uses. */
function fieldsOf(api: Api): string[] {
  try {
    return api.propagation.fields();
  } catch {
    return [];
  }
}

/** Reads the trace context of a request from its metadata as JSON, '' for none. */
export function readContext(api: Api, meta: string): Context {
  if (meta === '') return api.ROOT_CONTEXT;
  // The core has checked that it is an object of strings; the propagator picks those that it knows.
  return extract(api, api.ROOT_CONTEXT, JSON.parse(meta) as Metadata);
}

/** Whether metadata has an entry of the propagator. */
export function hasTrace(api: Api, metadata: Metadata): boolean {
  return fieldsOf(api).some((name) => Object.hasOwn(metadata, name.toLowerCase()));
}

/** Reads a trace context, which may come from outside. A malformed one counts as missing. */
export function extract(api: Api, base: Context, metadata: Metadata): Context {
  try {
    return api.propagation.extract(base, metadata, getter);
  } catch {
    return base;
  }
}
