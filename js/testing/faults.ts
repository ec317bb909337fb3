// Fault injection for tests.

import { checkKeys, invalidArgument, show } from '../base/arguments.js';
import { isCode } from '../base/errors.js';
import { after, cancelTimer } from '../base/timers.js';
import { MeshError, type Context, type MeshErrorCode } from '../index.js';
import type { Middleware } from '../rpc/handler-types.js';

/**
 * A fault to inject, with its place and frequency. At least one of `latencyMs`, `error` and `drop` is
 * required.
 */
export interface FaultRule {
  /** The service that is called. Default: every service. */
  service?: string | undefined;
  /** The method that is called. Default: every method. */
  method?: string | undefined;
  /** The delay before the handler, in ms. It ends early if the call is cancelled. */
  latencyMs?: number | undefined;
  /** The error that replaces the handler: an error, or the code of one (reason `FAULT`). */
  error?: MeshError | MeshErrorCode | undefined;
  /**
   * `true`: the handler does not run and the answer never comes, so that the caller's deadline passes.
   * `'connection'`: every connection to the service breaks, so that its running calls end with `UNAVAILABLE`,
   * reason `SESSION_LOST`; later calls connect again.
   */
  drop?: boolean | 'connection' | undefined;
  /** The number of affected requests. Default: all, until the fault is removed. */
  times?: number | undefined;
  /** The share of affected requests, 0…1. Default: 1. */
  probability?: number | undefined;
  /** The seed of the random numbers: the same seed makes the same choices. Default: 1. */
  seed?: number | undefined;
}

/** An active fault. */
export interface Fault {
  /** The number of requests it has affected. */
  readonly hits: number;
  /** Removes the fault. Requests that it already delays or drops are still affected. */
  remove(): void;
}

/** The faults of a test mesh. They affect admitted requests, before any middleware. */
export interface Faults {
  /**
   * Adds a fault. All matching faults apply, in the order of their addition.
   *
   * @example
   * ```js
   * const slow = kit.faults.add({ service: 'stock', latencyMs: 200 });
   * kit.faults.add({ method: 'orders.create', error: 'UNAVAILABLE', times: 2 });
   * ```
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, naming the fault; `RESOURCE_EXHAUSTED` beyond
   *   1,000 of them
   */
  add(rule: FaultRule): Fault;
  /** Removes all faults. */
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

/** The faults of a test mesh, with the middleware that injects them. */
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
   * Returns the middleware that injects the faults at a service.
   *
   * @param sever breaks the connections to the service
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

  /** Whether the fault affects a request, which is then counted. */
  meets(service: string, method: string): boolean {
    const { rule } = this;
    if (rule.service !== undefined && rule.service !== service) return false;
    if (rule.method !== undefined && rule.method !== method) return false;
    // The fault may be used up by a request that is still delayed.
    if (this.#hits >= (rule.times ?? Infinity)) return false;
    if (rule.probability !== undefined && this.#random() >= rule.probability) return false;
    this.#hits += 1;
    if (this.#hits >= (rule.times ?? Infinity)) this.remove();
    return true;
  }

  /** A linear congruential generator, which is enough for reproducible choices. */
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
    // The caller has cancelled.
    throw context.signal.reason;
  }
  if (rule.error instanceof MeshError) throw rule.error;
  if (rule.error !== undefined) {
    throw new MeshError(rule.error, 'a fault on purpose', { reason: 'FAULT' });
  }
}

/** Waits until a signal is aborted, or until a time has passed. */
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
