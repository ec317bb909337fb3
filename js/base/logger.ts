// The user's logger, and the same made safe to call from anywhere.

import { invalidArgument } from './arguments.js';

/**
 * Where log entries go. `console` is one. Nothing is logged without a logger,
 * and this package never prints.
 */
export interface Logger {
  /**
   * What helps to find a fault.
   *
   * @param fields further facts; never secrets
   */
  debug?(message: string, fields?: Record<string, unknown>): void;
  /**
   * What is as it should be.
   *
   * @param fields further facts; never secrets
   */
  info?(message: string, fields?: Record<string, unknown>): void;
  /**
   * What is not, and was dealt with.
   *
   * @param fields further facts; never secrets
   */
  warn?(message: string, fields?: Record<string, unknown>): void;
  /**
   * What somebody has to look at.
   *
   * @param fields further facts; never secrets
   */
  error?(message: string, fields?: Record<string, unknown>): void;
}

/** The names of the levels, mildest first. */
export const LEVELS = ['debug', 'info', 'warn', 'error'] as const;

type Level = (typeof LEVELS)[number];
type Fields = Record<string, unknown>;

/** Forwards to the user's logger; nothing it does, or lacks, disturbs the mesh. */
export class SafeLogger {
  readonly #logger: Logger | undefined;

  /** @throws MeshError `INVALID_ARGUMENT` when it is not a logger */
  constructor(logger: Logger | undefined) {
    if (logger !== undefined && (typeof logger !== 'object' || logger === null)) {
      throw invalidArgument('logger must be an object with debug, info, warn and error');
    }
    this.#logger = logger;
  }

  /** For people who debug. */
  debug(message: string, fields?: Fields): void {
    this.#log('debug', message, fields);
  }

  /** What happens in a normal life. */
  info(message: string, fields?: Fields): void {
    this.#log('info', message, fields);
  }

  /** What somebody should look at. */
  warn(message: string, fields?: Fields): void {
    this.#log('warn', message, fields);
  }

  /** What went wrong. */
  error(message: string, fields?: Fields): void {
    this.#log('error', message, fields);
  }

  /** An entry of the core: JSON with level, event, message and fields. */
  forward(entry: string): void {
    if (this.#logger === undefined) return;
    const { level, event, message, fields } = JSON.parse(entry) as Record<string, unknown>;
    this.#log(LEVELS.find((known) => known === level) ?? 'info', String(message), {
      event,
      ...(fields as Fields | undefined),
    });
  }

  #log(level: Level, message: string, fields?: Fields): void {
    try {
      this.#logger?.[level]?.(message, fields);
    } catch {
      // A logger that throws must not take a service down, and there is nobody to tell.
    }
  }
}
