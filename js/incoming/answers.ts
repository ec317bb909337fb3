// The answers to requests, encoded.

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

/** A result, or an error's JSON. */
export type Answer =
  | { readonly failed: false; readonly payload: Payload; readonly meta: string }
  | { readonly failed: true; readonly text: string };

/** Hands an answer to the core. */
export function writeAnswer(writer: CommandWriter, id: number, answer: Answer): void {
  if (answer.failed) writer.fail(id, answer.text);
  else writer.respond(id, answer.payload, answer.meta);
}

/** The answer for a result of a handler. */
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
 * The answer for an error of a handler. A `MeshError` is for the caller. Any other
 * error is for the log of this service, and so is the error of a call that the handler made.
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

// Each hop rounds the time that is left down, so the last of a long chain ends a little before the first.
const ROUNDED_AWAY_MS = 100;

/** The error of a failed call as far as it concerns the request itself, or the chain of both. */
function commonFailure(context: Context, error: MeshError): MeshError | undefined {
  const { code, reason, message } = error;
  if (reason === 'CALL_DEPTH') return new MeshError(code, message, { reason });
  if (isOfRequest(error) && context.timeoutMs() <= ROUNDED_AWAY_MS) {
    return abortError(AbortCause.Deadline);
  }
  return undefined;
}

/** Says what of a handler's own result cannot be sent, by path and type, never by value. */
class UnsendableError extends TypeError {}

function encodeFault(context: Context, error: unknown, logger: SafeLogger): Answer {
  const errorId = randomUUID();
  logger.error('a handler failed', {
    event: 'handler.failed',
    errorId,
    method: context.method,
    caller: context.caller.serviceId,
    requestId: context.requestId,
    error,
  });
  if (!logger.given) warnOfNoLogger();
  // In development, which a process has to declare, both sides are in one hand.
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
    return 'it throws when it is looked at';
  }
}

// The fields of an error share 8 KiB on the wire. A reason is a word; a message
// longer than this is cut, and says so.
const MAX_WORD = 256;
const MAX_MESSAGE = 6_000;
// The core reads JSON of 128 levels, and these are not the first.
const MAX_DATA_DEPTH = 100;

/** The JSON of an error's data; in place of what is too large, a mark. */
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
 * The frame's JSON.
 *
 * @param limit the most bytes of its data
 *
 * @throws PayloadError when JSON cannot carry the error's data
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
