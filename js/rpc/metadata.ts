// What travels beside a payload: names and texts, a few of which everybody knows.

import { randomBytes } from 'node:crypto';
import { invalidArgument, show } from '../base/arguments.js';
import type { MeshError } from '../base/errors.js';
import { repairJson } from '../base/json-text.js';

/** The names that mean the same to every service, as they do in HTTP. */
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
// Visible ASCII: it is printed into logs and compared.
const ID = /^[\x21-\x7e]+$/;
const MAX_ID = 128;
// The protocol allows 8 KiB for this and a few other fields.
const MAX_BYTES = 8000;

/** Metadata as it is read. */
export type Metadata = Readonly<Record<string, string>>;

/**
 * Metadata as JSON; '' for none.
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
  // The core refuses half characters.
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

/** Metadata as a peer sent it: the core has checked that it is an object of strings. Other names are left out. */
export function decodeMetadata(text: string): Metadata {
  if (text === '') return Object.freeze({});
  const sent = JSON.parse(text) as Record<string, string>;
  for (const key of Object.keys(sent)) if (!NAME.test(key)) delete sent[key];
  return Object.freeze(sent);
}

/** Whether a text can be a request id or an idempotency key. */
export function isId(text: unknown): text is string {
  return typeof text === 'string' && text.length <= MAX_ID && ID.test(text);
}

// Version 00 has these four fields and no more; a later version may have more.
const TRACE =
  /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** A trace context as W3C Trace Context has it; undefined when it is malformed, which is to say: none. */
export function readTraceparent(text: string | undefined): string | undefined {
  if (text === undefined || text.length > 512) return undefined;
  const match = TRACE.exec(text);
  return match !== null && (match[1] !== '00' || match[5] === undefined) ? text : undefined;
}

/** The same trace, seen from a step further in. Of a later version only what version 00 knows is kept, as W3C asks. */
export function continueTrace(traceparent: string): string {
  const flags = Number.parseInt(traceparent.slice(53, 55), 16) & 1;
  return `00-${traceparent.slice(3, 35)}-${spanId()}-0${flags}`;
}

function spanId(): string {
  // All zeros is no id. It comes up once in 2^64.
  for (;;) {
    const id = randomBytes(8).toString('hex');
    if (id !== '0000000000000000') return id;
  }
}
