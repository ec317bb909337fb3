// What was answered to calls with an idempotency key, so that asking again does
// not do it again.

import { createHash } from 'node:crypto';
import type { Answer } from './answers.js';
import type { Incoming } from './codec.js';
import { MeshError } from './errors.js';

/** Bounds on what is kept. */
export interface IdempotencyLimits {
  /** Milliseconds an outcome is kept. */
  readonly ttlMs: number;
  /** Outcomes kept and being waited for. */
  readonly maxEntries: number;
  /** Bytes of kept outcomes. */
  readonly maxBytes: number;
}

/** Ten minutes, ten thousand, 64 MiB. */
export const DEFAULT_LIMITS: IdempotencyLimits = {
  ttlMs: 600_000,
  maxEntries: 10_000,
  maxBytes: 64 * 1024 * 1024,
};

/** An outcome, and whether it is to be given to whoever asks again. */
export interface Outcome {
  readonly answer: Answer;
  readonly keep: boolean;
}

interface Entry {
  readonly caller: string;
  readonly name: string;
  readonly digest: string;
  /** Undefined while it is being made. */
  answer: Answer | undefined;
  readonly outcome: Promise<Outcome>;
  weight: number;
  expires: number;
}

/** The entries of one caller, oldest first. */
interface Share {
  readonly entries: Map<string, Entry>;
  weight: number;
}

// What an entry costs beside its bytes, more or less.
const OVERHEAD = 512;

/**
 * Outcomes by caller, method and key. A caller who uses many keys loses its own
 * oldest outcomes, and never those of others who use fewer.
 */
export class Idempotency {
  readonly #limits: IdempotencyLimits;
  readonly #now: () => number;
  readonly #shares = new Map<string, Share>();
  #size = 0;
  #weight = 0;
  #nextSweep = 0;

  /** @param now a clock in ms that never goes back */
  constructor(limits: IdempotencyLimits = DEFAULT_LIMITS, now = () => performance.now()) {
    this.#limits = limits;
    this.#now = now;
  }

  /** How many keys are known. */
  get size(): number {
    return this.#size;
  }

  /**
   * The outcome of the first call with this key. Only that one runs; those who
   * ask meanwhile wait for it. If its outcome is not to be kept, the next of
   * them runs.
   *
   * @throws MeshError `INVALID_ARGUMENT`, reason `IDEMPOTENCY_MISMATCH`, when the input is another one;
   *   `RESOURCE_EXHAUSTED`, reason `CALL_LIMIT`, when there is no room for one more that is running
   */
  async run(
    caller: string,
    method: string,
    key: string,
    digest: string,
    work: () => Promise<Outcome>,
  ): Promise<Answer> {
    // Neither a key nor a digest has a line break in it.
    const name = `${key}\n${method}`;
    for (;;) {
      const known = this.#find(caller, name);
      if (known === undefined) return (await this.#begin(caller, name, digest, work)).answer;
      if (known.digest !== digest) {
        throw new MeshError(
          'INVALID_ARGUMENT',
          'the idempotency key was used before, with another input',
          { reason: 'IDEMPOTENCY_MISMATCH' },
        );
      }
      if (known.answer !== undefined) return known.answer;
      const { answer, keep } = await known.outcome;
      if (keep) return answer;
    }
  }

  #begin(
    caller: string,
    name: string,
    digest: string,
    work: () => Promise<Outcome>,
  ): Promise<Outcome> {
    if (!this.#makeRoom(OVERHEAD)) {
      throw new MeshError(
        'RESOURCE_EXHAUSTED',
        'too many calls with idempotency keys are under way',
        { reason: 'CALL_LIMIT', retryAfterMs: 50 },
      );
    }
    let settle!: (outcome: Outcome) => void;
    let abandon!: (error: unknown) => void;
    const outcome = new Promise<Outcome>((resolve, reject) => {
      settle = resolve;
      abandon = reject;
    });
    const entry: Entry = {
      caller,
      name,
      digest,
      answer: undefined,
      outcome,
      weight: OVERHEAD,
      expires: Infinity,
    };
    this.#insert(entry);
    work().then(
      (made) => {
        this.#finish(entry, made);
        settle(made);
      },
      (error: unknown) => {
        this.#remove(entry);
        abandon(error);
      },
    );
    return outcome;
  }

  #finish(entry: Entry, { answer, keep }: Outcome): void {
    this.#remove(entry);
    const weight = OVERHEAD + sizeOf(answer);
    if (!keep || !this.#makeRoom(weight)) return;
    // The handler may go on using the bytes it has answered with.
    const own =
      !answer.failed && answer.payload instanceof Uint8Array
        ? { ...answer, payload: answer.payload.slice() }
        : answer;
    // Last in order, as it is the last to expire.
    const expires = this.#now() + this.#limits.ttlMs;
    this.#insert(Object.assign(entry, { answer: own, weight, expires }));
  }

  #find(caller: string, name: string): Entry | undefined {
    const now = this.#now();
    if (now >= this.#nextSweep) {
      this.#nextSweep = now + this.#limits.ttlMs / 10;
      this.#sweep(now);
    }
    const entry = this.#shares.get(caller)?.entries.get(name);
    if (entry === undefined || entry.expires > now) return entry;
    this.#remove(entry);
    return undefined;
  }

  /** Forgets what is too old. */
  #sweep(now: number): void {
    for (const { entries } of this.#shares.values()) {
      for (const entry of entries.values()) if (entry.expires <= now) this.#remove(entry);
    }
  }

  /** Forgets the oldest outcomes of whoever has most, until there is room; whether there is. */
  #makeRoom(weight: number): boolean {
    const { maxEntries, maxBytes } = this.#limits;
    if (weight > maxBytes) return false;
    while (this.#size + 1 > maxEntries || this.#weight + weight > maxBytes) {
      const oldest = oldestOutcome(this.#heaviest());
      if (oldest === undefined) return false;
      this.#remove(oldest);
    }
    return true;
  }

  #heaviest(): Share[] {
    return [...this.#shares.values()].sort((a, b) => b.weight - a.weight);
  }

  #insert(entry: Entry): void {
    let share = this.#shares.get(entry.caller);
    if (share === undefined) {
      share = { entries: new Map(), weight: 0 };
      this.#shares.set(entry.caller, share);
    }
    share.entries.set(entry.name, entry);
    share.weight += entry.weight;
    this.#size += 1;
    this.#weight += entry.weight;
  }

  #remove(entry: Entry): void {
    const share = this.#shares.get(entry.caller);
    if (share?.entries.get(entry.name) !== entry) return;
    share.entries.delete(entry.name);
    share.weight -= entry.weight;
    if (share.entries.size === 0) this.#shares.delete(entry.caller);
    this.#size -= 1;
    this.#weight -= entry.weight;
  }
}

/** A digest of a payload as it arrived. */
export function digestOf({ batch, encoding, start, end }: Incoming): string {
  return createHash('sha256')
    .update(Uint8Array.of(encoding))
    .update(batch.subarray(start, end))
    .digest('base64');
}

/** The oldest outcome that is done, of the first share that has one. */
function oldestOutcome(shares: Share[]): Entry | undefined {
  for (const { entries } of shares) {
    for (const entry of entries.values()) if (entry.answer !== undefined) return entry;
  }
  return undefined;
}

function sizeOf(answer: Answer): number {
  if (answer.failed) return answer.text.length * 2;
  const { payload, meta } = answer;
  const bytes = typeof payload === 'string' ? payload.length * 2 : (payload?.length ?? 0);
  return bytes + meta.length * 2;
}
