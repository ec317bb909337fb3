// Metadata: strings by name that travel with a payload, some with well-known names.

import { randomBytes } from 'node:crypto';
import { invalidArgument, show } from '../base/arguments.js';
import type { MeshError } from '../base/errors.js';
import { repairJson } from '../base/json-text.js';

/** The well-known names, with their meaning in HTTP. */
export const TRACEPARENT = 'traceparent';
export const TRACESTATE = 'tracestate';
export const REQUEST_ID = 'x-request-id';
export const IDEMPOTENCY_KEY = 'idempotency-key';

const RESERVED: ReadonlySet<string> = new Set([
  TRACEPARENT,
  TRACESTATE,
  REQUEST_ID,
  IDEMPOTENCY_KEY,
]);

const NAME = /^[A-Za-z0-9_.-]{1,64}$/;
// Visible ASCII, because ids are compared and printed into logs.
const ID = /^[\x21-\x7e]+$/;
const MAX_ID = 128;
/** The limit of metadata as JSON, in bytes. The protocol allows 8 KiB for metadata and a few other fields. */
export const MAX_BYTES = 8000;

/** Received metadata. */
export type Metadata = Readonly<Record<string, string>>;

/**
 * Encodes metadata as JSON; '' for none.
 *
 * @param name the option's path, for the error
 * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
 */
export function encodeMetadata(metadata: unknown, name: string): string {
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) {
    throw invalidArgument(`${name} must be an object of strings, got ${show(metadata)}`);
  }
  let any = false;
  let length = 0;
  for (const [key, value] of Object.entries(metadata)) {
    any = true;
    checkName(key, name);
    if (typeof value !== 'string') {
      throw invalidArgument(`${name}.${key} must be a string, got ${show(value)}`);
    }
    length += key.length + value.length;
  }
  if (!any) return '';
  if (length > MAX_BYTES) throw tooLarge(name, length);
  // The core rejects JSON with unpaired surrogates.
  const text = repairJson(JSON.stringify({ ...metadata }));
  const size = text.length * 3 > MAX_BYTES ? Buffer.byteLength(text) : 0;
  if (size > MAX_BYTES) {
    throw tooLarge(name, size);
  }
  return text;
}

function tooLarge(name: string, size: number): MeshError {
  return invalidArgument(`${name} must not be larger than ${MAX_BYTES} bytes as JSON, got ${size}`);
}

function checkName(key: string, name: string): void {
  if (!NAME.test(key)) {
    throw invalidArgument(
      `${name}: a name must be 1…64 letters, digits, '.', '_' or '-', got ${show(key.slice(0, 80))}`,
    );
  }
  const lower = key.toLowerCase();
  if (lower !== key && RESERVED.has(lower)) {
    throw invalidArgument(`${name}.${key} must be written ${lower}`);
  }
}

/**
 * Decodes a peer's metadata, which the core has checked to be an object of strings. Entries with invalid
 * names are dropped.
 */
export function decodeMetadata(text: string): Metadata {
  if (text === '') return Object.freeze({});
  const sent = JSON.parse(text) as Record<string, string>;
  for (const key of Object.keys(sent)) if (!NAME.test(key)) delete sent[key];
  return Object.freeze(sent);
}

/** Whether a text is a valid name of metadata. */
export function isName(text: string): boolean {
  return NAME.test(text);
}

/** Whether a value is a valid request id or idempotency key. */
export function isId(text: unknown): text is string {
  return typeof text === 'string' && text.length <= MAX_ID && ID.test(text);
}

// Version 00 has exactly these four fields; a later version may have more.
const TRACE =
  /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Validates a trace context of W3C Trace Context; undefined if it is malformed, which counts as missing. */
export function readTraceparent(text: string | undefined): string | undefined {
  if (text === undefined || text.length > 512) return undefined;
  const match = TRACE.exec(text);
  return match !== null && (match[1] !== '00' || match[5] === undefined) ? text : undefined;
}

/**
 * Continues a trace with a new parent id. Of a later version only the fields of version 00 are kept, as W3C
 * requires.
 */
export function continueTrace(traceparent: string): string {
  const flags = Number.parseInt(traceparent.slice(53, 55), 16) & 1;
  return `00-${traceparent.slice(3, 35)}-${spanId()}-0${flags}`;
}

function spanId(): string {
  // An id of all zeros is invalid. It occurs once in 2^64 draws.
  for (;;) {
    const id = randomBytes(8).toString('hex');
    if (id !== '0000000000000000') return id;
  }
}
