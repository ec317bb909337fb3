// The encoding of answers to requests.

import { randomUUID } from 'node:crypto';
import { AbortCause } from '../base/boundary.js';
import { MeshError } from '../base/errors.js';
import { cutDepth, cutText, repairJson } from '../base/json-text.js';
import { warnOfNoLogger, type SafeLogger } from '../base/logger.js';
import { encodePayload, PayloadError, TooLargeError, type Payload } from '../frames/payload.js';
import type { CommandWriter } from '../frames/writer.js';
import { isOfCall, isOfRequest } from '../rpc/call-errors.js';
import { abortError, Context } from '../rpc/context.js';
import { encodeMetadata } from '../rpc/metadata.js';

/** An encoded result, or the JSON of an error. */
export type Answer =
  | { readonly failed: false; readonly payload: Payload; readonly meta: string }
  | { readonly failed: true; readonly text: string };

/** Passes an answer to the core. */
export function writeAnswer(writer: CommandWriter, id: number, answer: Answer): void {
  if (answer.failed) writer.fail(id, answer.text);
  else writer.respond(id, answer.payload, answer.meta);
}

/** Encodes the answer for a result of a handler. */
export function encodeResult(context: Context, result: unknown, logger: SafeLogger): Answer {
  try {
    if (typeof result === 'object' && result !== null && Symbol.asyncIterator in result) {
      throw new PayloadError('it is a stream, and the call asks for one result');
    }
    const payload = encodePayload(result, Context.limit(context));
    const metadata = Context.responseMetadata(context);
    const meta = metadata === undefined ? '' : encodeMetadata(metadata, 'ctx.responseMetadata');
    return { failed: false, payload, meta };
  } catch (error) {
    if (error instanceof TooLargeError) {
      const message = `the result is larger than limits.maxMessageBytes of this service (${error.limit})`;
      const fields = { code: 'RESOURCE_EXHAUSTED', reason: 'TOO_LARGE', message };
      return { failed: true, text: JSON.stringify(fields) };
    }
    const known = error instanceof PayloadError || error instanceof MeshError;
    const text = known ? error.message : describe(error);
    const fault = new UnsendableError(`the result of ${context.method} cannot be sent: ${text}`);
    return encodeFault(context, fault, logger);
  }
}

/**
 * Encodes the answer for an error of a handler. The caller receives a `MeshError`. Any other error goes to
 * the log of this service, and so does the error of a nested call.
 */
export function encodeError(context: Context, error: unknown, logger: SafeLogger): Answer {
  if (!(error instanceof MeshError)) return encodeFault(context, error, logger);
  if (isOfCall(error)) {
    const common = commonFailure(context, error);
    if (common === undefined) return encodeFault(context, error, logger);
    return { failed: true, text: toJson(common, 0) };
  }
  try {
    return { failed: true, text: toJson(error, Context.limit(context)) };
  } catch (cause) {
    const text = cause instanceof PayloadError ? cause.message : describe(cause);
    const fault = new UnsendableError(
      `the error that ${context.method} threw cannot be sent: its data: ${text}`,
      { cause: error },
    );
    return encodeFault(context, fault, logger);
  }
}

// Each hop rounds the remaining time down, so the last call of a long chain ends slightly before the first.
const ROUNDED_AWAY_MS = 100;

/**
 * Returns the part of a nested call's failure that also concerns the request: its deadline, or the limit of
 * the chain.
 */
function commonFailure(context: Context, error: MeshError): MeshError | undefined {
  const { code, reason, message } = error;
  if (reason === 'CALL_DEPTH') return new MeshError(code, message, { reason });
  if (isOfRequest(error) && context.timeoutMs() <= ROUNDED_AWAY_MS) {
    return abortError(AbortCause.Deadline);
  }
  return undefined;
}

/**
 * Logs the error of a handler whose request ended before it. Its caller has another answer, so nothing else tells of
 * the error. An error that the end of the request causes is no fault and is not logged.
 */
export function logLateError(context: Context, error: unknown, logger: SafeLogger): void {
  const cause = Context.cause(context);
  if (cause === undefined || isOfAbort(error)) return;
  logFault(context, error, logger, { ended: abortError(cause).reason });
}

/** Whether an error tells of an aborted request, or is one of the application's answers. */
function isOfAbort(error: unknown): boolean {
  if (isOfCall(error)) return error.code === 'CANCELLED' || error.code === 'DEADLINE_EXCEEDED';
  if (error instanceof MeshError) return true;
  try {
    return error instanceof Error && error.name === 'AbortError';
  } catch {
    return false;
  }
}

/** Names the part of a handler's result that cannot be sent: its path and type, never its value. */
class UnsendableError extends TypeError {}

/** Logs an error of a handler. Returns the id by which the log has it. */
function logFault(context: Context, error: unknown, logger: SafeLogger, more: object = {}): string {
  const errorId = randomUUID();
  logger.error('a handler failed', {
    event: 'handler.failed',
    errorId,
    method: context.method,
    caller: context.caller.serviceId,
    requestId: context.requestId,
    ...more,
    error,
  });
  if (!logger.takesErrors) warnOfNoLogger();
  return errorId;
}

function encodeFault(context: Context, error: unknown, logger: SafeLogger): Answer {
  const errorId = logFault(context, error, logger);
  Context.span(context)?.fault(error);
  // With `NODE_ENV=development` the caller sees the details, because both sides then have the same
  // owner.
  const shown = error instanceof UnsendableError && process.env['NODE_ENV'] === 'development';
  const message = shown ? `internal error: ${error.message}` : 'internal error';
  return {
    failed: true,
    text: repairJson(JSON.stringify({ code: 'INTERNAL', reason: 'HANDLER', message, errorId })),
  };
}

function describe(error: unknown): string {
  try {
    return String(error);
  } catch {
    return 'it throws when it is read';
  }
}

// The fields of an error share 8 KiB on the wire. A longer reason or message is cut and marked.
const MAX_WORD = 256;
const MAX_MESSAGE = 6_000;
// The core accepts JSON of 128 levels, and the data is nested within the error.
const MAX_DATA_DEPTH = 100;

/** Encodes an error's data; a mark replaces data that is too large. */
function encodeData(data: unknown, limit: number): string {
  try {
    const text = encodePayload(data, limit);
    if (typeof text !== 'string') throw new PayloadError('JSON cannot carry bytes');
    return text;
  } catch (error) {
    if (!(error instanceof TooLargeError)) throw error;
    return JSON.stringify(`[cut: larger than limits.maxMessageBytes (${limit})]`);
  }
}

/**
 * Encodes an error as the JSON of its frame.
 *
 * @param limit the limit of its data in bytes
 *
 * @throws PayloadError if JSON cannot express the error's data
 */
function toJson(error: MeshError, limit: number): string {
  const json = JSON.stringify({
    code: error.code,
    reason: cutText(error.reason, MAX_WORD),
    message: cutText(error.message, MAX_MESSAGE),
    retryable: error.retryable,
    retryAfterMs: error.retryAfterMs === undefined ? undefined : Math.ceil(error.retryAfterMs),
    errorId: error.errorId === undefined ? undefined : cutText(error.errorId, MAX_WORD),
  });
  if (error.data === undefined) return repairJson(json);
  const data = encodeData(error.data, limit);
  return repairJson(`${json.slice(0, -1)},"data":${cutDepth(data, MAX_DATA_DEPTH)}}`);
}
