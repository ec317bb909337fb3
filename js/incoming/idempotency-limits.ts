// The limits on kept outcomes of idempotency keys: defaults, option, refusals.

import { checkKeys, configured, invalidArgument } from '../base/arguments.js';
import { MeshError } from '../base/errors.js';
import type { SafeLogger } from '../base/logger.js';
import { checkCount, toMillis } from '../base/values.js';

/** The options of kept outcomes: `resilience.idempotency`. */
export interface IdempotencyConfig {
  /** The lifetime of a kept outcome, 1 second to 1 day. Default: `'10m'`. */
  ttl?: number | string | undefined;
  /** The limit of known keys, 100 to 10,000,000. Default: 100,000. */
  maxKeys?: number | undefined;
  /** The limit of bytes that keys and outcomes take, at least 1 MiB. Default: 64 MiB. */
  maxBytes?: number | undefined;
  /**
   * The share of `maxKeys` and of `maxBytes` that one calling service may use, 0.01 to 1.
   * Default: 0.25.
   */
  callerShare?: number | undefined;
}

/** Limits of one table of outcomes. */
export interface IdempotencyLimits {
  /** Milliseconds for which an outcome is kept. */
  readonly ttlMs: number;
  /** The limit of keys of all callers, including running calls. */
  readonly maxKeys: number;
  /** The limit of bytes of all callers, including the reservations of running calls. */
  readonly maxBytes: number;
  /** The share of both limits that one caller may use. */
  readonly callerShare: number;
  /** The limit on the running calls of one caller that have a key. */
  readonly maxRunning: number;
}

/** Ten minutes, 100,000 keys, 64 MiB, a quarter of that for each caller, 2,048 running. */
export const DEFAULT_LIMITS: IdempotencyLimits = {
  ttlMs: 600_000,
  maxKeys: 100_000,
  maxBytes: 64 * 1024 * 1024,
  callerShare: 0.25,
  maxRunning: 2_048,
};

const PATH = 'resilience.idempotency';
const MIN_BYTES = 1024 * 1024;

/**
 * Returns the limits of a configuration.
 *
 * @throws MeshError `INVALID_ARGUMENT`, reason `CONFIG`, naming the option
 */
export function idempotencyLimits(config: IdempotencyConfig | undefined): IdempotencyLimits {
  return config === undefined ? DEFAULT_LIMITS : configured(() => parse(config));
}

function parse(config: IdempotencyConfig): IdempotencyLimits {
  checkKeys(PATH, config, ['ttl', 'maxKeys', 'maxBytes', 'callerShare']);
  const {
    ttl = DEFAULT_LIMITS.ttlMs,
    maxKeys = DEFAULT_LIMITS.maxKeys,
    maxBytes = DEFAULT_LIMITS.maxBytes,
    callerShare = DEFAULT_LIMITS.callerShare,
  } = config;
  const ttlMs = toMillis(`${PATH}.ttl`, ttl);
  if (ttlMs < 1_000 || ttlMs > 86_400_000) {
    throw invalidArgument(`${PATH}.ttl must be 1 second to 1 day, got ${String(ttl)}`);
  }
  checkCount(`${PATH}.maxKeys`, maxKeys, 100);
  // A `Map` of V8 holds about 16 million entries, and throws an error beyond that.
  if (maxKeys > 10_000_000) {
    throw invalidArgument(`${PATH}.maxKeys must be at most 10000000, got ${maxKeys}`);
  }
  checkCount(`${PATH}.maxBytes`, maxBytes, MIN_BYTES);
  if (typeof callerShare !== 'number' || !(callerShare >= 0.01 && callerShare <= 1)) {
    throw invalidArgument(
      `${PATH}.callerShare must be a number from 0.01 to 1, got ${String(callerShare)}`,
    );
  }
  return { ...DEFAULT_LIMITS, ttlMs, maxKeys, maxBytes, callerShare };
}

/** An exhausted limit. */
export interface Shortage {
  /** Whether all callers together have reached the limit, or the calling service alone. */
  readonly scope: 'service' | 'caller';
  /** The exhausted dimension. */
  readonly limit: 'maxRunning' | 'maxKeys' | 'maxBytes';
  /** Its value. */
  readonly value: number;
  /** Milliseconds until there can be room. */
  readonly retryAfterMs: number;
}

/**
 * Creates the error of a refused call with a new key. The handler did not run, so the call is safe to repeat.
 */
export function refusal({ scope, limit, value, retryAfterMs }: Shortage): MeshError {
  const whose = scope === 'caller' ? 'this caller' : 'all callers of this service together';
  const unit = limit === 'maxBytes' ? 'bytes' : 'keys';
  const text =
    limit === 'maxRunning'
      ? `${whose} may have ${value} calls with idempotency keys running; ` +
        `retry after ${retryAfterMs} ms, or run fewer of them at once`
      : `${whose} may use ${value} ${unit} for idempotency keys and their outcomes, and none is ` +
        `left; retry after ${retryAfterMs} ms, when the oldest outcome expires, send keys only where ` +
        `they are needed, or raise ${PATH}.${limit} of the service`;
  const options = { reason: 'CALL_LIMIT', retryable: true, retryAfterMs };
  return new MeshError('RESOURCE_EXHAUSTED', text, options);
}

/** The shortest time between two entries of one kind. */
const LOG_INTERVAL_MS = 60_000;

/**
 * Writes one entry a minute for each kind of event, with the number of events
 * since the previous entry: a caller cannot fill the log.
 */
export class ThrottledLog {
  readonly #logger: SafeLogger | undefined;
  readonly #kinds = new Map<string, { next: number; count: number }>();

  constructor(logger: SafeLogger | undefined) {
    this.#logger = logger;
  }

  /**
   * Counts an event and writes an entry if one is due.
   *
   * @param kind one of a fixed set of names; never taken from a request
   */
  warn(now: number, kind: string, message: string, fields: Record<string, unknown>): void {
    let state = this.#kinds.get(kind);
    if (state === undefined) {
      state = { next: -Infinity, count: 0 };
      this.#kinds.set(kind, state);
    }
    state.count += 1;
    if (now < state.next) return;
    this.#logger?.warn(message, { ...fields, count: state.count });
    state.next = now + LOG_INTERVAL_MS;
    state.count = 0;
  }
}
