// Health checks of the parts of a service.

import { checkKeys, invalidArgument } from '../base/arguments.js';
import { idleTimer } from '../base/clock.js';
import { checkFunction, checkText, toMillis } from '../base/values.js';
import { TimeoutManager } from '../resilience/timeout-manager.js';

/** The health of a part of a service. */
export type HealthStatus = 'healthy' | 'degraded' | 'unhealthy';

/** The result of a {@link HealthCheck}. */
export interface HealthCheckResult {
  /** The health. */
  status: HealthStatus;
  /** Details; never secrets. */
  details?: Record<string, any>;
  /** The time of the check. */
  timestamp: Date;
}

/** A check of one part. */
export interface HealthCheck {
  /** The name of the check; a later check of the same name replaces it. */
  name: string;
  /** Runs the check. A rejection or a timeout counts as `unhealthy`. */
  check(): Promise<HealthCheckResult>;
}

/** Settings of a {@link HealthMonitor}. */
export interface HealthMonitorOptions {
  /** The timeout of a check: milliseconds or a string such as `'2s'`. Default: 5,000. */
  timeoutMs?: number | string | undefined;
}

const STATES: readonly string[] = ['healthy', 'degraded', 'unhealthy'] satisfies HealthStatus[];

/**
 * Runs health checks periodically, all at once, and keeps their latest results. Its timer does not keep the
 * process alive.
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

  /** Adds a check, which runs from the next round on. */
  registerCheck(check: HealthCheck): void {
    checkText('check.name', check?.name);
    checkFunction('check.check', check.check);
    this.#checks.set(check.name, check);
    this.#results.delete(check.name);
  }

  /** Runs every check once. During a round, it resolves with the end of that round. Never rejects. */
  runChecks(): Promise<void> {
    return (this.#running ??= this.#run().finally(() => (this.#running = undefined)));
  }

  /** Runs the checks now and after each interval. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    void this.#round();
  }

  /** Stops the periodic rounds. The results stay. */
  stop(): void {
    this.#started = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /**
   * The worst of the latest results. A check that has not run yet counts as `degraded`. Without checks:
   * `healthy`.
   */
  getOverallStatus(): HealthStatus {
    let worst = 0;
    for (const name of this.#checks.keys()) {
      worst = Math.max(worst, STATES.indexOf(this.#results.get(name)?.status ?? 'degraded'));
    }
    return STATES[worst] as HealthStatus;
  }

  /** The latest result of each check, by name. */
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
    // The check may have been replaced during the await.
    if (this.#checks.get(check.name) === check) this.#results.set(check.name, result);
  }
}
