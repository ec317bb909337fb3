// Faults on purpose: what a test wants to go wrong.

import { checkKeys, invalidArgument, show } from '../base/arguments.js';
import { isCode } from '../base/errors.js';
import { after, cancelTimer } from '../base/timers.js';
import { MeshError, type Context, type MeshErrorCode } from '../index.js';
import type { Middleware } from '../rpc/handler-types.js';

/** What goes wrong, where, and how often. At least one of `latencyMs`, `error` and `drop` is given. */
export interface FaultRule {
  /** The service that is called. Default: every one. */
  service?: string | undefined;
  /** The method that is called. Default: every one. */
  method?: string | undefined;
  /** How long to wait before the handler, in ms. Ends early when the call is given up. */
  latencyMs?: number | undefined;
  /** What is thrown in the handler's place: an error, or the code of one (reason `FAULT`). */
  error?: MeshError | MeshErrorCode | undefined;
  /**
   * `true`: the handler does not run and the answer never comes, so that the caller's deadline
   * passes. `'connection'`: every connection to the service is broken, so that whatever is under
   * way there ends with `UNAVAILABLE`, reason `SESSION_LOST`; later calls connect again.
   */
  drop?: boolean | 'connection' | undefined;
  /** How many requests it happens to. Default: all, until it is removed. */
  times?: number | undefined;
  /** The share of requests it happens to, 0…1. Default: 1. */
  probability?: number | undefined;
  /** Where the random numbers begin: the same seed makes the same choices. Default: 1. */
  seed?: number | undefined;
}

/** A rule that is in force. */
export interface Fault {
  /** How many requests it has happened to. */
  readonly hits: number;
  /** Ends it. What it holds up already stays so. */
  remove(): void;
}

/** The faults of a test mesh. They meet requests that have been admitted, before any middleware. */
export interface Faults {
  /**
   * Puts a fault in force. Where several match they all happen, in the order they were added.
   *
   * @example
   * ```js
   * const slow = kit.faults.add({ service: 'stock', latencyMs: 200 });
   * kit.faults.add({ method: 'orders.create', error: 'UNAVAILABLE', times: 2 });
   * ```
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, naming what is wrong;
   *   `RESOURCE_EXHAUSTED` beyond 1,000 of them
   */
  add(rule: FaultRule): Fault;
  /** Removes all of them. */
  clear(): void;
}

const MOST = 1000;
const KEYS = [
  'service',
  'method',
  'latencyMs',
  'error',
  'drop',
  'times',
  'probability',
  'seed',
] as const;

/** The faults of a test mesh, and what brings them about. */
export class FaultPlan implements Faults {
  readonly #active = new Set<ActiveFault>();

  add(rule: FaultRule): Fault {
    checkRule(rule);
    if (this.#active.size >= MOST) {
      throw new MeshError('RESOURCE_EXHAUSTED', `at most ${MOST} faults; remove some first`);
    }
    const fault = new ActiveFault({ ...rule }, (done) => this.#active.delete(done));
    this.#active.add(fault);
    return fault;
  }

  clear(): void {
    this.#active.clear();
  }

  /**
   * The middleware that brings them about at a service.
   *
   * @param sever breaks the connections to it
   */
  middleware(service: string, sever: () => void): Middleware {
    return async (context, next) => {
      for (const fault of [...this.#active]) {
        if (fault.meets(service, context.method)) await happen(fault.rule, context, sever);
      }
      return next();
    };
  }
}

class ActiveFault implements Fault {
  readonly rule: FaultRule;
  readonly #end: (fault: ActiveFault) => void;
  #state: number;
  #hits = 0;

  constructor(rule: FaultRule, end: (fault: ActiveFault) => void) {
    this.rule = rule;
    this.#end = end;
    this.#state = rule.seed ?? 1;
  }

  get hits(): number {
    return this.#hits;
  }

  remove(): void {
    this.#end(this);
  }

  /** Whether it happens to a request; if so it is counted. */
  meets(service: string, method: string): boolean {
    const { rule } = this;
    if (rule.service !== undefined && rule.service !== service) return false;
    if (rule.method !== undefined && rule.method !== method) return false;
    // A request that came while the last was held up finds it spent.
    if (this.#hits >= (rule.times ?? Infinity)) return false;
    if (rule.probability !== undefined && this.#random() >= rule.probability) return false;
    this.#hits += 1;
    if (this.#hits >= (rule.times ?? Infinity)) this.remove();
    return true;
  }

  /** A linear congruential generator: enough for a choice that has to be the same again. */
  #random(): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return this.#state / 0x1_0000_0000;
  }
}

async function happen(rule: FaultRule, context: Context, sever: () => void): Promise<void> {
  if (rule.latencyMs !== undefined) await aborted(context.signal, rule.latencyMs);
  if (rule.drop === 'connection') sever();
  if (rule.drop !== undefined && rule.drop !== false) {
    await aborted(context.signal);
    // Nobody waits for it any more.
    throw context.signal.reason;
  }
  if (rule.error instanceof MeshError) throw rule.error;
  if (rule.error !== undefined) {
    throw new MeshError(rule.error, 'a fault on purpose', { reason: 'FAULT' });
  }
}

/** Waits until a signal is aborted, or for so long at most. */
function aborted(signal: AbortSignal, ms?: number): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      cancelTimer(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = ms === undefined ? undefined : after(ms, done);
    signal.addEventListener('abort', done);
  });
}

function checkRule(rule: FaultRule): void {
  if (typeof rule !== 'object' || rule === null) {
    throw invalidArgument(`a fault must be an object, got ${show(rule)}`);
  }
  checkKeys('fault', rule, KEYS);
  const { latencyMs, error, drop, times, probability, seed } = rule;
  const number = (name: string, value: unknown, min: number, max: number): void => {
    if (value === undefined) return;
    if (typeof value !== 'number' || !(value >= min && value <= max)) {
      throw invalidArgument(`fault.${name} must be ${min}…${max}, got ${show(value)}`);
    }
  };
  for (const name of ['service', 'method'] as const) {
    if (rule[name] !== undefined && typeof rule[name] !== 'string') {
      throw invalidArgument(`fault.${name} must be a string, got ${show(rule[name])}`);
    }
  }
  number('latencyMs', latencyMs, 0, 3_600_000);
  number('times', times, 1, Number.MAX_SAFE_INTEGER);
  number('probability', probability, 0, 1);
  number('seed', seed, 0, 0xffff_ffff);
  if (error !== undefined && !(error instanceof MeshError) && !isCode(error)) {
    throw invalidArgument(
      `fault.error must be a MeshError or a code such as UNAVAILABLE, got ${show(error)}`,
    );
  }
  if (drop !== undefined && typeof drop !== 'boolean' && drop !== 'connection') {
    throw invalidArgument(`fault.drop must be true or 'connection', got ${show(drop)}`);
  }
  if (latencyMs === undefined && error === undefined && !drop) {
    throw invalidArgument('a fault needs latencyMs, error or drop');
  }
}
