// The user's logger, and the same made safe to call from anywhere.

import { invalidArgument } from './arguments.js';

/**
 * Where log entries go: `console`, a logger of pino or winston, or anything with
 * these methods. Nothing is logged without a logger, and this package never
 * prints.
 *
 * Each method gets a message and the fields. A logger of pino, and of bunyan,
 * is known by its `child` and its numeric levels, and gets them the other way
 * round, as it wants them; fields named `error` also come as `err`, which
 * those loggers know how to write. With winston and with JSON in mind an error
 * among the fields is given as an object with its name, message, stack and code,
 * where the logger is not `console`.
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
const LEVELS = ['debug', 'info', 'warn', 'error'] as const;

type Level = (typeof LEVELS)[number];
type Fields = Record<string, unknown>;

type Style = 'console' | 'fields-first' | 'message-first';

/** Forwards to the user's logger; nothing it does, or lacks, disturbs the mesh. */
export class SafeLogger {
  readonly #logger: Logger | undefined;
  readonly #style: Style;

  /** @throws MeshError `INVALID_ARGUMENT` when it is not a logger */
  constructor(logger: Logger | undefined) {
    if (logger !== undefined && (typeof logger !== 'object' || logger === null)) {
      throw invalidArgument('logger must be an object with debug, info, warn and error');
    }
    this.#logger = logger;
    this.#style = styleOf(logger);
  }

  /** Whether there is one. */
  get given(): boolean {
    return this.#logger !== undefined;
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

  #log(level: Level, message: string, fields: Fields = {}): void {
    const logger = this.#logger;
    if (logger === undefined) return;
    try {
      if (this.#style === 'fields-first') {
        const given = 'error' in fields ? { ...fields, err: fields['error'] } : fields;
        (logger as unknown as FieldsFirst)[level]?.(given, message);
      } else if (this.#style === 'message-first') {
        logger[level]?.(message, { ...fields, ...plainErrors(fields) });
      } else {
        logger[level]?.(message, fields);
      }
    } catch {
      // A logger that throws must not take a service down, and there is nobody to tell.
    }
  }
}

type FieldsFirst = Partial<Record<Level, (fields: Fields, message: string) => void>>;

function styleOf(logger: Logger | undefined): Style {
  if (logger === undefined) return 'console';
  const { child, level, levels, log, format } = logger as Record<string, unknown>;
  if (typeof child !== 'function') return 'console';
  // Winston has `child` as well; its levels have no values, and it has a `log` and a format.
  if (typeof log === 'function' && format !== undefined) return 'message-first';
  const pino =
    typeof level === 'string' &&
    typeof (levels as { values?: unknown } | undefined)?.values === 'object';
  const bunyan =
    typeof level === 'function' && Array.isArray((logger as { streams?: unknown }).streams);
  return pino || bunyan ? 'fields-first' : 'console';
}

/** Errors among the fields as plain objects: `JSON.stringify` makes `{}` of an error. */
function plainErrors(fields: Fields): Fields {
  const plain: Fields = {};
  for (const [name, value] of Object.entries(fields)) {
    if (!(value instanceof Error)) continue;
    const { name: kind, message, stack } = value;
    plain[name] = { ...value, name: kind, message, stack };
  }
  return plain;
}

let warned = false;

/**
 * Says, once in a process, that a handler failed and that the cause was written
 * nowhere. The one thing this package prints; `NODE_NO_WARNINGS=1` and
 * `--disable-warning=SECURE_MESH_NO_LOGGER` silence it.
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
