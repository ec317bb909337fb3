// Outcomes of calls with an idempotency key, so that a repeated call gets the
// outcome of the first run instead of a second run.

import { createHash } from 'node:crypto';
import { MeshError } from '../base/errors.js';
import type { SafeLogger } from '../base/logger.js';
import { nowMs } from '../base/timers.js';
import type { Incoming } from '../frames/reader.js';
import type { Answer } from './answers.js';
import {
  DEFAULT_LIMITS,
  refusal,
  ThrottledLog,
  type IdempotencyLimits,
  type Shortage,
} from './idempotency-limits.js';

/** An outcome, and whether it is kept for repeated calls. */
export interface Outcome {
  readonly answer: Answer;
  readonly keep: boolean;
}

interface Entry {
  readonly share: Share;
  readonly name: string;
  readonly digest: string;
  /** Undefined while the handler runs. */
  answer: Answer | undefined;
  /** Undefined once there is an answer. */
  outcome: Promise<Outcome> | undefined;
  weight: number;
  expires: number;
  /** The entry that expires next after this one, of all callers. */
  next: Entry | undefined;
  /** The next entry of this caller. */
  nextOfShare: Entry | undefined;
}

/**
 * Entries in the order of their expiry, which is the order of their addition, since all have the same
 * lifetime.
 */
interface Queue {
  oldest: Entry | undefined;
  newest: Entry | undefined;
}

/** The entries of one caller. */
interface Share extends Queue {
  readonly caller: string;
  readonly entries: Map<string, Entry>;
  weight: number;
  running: number;
}

/** Bytes of an entry in addition to its strings and its outcome, rounded up. */
const OVERHEAD = 512;
/** Bytes reserved for an outcome before its handler runs. */
const RESERVED = 4096;
/** Expired outcomes removed by one call: about a millisecond. */
const MAX_REMOVED = 1_000;
/** The delay before a retry if a running call must end first. */
const RUNNING_RETRY_MS = 50;

/** The answer to a repeated call whose first outcome could not be kept. */
const NOT_KEPT: Answer = {
  failed: true,
  text: JSON.stringify({
    code: 'ALREADY_EXISTS',
    reason: 'ALREADY_EXISTS',
    message:
      'the call with this idempotency key has run, and its outcome could not be kept (too large for the ' +
      'room left, or bytes that were transferred): do not repeat the call under a new key; read the ' +
      'result by another method, or raise resilience.idempotency.maxBytes of the service',
    retryable: false,
  }),
};

/**
 * Outcomes by caller, method and key.
 *
 * An outcome is kept until it expires: nothing evicts it earlier. A full table therefore refuses a call with
 * a new key before its handler runs. The dangerous mistake is to lose the trace of a run, as the handler
 * would then run twice; a needless refusal is harmless.
 *
 * Each caller has a share of the table. Every run first reserves an entry, its key and {@link RESERVED}
 * bytes. If a larger outcome finds no room, {@link NOT_KEPT} replaces it.
 */
export class Idempotency {
  readonly #limits: IdempotencyLimits;
  readonly #callerKeys: number;
  readonly #callerBytes: number;
  readonly #now: () => number;
  readonly #log: ThrottledLog;
  readonly #shares = new Map<string, Share>();
  readonly #kept: Queue = { oldest: undefined, newest: undefined };
  #size = 0;
  #weight = 0;

  /** @param now a monotonic clock in ms */
  constructor(limits: IdempotencyLimits = DEFAULT_LIMITS, logger?: SafeLogger, now = nowMs) {
    this.#limits = limits;
    this.#callerKeys = Math.max(1, Math.floor(limits.maxKeys * limits.callerShare));
    this.#callerBytes = Math.floor(limits.maxBytes * limits.callerShare);
    this.#log = new ThrottledLog(logger);
    this.#now = now;
  }

  /** The number of known keys. */
  get size(): number {
    return this.#size;
  }

  /** The bytes that keys and outcomes take or have reserved. */
  get bytes(): number {
    return this.#weight;
  }

  /** The number of callers with a known key. */
  get callers(): number {
    return this.#shares.size;
  }

  /**
   * Returns the outcome of the first call with this key. Only the first call runs; calls that arrive during
   * its run wait for it. If its outcome is not kept, the next of them runs.
   *
   * @throws MeshError `INVALID_ARGUMENT`, reason `IDEMPOTENCY_MISMATCH`, if the input differs from that of
   *   the first call; `RESOURCE_EXHAUSTED`, reason `CALL_LIMIT`, if there is no room for a new key: `work`
   *   did not run
   */
  async run(
    caller: string,
    method: string,
    key: string,
    digest: string,
    work: () => Promise<Outcome>,
  ): Promise<Answer> {
    // Neither a key nor a method's name contains a line break.
    const name = `${key}\n${method}`;
    for (;;) {
      this.#expire(this.#now());
      const known = this.#shares.get(caller)?.entries.get(name);
      if (known === undefined) return (await this.#begin(caller, name, digest, work)).answer;
      if (known.digest !== digest) {
        throw new MeshError(
          'INVALID_ARGUMENT',
          'the idempotency key was used before, with a different input',
          { reason: 'IDEMPOTENCY_MISMATCH' },
        );
      }
      if (known.answer !== undefined) return known.answer;
      const made = await known.outcome;
      if (made?.keep === true) return made.answer;
    }
  }

  #begin(
    caller: string,
    name: string,
    digest: string,
    work: () => Promise<Outcome>,
  ): Promise<Outcome> {
    const weight = OVERHEAD + 2 * name.length + RESERVED;
    const known = this.#shares.get(caller);
    const shortage = this.#shortage(known, weight);
    if (shortage !== undefined) {
      this.#logRefusal(caller, shortage);
      throw refusal(shortage);
    }
    const share = known ?? this.#open(caller);
    let settle!: (outcome: Outcome) => void;
    let abandon!: (error: unknown) => void;
    const outcome = new Promise<Outcome>((resolve, reject) => {
      settle = resolve;
      abandon = reject;
    });
    const entry: Entry = {
      share,
      name,
      digest,
      answer: undefined,
      outcome,
      weight: 0,
      expires: Infinity,
      next: undefined,
      nextOfShare: undefined,
    };
    share.entries.set(name, entry);
    share.running += 1;
    this.#size += 1;
    this.#weigh(entry, weight);
    work().then(
      (made) => {
        share.running -= 1;
        if (made.keep) this.#keep(entry, made.answer);
        else this.#remove(entry);
        settle(made);
      },
      (error: unknown) => {
        share.running -= 1;
        this.#remove(entry);
        abandon(error);
      },
    );
    return outcome;
  }

  /** The limit that a new key of this caller would exceed, if any. */
  #shortage(share: Share | undefined, weight: number): Shortage | undefined {
    const { maxRunning, maxKeys, maxBytes } = this.#limits;
    const own = { scope: 'caller', retryAfterMs: this.#untilExpiry(share) } as const;
    if (share !== undefined) {
      if (share.running >= maxRunning) {
        return { ...own, limit: 'maxRunning', value: maxRunning, retryAfterMs: RUNNING_RETRY_MS };
      }
      if (share.entries.size >= this.#callerKeys) {
        return { ...own, limit: 'maxKeys', value: this.#callerKeys };
      }
    }
    if ((share?.weight ?? 0) + weight > this.#callerBytes) {
      return { ...own, limit: 'maxBytes', value: this.#callerBytes };
    }
    const all = { scope: 'service', retryAfterMs: this.#untilExpiry(this.#kept) } as const;
    if (this.#size >= maxKeys) return { ...all, limit: 'maxKeys', value: maxKeys };
    if (this.#weight + weight > maxBytes) return { ...all, limit: 'maxBytes', value: maxBytes };
    return undefined;
  }

  #logRefusal(caller: string, { scope, limit, value, retryAfterMs }: Shortage): void {
    const message =
      scope === 'caller'
        ? 'a caller has used up its share of idempotency keys: its calls with new keys are refused'
        : 'the table of idempotency keys is full: calls with new keys are refused for all callers';
    const fields = { event: 'idempotency.refused', caller, scope, limit, value, retryAfterMs };
    this.#log.warn(this.#now(), `${scope} ${limit}`, message, fields);
  }

  /** Milliseconds until the oldest outcome of a queue expires; without one, a running call has to end. */
  #untilExpiry(queue: Queue | undefined): number {
    if (queue?.oldest === undefined) return RUNNING_RETRY_MS;
    return Math.max(1, Math.ceil(queue.oldest.expires - this.#now()));
  }

  /** Keeps an answer, or {@link NOT_KEPT} if there is no room. */
  #keep(entry: Entry, answer: Answer): void {
    const { share, name } = entry;
    const bare = OVERHEAD + 2 * name.length;
    const weight = bare + sizeOf(answer);
    const more = weight - entry.weight;
    const fits =
      more <= 0 ||
      (share.weight + more <= this.#callerBytes && this.#weight + more <= this.#limits.maxBytes);
    const own = fits ? owned(answer) : undefined;
    this.#weigh(entry, own === undefined ? bare : weight);
    entry.answer = own ?? NOT_KEPT;
    if (own === undefined) {
      this.#log.warn(
        this.#now(),
        'not kept',
        'the outcome of a call with an idempotency key could not be kept: a repeated call gets an error',
        {
          event: 'idempotency.not_kept',
          caller: share.caller,
          method: name.slice(name.indexOf('\n') + 1),
          bytes: weight - bare,
        },
      );
    }
    // The promise refers to the original answer, whose bytes are not counted, so it is dropped.
    entry.outcome = undefined;
    entry.expires = this.#now() + this.#limits.ttlMs;
    if (this.#kept.newest === undefined) this.#kept.oldest = entry;
    else this.#kept.newest.next = entry;
    this.#kept.newest = entry;
    if (share.newest === undefined) share.oldest = entry;
    else share.newest.nextOfShare = entry;
    share.newest = entry;
  }

  /**
   * Removes expired outcomes, oldest first. The cost is that of the removals alone. A call removes more
   * outcomes than it can add, but not enough to block the event loop. An expired outcome that is still
   * present answers a repeated call, which is harmless.
   */
  #expire(now: number): void {
    for (let removed = 0; removed < MAX_REMOVED; removed += 1) {
      const entry = this.#kept.oldest;
      if (entry === undefined || entry.expires > now) return;
      this.#kept.oldest = entry.next;
      if (entry.next === undefined) this.#kept.newest = undefined;
      // The oldest entry of all callers is also the oldest of its caller.
      const { share } = entry;
      share.oldest = entry.nextOfShare;
      if (entry.nextOfShare === undefined) share.newest = undefined;
      this.#remove(entry);
    }
  }

  #open(caller: string): Share {
    const share: Share = {
      caller,
      entries: new Map(),
      weight: 0,
      running: 0,
      oldest: undefined,
      newest: undefined,
    };
    this.#shares.set(caller, share);
    return share;
  }

  /** Updates the weight of an entry, of its caller and of the table. */
  #weigh(entry: Entry, weight: number): void {
    const more = weight - entry.weight;
    entry.weight = weight;
    entry.share.weight += more;
    this.#weight += more;
  }

  #remove(entry: Entry): void {
    const { share } = entry;
    this.#weigh(entry, 0);
    share.entries.delete(entry.name);
    this.#size -= 1;
    if (share.entries.size === 0) this.#shares.delete(share.caller);
  }
}

/** A digest of a received payload. */
export function digestOf({ batch, encoding, start, end }: Incoming): string {
  return createHash('sha256')
    .update(Uint8Array.of(encoding))
    .update(batch.subarray(start, end))
    .digest('base64');
}

/**
 * Returns an answer with a copy of its bytes, because the handler may still change the originals. Undefined
 * if the handler has already transferred them.
 */
function owned(answer: Answer): Answer | undefined {
  if (answer.failed || !(answer.payload instanceof Uint8Array)) return answer;
  try {
    return { ...answer, payload: answer.payload.slice() };
  } catch {
    return undefined;
  }
}

function sizeOf(answer: Answer): number {
  if (answer.failed) return answer.text.length * 2;
  const { payload, meta } = answer;
  const bytes = typeof payload === 'string' ? payload.length * 2 : (payload?.length ?? 0);
  return bytes + meta.length * 2;
}
