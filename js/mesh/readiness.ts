// The dependencies of a process, and their checks by the application.

import { invalidArgument } from '../base/arguments.js';
import { cancelTimer, every, type Timer } from '../base/timers.js';
import { checkText } from '../base/values.js';

/** The time between two checks. In the core a result is valid for 15 s. */
const STEP_MS = 3_000;
/** The longest time that a check may take. */
const LIMIT_MS = 5_000;
const MAX_CHECKS = 64;
const MAX_TEXT = 200;

/**
 * A check of a dependency. The dependency is healthy if the check returns, or resolves to, anything but `false`.
 * An error describes the fault.
 */
export type ReadinessCheck = () => unknown;

/** The part of the core that keeps the results. */
interface Gate {
  setReadiness(name: string, problem: string | null): void;
  forgetReadiness(name: string): void;
  open(): void;
}

/** Checks the dependencies periodically, and reports the results to the core. */
export class Readiness {
  readonly #gate: Gate;
  readonly #checks = new Map<string, ReadinessCheck>();
  readonly #running = new Set<ReadinessCheck>();
  #timer: Timer | undefined;
  #begun = false;

  constructor(gate: Gate) {
    this.#gate = gate;
  }

  /**
   * Adds a check; returns the function that removes it.
   *
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
   */
  add(name: string, check: ReadinessCheck): () => void {
    checkText('name', name);
    if (name === '' || name.length > MAX_TEXT) {
      throw invalidArgument(`name must have 1 to ${MAX_TEXT} characters, got ${name.length}`);
    }
    if (typeof check !== 'function') throw invalidArgument('check must be a function');
    if (this.#checks.has(name)) {
      throw invalidArgument(`name must be new: there is a check named ${JSON.stringify(name)}`);
    }
    if (this.#checks.size >= MAX_CHECKS) {
      throw invalidArgument(`name is one too many: there are ${MAX_CHECKS} checks`);
    }
    this.#checks.set(name, check);
    if (this.#begun) {
      this.#gate.setReadiness(name, 'it has not been asked yet');
      void this.#ask(name, check);
      this.#watch();
    }
    return () => {
      if (this.#checks.get(name) !== check) return;
      this.#checks.delete(name);
      this.#gate.forgetReadiness(name);
      if (this.#checks.size === 0) this.stop();
    };
  }

  /** The mesh has started. */
  begin(): void {
    this.#begun = true;
    for (const name of this.#checks.keys()) {
      this.#gate.setReadiness(name, 'it has not been asked yet');
    }
    this.#gate.open();
    this.#askAll();
    if (this.#checks.size > 0) this.#watch();
  }

  /** Stops the checks. */
  stop(): void {
    cancelTimer(this.#timer);
    this.#timer = undefined;
  }

  #watch(): void {
    this.#timer ??= every(STEP_MS, () => this.#askAll()).unref();
  }

  #askAll(): void {
    for (const [name, check] of this.#checks) void this.#ask(name, check);
  }

  async #ask(name: string, check: ReadinessCheck): Promise<void> {
    // A check that has not ended is not started again.
    if (this.#running.has(check)) return;
    this.#running.add(check);
    const late = every(LIMIT_MS, () => {
      this.#tell(name, check, `no answer within ${LIMIT_MS} ms`);
    }).unref();
    let problem: string | null = null;
    try {
      if ((await check()) === false) problem = 'it is not well';
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    } finally {
      cancelTimer(late);
      this.#running.delete(check);
    }
    this.#tell(name, check, problem);
  }

  #tell(name: string, check: ReadinessCheck, problem: string | null): void {
    if (this.#checks.get(name) !== check) return;
    const line = problem?.replace(/\s+/gu, ' ').slice(0, MAX_TEXT) ?? null;
    this.#gate.setReadiness(name, line);
  }
}
