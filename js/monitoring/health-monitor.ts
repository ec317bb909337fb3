// Asks parts of a service how they are.

import { checkKeys, invalidArgument } from '../base/arguments.js';
import { idleTimer } from '../base/clock.js';
import { checkFunction, checkText, toMillis } from '../base/values.js';
import { TimeoutManager } from '../resilience/timeout-manager.js';

/** How a part of a service is. */
export type HealthStatus = 'healthy' | 'degraded' | 'unhealthy';

/** What a {@link HealthCheck} found. */
export interface HealthCheckResult {
  /** How it is. */
  status: HealthStatus;
  /** What was found, in detail; never secrets. */
  details?: Record<string, any>;
  /** When. */
  timestamp: Date;
}

/** Asks one part how it is. */
export interface HealthCheck {
  /** Its name; a later check of the same name takes its place. */
  name: string;
  /** Asks. One that rejects, or takes too long, has found it unhealthy. */
  check(): Promise<HealthCheckResult>;
}

/** Settings of a {@link HealthMonitor}. */
export interface HealthMonitorOptions {
  /** How long a check may take: milliseconds or `'2s'`. Default: 5,000. */
  timeoutMs?: number | string | undefined;
}

const STATES: readonly string[] = ['healthy', 'degraded', 'unhealthy'] satisfies HealthStatus[];

/**
 * Runs health checks, all at once, again and again, and keeps what they found
 * last. Its timer does not keep the process alive.
 *
 * @example
 * ```js
 * const monitor = new HealthMonitor(10_000);
 * monitor.registerCheck({ name: 'db', check: async () => ({ status: await ping(), timestamp: new Date() }) });
 * monitor.start();
 * ```
 */
export class HealthMonitor {
  readonly #intervalMs: number;
  readonly #limit: TimeoutManager;
  readonly #checks = new Map<string, HealthCheck>();
  readonly #results = new Map<string, HealthCheckResult>();
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #started = false;

  /**
   * @param checkIntervalMs the time between the end of one round and the next. Default: 30,000.
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
   */
  constructor(checkIntervalMs: number | string = 30_000, options: HealthMonitorOptions = {}) {
    checkKeys('options', options, ['timeoutMs']);
    this.#intervalMs = toMillis('checkIntervalMs', checkIntervalMs);
    if (this.#intervalMs < 1) throw invalidArgument('checkIntervalMs must be at least 1');
    this.#limit = new TimeoutManager({
      timeout: toMillis('options.timeoutMs', options.timeoutMs ?? 5_000),
      errorMessage: 'the check has not answered in time',
    });
  }

  /** Adds a check. It is run from the next round on. */
  registerCheck(check: HealthCheck): void {
    checkText('check.name', check?.name);
    checkFunction('check.check', check.check);
    this.#checks.set(check.name, check);
    this.#results.delete(check.name);
  }

  /** Runs every check once. While a round is under way, it resolves with that one. Never rejects. */
  runChecks(): Promise<void> {
    return (this.#running ??= this.#run().finally(() => (this.#running = undefined)));
  }

  /** Runs the checks now and after each interval. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    void this.#round();
  }

  /** Ends what {@link start} began. Results stay. */
  stop(): void {
    this.#started = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /**
   * The worst that the checks found last. One that has not been run yet counts
   * as `degraded`: nothing is known. Without checks: `healthy`.
   */
  getOverallStatus(): HealthStatus {
    let worst = 0;
    for (const name of this.#checks.keys()) {
      worst = Math.max(worst, STATES.indexOf(this.#results.get(name)?.status ?? 'degraded'));
    }
    return STATES[worst] as HealthStatus;
  }

  /** What each check found last, by name. */
  getResults(): Record<string, HealthCheckResult> {
    return Object.fromEntries(this.#results);
  }

  async #round(): Promise<void> {
    await this.runChecks();
    if (!this.#started || this.#timer !== undefined) return;
    this.#timer = idleTimer(this.#intervalMs, () => {
      this.#timer = undefined;
      void this.#round();
    });
  }

  async #run(): Promise<void> {
    await Promise.all([...this.#checks.values()].map((check) => this.#ask(check)));
  }

  async #ask(check: HealthCheck): Promise<void> {
    let result: HealthCheckResult;
    try {
      result = await this.#limit.execute(() => check.check());
      if (!STATES.includes(result?.status)) {
        throw new TypeError(`the check must resolve with a status: ${STATES.join(', ')}`);
      }
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      result = { status: 'unhealthy', details: { error: text }, timestamp: new Date() };
    }
    // It may have been replaced meanwhile.
    if (this.#checks.get(check.name) === check) this.#results.set(check.name, result);
  }
}
