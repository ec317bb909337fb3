// The application's logger, and a wrapper that never throws.

import { invalidArgument } from './arguments.js';
import { checkFunction } from './values.js';

/**
 * A logger: `console`, a logger of pino or winston, or any object with these methods. Without a logger
 * nothing is logged; this package never prints.
 *
 * Each method receives a message and the fields. A logger of pino or bunyan, recognised by its `child` and
 * its numeric levels, receives the fields first, and a field `error` also as `err`, which those loggers can
 * format. For all loggers except `console`, an error among the fields becomes an object with its name,
 * message, stack and code, because JSON would lose it.
 */
export interface Logger {
  /**
   * Details for debugging.
   *
   * @param fields further facts; never secrets
   */
  debug?(message: string, fields?: Record<string, unknown>): void;
  /**
   * A normal event.
   *
   * @param fields further facts; never secrets
   */
  info?(message: string, fields?: Record<string, unknown>): void;
  /**
   * An unusual event that was handled.
   *
   * @param fields further facts; never secrets
   */
  warn?(message: string, fields?: Record<string, unknown>): void;
  /**
   * An event that needs attention.
   *
   * @param fields further facts; never secrets
   */
  error?(message: string, fields?: Record<string, unknown>): void;
}

/** The names of the levels, mildest first. */
const LEVELS = ['debug', 'info', 'warn', 'error'] as const;

type Level = (typeof LEVELS)[number];
type Fields = Record<string, unknown>;

type Style = 'console' | 'fields-first' | 'message-first';

/**
 * Forwards to the application's logger. An error of the logger, or a missing method, does not disturb the
 * mesh.
 */
export class SafeLogger {
  readonly #logger: Logger | undefined;
  readonly #style: Style;

  /** @throws MeshError `INVALID_ARGUMENT` if the value is not a logger */
  constructor(logger: Logger | undefined) {
    if (logger !== undefined && (typeof logger !== 'object' || logger === null)) {
      throw invalidArgument('logger must be an object with debug, info, warn and error');
    }
    if (logger !== undefined) checkMethods(logger);
    this.#logger = logger;
    this.#style = styleOf(logger);
  }

  /** Whether there is a logger that takes errors. */
  get takesErrors(): boolean {
    return this.#logger?.error !== undefined;
  }

  /** Logs details for debugging. */
  debug(message: string, fields?: Fields): void {
    this.#log('debug', message, fields);
  }

  /** Logs a normal event. */
  info(message: string, fields?: Fields): void {
    this.#log('info', message, fields);
  }

  /** Logs an unusual event that was handled. */
  warn(message: string, fields?: Fields): void {
    this.#log('warn', message, fields);
  }

  /** Logs an event that needs attention. */
  error(message: string, fields?: Fields): void {
    this.#log('error', message, fields);
  }

  /** Logs an entry of the core: JSON with level, event, message and fields. */
  forward(entry: string): void {
    if (this.#logger === undefined) return;
    const { level, event, message, fields } = JSON.parse(entry) as Record<string, unknown>;
    this.#log(LEVELS.find((known) => known === level) ?? 'info', String(message), {
      event,
      ...(fields as Fields | undefined),
    });
  }

  #log(level: Level, message: string, fields: Fields = {}): void {
    const logger = this.#logger;
    if (logger === undefined) return;
    try {
      if (this.#style === 'fields-first') {
        // `err` is left to the logger, which has a form of its own for errors under this name.
        const given = 'error' in fields ? { ...plainErrors(fields), err: fields['error'] } : fields;
        (logger as unknown as FieldsFirst)[level]?.(given, message);
      } else if (this.#style === 'message-first') {
        logger[level]?.(message, plainErrors(fields));
      } else {
        logger[level]?.(message, fields);
      }
    } catch {
      // A logger that throws must not stop the service, and there is no other place for its error.
    }
  }
}

/** A logger that has none of the methods, such as the module of a library, would write nothing. */
function checkMethods(logger: Logger): void {
  const found = LEVELS.filter((level) => logger[level] !== undefined);
  for (const level of found) checkFunction(`logger.${level}`, logger[level]);
  if (found.length === 0) {
    throw invalidArgument('logger must have a method debug, info, warn or error, and has none');
  }
}

type FieldsFirst = Partial<Record<Level, (fields: Fields, message: string) => void>>;

function styleOf(logger: Logger | undefined): Style {
  if (logger === undefined) return 'console';
  const { child, level, levels, log, format } = logger as Record<string, unknown>;
  if (typeof child !== 'function') return 'console';
  // Winston has `child` too, but it has no numeric levels, and it has `log` and `format`.
  if (typeof log === 'function' && format !== undefined) return 'message-first';
  const pino =
    typeof level === 'string' &&
    typeof (levels as { values?: unknown } | undefined)?.values === 'object';
  const bunyan =
    typeof level === 'function' && Array.isArray((logger as { streams?: unknown }).streams);
  return pino || bunyan ? 'fields-first' : 'console';
}

/** Converts errors among the fields to plain objects, because `JSON.stringify` makes `{}` of an error. */
function plainErrors(fields: Fields): Fields {
  const plain: Fields = { ...fields };
  for (const [name, value] of Object.entries(fields)) {
    if (!(value instanceof Error)) continue;
    const { name: kind, message, stack } = value;
    plain[name] = { ...value, name: kind, message, stack };
  }
  return plain;
}

let warned = false;

/**
 * Warns, once per process, that a handler failed and that no logger took its error. The package prints
 * nothing else; `NODE_NO_WARNINGS=1` and `--disable-warning=SECURE_MESH_NO_LOGGER` silence it.
 */
export function warnOfNoLogger(): void {
  if (warned) return;
  warned = true;
  process.emitWarning(
    'a handler failed, and its error is written nowhere: give the mesh a logger, for example ' +
      'new SecureMesh({ …, logger: console }), and look for the errorId its caller got',
    { type: 'SecureMeshWarning', code: 'SECURE_MESH_NO_LOGGER' },
  );
}
