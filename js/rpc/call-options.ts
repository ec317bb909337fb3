// The checked options of a call, in the form of the wire.

import { PRIORITIES, type Priority } from '../base/boundary.js';
import { checkKeys, invalidArgument, show } from '../base/arguments.js';
import { isAbortSignal } from '../base/signals.js';
import type { CallKind, CallOptions } from './call-types.js';
import { encodeMetadata, IDEMPOTENCY_KEY, isId, type Metadata } from './metadata.js';

/** The checked options of a call. */
export interface PreparedOptions {
  /** Milliseconds, with their fraction; 0 for the default. */
  readonly timeoutMs: number;
  readonly idempotent: boolean;
  /** '' for none. */
  readonly sticky: string;
  /** Whether a second copy may go to another instance; `undefined` for the configuration. */
  readonly hedge: boolean | undefined;
  /** `undefined` for that of the request on whose behalf the call is made. */
  readonly priority: Priority | undefined;
  /** A JSON object, or '' for none. */
  readonly meta: string;
  readonly signal: AbortSignal | undefined;
  readonly onResponseMetadata: ((metadata: Metadata) => void) | undefined;
}

const MAX_TIMEOUT = 0xffff_ffff;
const MAX_METHOD_BYTES = 0xffff;
const MAX_STICKY = 1024;
const OPTION_KEYS = [
  'signal',
  'timeoutMs',
  'idempotent',
  'idempotencyKey',
  'metadata',
  'onResponseMetadata',
  'detached',
  'sticky',
  'hedge',
  'priority',
] as const;

const NONE: PreparedOptions = {
  timeoutMs: 0,
  idempotent: false,
  sticky: '',
  hedge: undefined,
  priority: undefined,
  meta: '',
  signal: undefined,
  onResponseMetadata: undefined,
};

/**
 * Checks a call's options.
 *
 * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, naming the option
 */
export function prepareOptions(options: CallOptions | undefined, kind: CallKind): PreparedOptions {
  if (options === undefined) return NONE;
  checkKeys('options', options, OPTION_KEYS);
  const { idempotencyKey, onResponseMetadata } = options;
  if (onResponseMetadata !== undefined && typeof onResponseMetadata !== 'function') {
    throw invalidArgument(
      `options.onResponseMetadata must be a function, got ${show(onResponseMetadata)}`,
    );
  }
  return {
    timeoutMs: checkTimeout(options.timeoutMs),
    idempotent: options.idempotent === true || idempotencyKey !== undefined,
    sticky: checkSticky(options.sticky),
    // One instance keeps the outcome for a key. At another instance the call would run again.
    hedge: idempotencyKey === undefined ? checkHedge(options.hedge, kind) : false,
    priority: checkPriority(options.priority),
    meta: encodeFacts(options.metadata, idempotencyKey, kind),
    signal: checkSignal(options.signal),
    onResponseMetadata,
  };
}

function encodeFacts(metadata: unknown, key: unknown, kind: CallKind): string {
  if (key === undefined) {
    if (metadata === undefined) return '';
    if (typeof metadata === 'object' && metadata !== null && IDEMPOTENCY_KEY in metadata) {
      throw invalidArgument(`options.metadata.${IDEMPOTENCY_KEY}: use options.idempotencyKey`);
    }
    return encodeMetadata(metadata, 'options.metadata');
  }
  if (kind !== 'unary') {
    throw invalidArgument('options.idempotencyKey is for unary calls only');
  }
  if (!isId(key)) {
    throw invalidArgument(
      `options.idempotencyKey must be 1…128 visible ASCII characters, got ${show(key)}`,
    );
  }
  // The metadata option is checked alone first, so that an error names this option.
  if (metadata !== undefined) encodeMetadata(metadata, 'options.metadata');
  return encodeMetadata({ ...(metadata ?? {}), [IDEMPOTENCY_KEY]: key }, 'options.metadata');
}

/** Checks that a method's name is a string that fits its frame. */
export function checkMethod(method: unknown): asserts method is string {
  if (typeof method !== 'string' || method === '') {
    throw invalidArgument(`method must be a non-empty string, got ${show(method)}`);
  }
  if (
    method.length > MAX_METHOD_BYTES ||
    (method.length * 3 > MAX_METHOD_BYTES && Buffer.byteLength(method) > MAX_METHOD_BYTES)
  ) {
    throw invalidArgument(`method must not be longer than ${MAX_METHOD_BYTES} bytes`);
  }
}

/** Checks a timeout in milliseconds and never extends it; 0 if none is given. */
export function checkTimeout(timeoutMs: unknown, name = 'options.timeoutMs'): number {
  if (timeoutMs === undefined) return 0;
  if (typeof timeoutMs !== 'number' || !(timeoutMs > 0)) {
    throw invalidArgument(
      `${name} must be a number of milliseconds above 0, got ${show(timeoutMs)}`,
    );
  }
  // Infinity becomes the maximum of 49 days too.
  return Math.min(timeoutMs, MAX_TIMEOUT);
}

function checkSticky(sticky: unknown): string {
  if (sticky === undefined) return '';
  if (typeof sticky === 'string' && sticky !== '' && sticky.length <= MAX_STICKY) return sticky;
  throw invalidArgument(
    `options.sticky must be a string of 1…${MAX_STICKY} characters, got ${show(sticky)}`,
  );
}

function checkHedge(hedge: unknown, kind: CallKind): boolean | undefined {
  if (hedge === undefined || typeof hedge === 'boolean') {
    if (hedge === true && kind !== 'unary') {
      throw invalidArgument('options.hedge is for unary calls only');
    }
    return hedge;
  }
  throw invalidArgument(`options.hedge must be true or false, got ${show(hedge)}`);
}

function checkPriority(priority: unknown): Priority | undefined {
  if (priority === undefined || PRIORITIES.includes(priority as Priority)) {
    return priority as Priority | undefined;
  }
  const known = PRIORITIES.map((one) => `'${one}'`).join(', ');
  throw invalidArgument(`options.priority must be one of ${known}, got ${show(priority)}`);
}

function checkSignal(signal: unknown): AbortSignal | undefined {
  if (signal === undefined || isAbortSignal(signal)) return signal;
  throw invalidArgument(`options.signal must be an AbortSignal, got ${show(signal)}`);
}
