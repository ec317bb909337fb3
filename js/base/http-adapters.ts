// Error handlers for HTTP servers. They know the servers by their shapes only, so that none of them is a dependency.

import { STATUS_CODES } from 'node:http';
import { checkKeys, invalidArgument } from './arguments.js';
import { MeshError } from './errors.js';
import { toProblem } from './http.js';

/** The options of {@link expressErrors} and {@link fastifyErrors}. */
export interface HttpErrorOptions {
  /**
   * Called with every error that becomes an answer of 500 or above, since that answer has no text of it: for the log.
   * Default: nothing in Express; the log of the request in Fastify.
   */
  onError?: ((error: unknown, request: any) => void) | undefined;
}

/** The part of a response of Express, or of Node, that {@link expressErrors} uses. */
export interface ExpressResponseLike {
  /** Whether an answer has begun. */
  readonly headersSent: boolean;
  /** The status of the answer. */
  statusCode: number;
  /** Sets a header. */
  setHeader(name: string, value: string): unknown;
  /** Ends the answer. */
  end(body: string): unknown;
}

/** The part of a reply of Fastify that {@link fastifyErrors} uses. */
export interface FastifyReplyLike {
  /** Sets the status. */
  code(status: number): unknown;
  /** Sets a header. */
  header(name: string, value: string): unknown;
  /** Sends the answer. */
  send(body: string): unknown;
}

/** The part of a request of Fastify that {@link fastifyErrors} uses. */
export interface FastifyRequestLike {
  /** The log of the request. */
  readonly log?:
    | {
        /** Writes an error. */
        error(fields: object, message: string): void;
      }
    | undefined;
}

const TYPE = 'application/problem+json';

/**
 * An error handler for Express (and for what has its signature, such as connect and polka). A {@link MeshError} becomes
 * the answer of {@link toProblem}, with `Retry-After` where the error has `retryAfterMs`. Errors of HTTP itself whose text
 * is meant for the client (`expose`) are passed on to the next handler. Other errors with a `status` below 500 keep that
 * status, and all others become 500, without any text. If the answer has begun, the next handler closes the connection.
 *
 * @example
 * ```js
 * app.use(expressErrors({ onError: (error, request) => log.error({ error, path: request.path }) }));
 * ```
 * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
 */
export function expressErrors(
  options: HttpErrorOptions = {},
): (
  error: unknown,
  request: any,
  response: ExpressResponseLike,
  next: (error?: unknown) => void,
) => void {
  const { onError } = checked(options);
  // Express knows an error handler by its four parameters.
  return (error, request, response, next) => {
    if (response.headersSent || isForClient(error)) {
      next(error);
      return;
    }
    const { status, headers, body } = answerOf(error);
    if (status >= 500) tell(onError, error, request);
    response.statusCode = status;
    for (const [name, value] of headers) response.setHeader(name, value);
    response.end(body);
  };
}

/**
 * An error handler for Fastify, as {@link expressErrors} for Express. Errors of 500 and above go to `request.log`.
 *
 * @example
 * ```js
 * app.setErrorHandler(fastifyErrors());
 * ```
 * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
 */
export function fastifyErrors(
  options: HttpErrorOptions = {},
): (error: unknown, request: FastifyRequestLike, reply: FastifyReplyLike) => void {
  const { onError } = checked(options);
  const log = (error: unknown, request: FastifyRequestLike): void =>
    request.log?.error({ err: error }, 'the request failed');
  return (error, request, reply) => {
    // Fastify's own handler answers what is thrown here.
    if (isForClient(error)) throw error;
    const { status, headers, body } = answerOf(error);
    if (status >= 500) tell(onError ?? log, error, request);
    void reply.code(status);
    for (const [name, value] of headers) void reply.header(name, value);
    void reply.send(body);
  };
}

/** The members of errors of HTTP servers. */
interface HttpError {
  statusCode?: unknown;
  status?: unknown;
  expose?: unknown;
  code?: unknown;
}

/** The status of an error of HTTP that is the client's fault. */
function clientStatus(error: unknown): number | undefined {
  if (error instanceof MeshError || !(error instanceof Error)) return undefined;
  const { statusCode, status } = error as HttpError;
  const code = statusCode ?? status;
  if (typeof code !== 'number' || code < 400 || code >= 500) return undefined;
  return STATUS_CODES[code] === undefined ? undefined : code;
}

/** Whether the text of an error is made for the client: of `http-errors`, a body parser, or Fastify itself. */
function isForClient(error: unknown): boolean {
  if (clientStatus(error) === undefined) return false;
  const { expose, code } = error as HttpError;
  return expose === true || (typeof code === 'string' && code.startsWith('FST_'));
}

function answerOf(error: unknown): { status: number; headers: [string, string][]; body: string } {
  const own = clientStatus(error);
  // Errors of clients of other servers have a status too. It may be the client's, their text is not.
  const problem =
    own === undefined ? toProblem(error) : { status: own, title: STATUS_CODES[own] as string };
  const headers: [string, string][] = [
    ['content-type', TYPE],
    ['cache-control', 'no-store'],
  ];
  const { status } = problem;
  if (error instanceof MeshError && (status === 429 || status === 503)) {
    const { retryAfterMs } = error;
    if (retryAfterMs !== undefined) {
      headers.push(['retry-after', String(Math.ceil(retryAfterMs / 1_000))]);
    }
  }
  return { status, headers, body: JSON.stringify(problem) };
}

/** A log that fails must not keep the client from its answer. */
function tell(onError: HttpErrorOptions['onError'], error: unknown, request: unknown): void {
  try {
    onError?.(error, request);
  } catch {
    // It belongs to the application, which has no better place for it.
  }
}

function checked(options: HttpErrorOptions): HttpErrorOptions {
  checkKeys('options', options, ['onError']);
  if (options.onError !== undefined && typeof options.onError !== 'function') {
    throw invalidArgument('options.onError must be a function');
  }
  return options;
}
