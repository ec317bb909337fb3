// What is sent back for a request, encoded.

import { randomUUID } from 'node:crypto';
import { MeshError } from '../base/errors.js';
import type { SafeLogger } from '../base/logger.js';
import { encodePayload, PayloadError, type Payload } from '../frames/payload.js';
import type { CommandWriter } from '../frames/writer.js';
import { Context } from '../rpc/context.js';
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

/** What a handler returned. */
export function encodeResult(context: Context, result: unknown, logger: SafeLogger): Answer {
  try {
    if (typeof result === 'object' && result !== null && Symbol.asyncIterator in result) {
      throw new PayloadError('it is a stream, and the call asks for one result');
    }
    const payload = encodePayload(result);
    const metadata = Context.responseMetadata(context);
    const meta = metadata === undefined ? '' : encodeMetadata(metadata, 'ctx.responseMetadata');
    return { failed: false, payload, meta };
  } catch (error) {
    const text =
      error instanceof PayloadError || error instanceof MeshError ? error.message : String(error);
    return encodeFault(
      context,
      new TypeError(`the result of ${context.method} cannot be sent: ${text}`),
      logger,
    );
  }
}

/** What a handler threw: a `MeshError` is for the caller; anything else is for this service's log. */
export function encodeError(context: Context, error: unknown, logger: SafeLogger): Answer {
  if (error instanceof MeshError) {
    const text = toJson(error);
    if (text !== undefined) return { failed: true, text };
  }
  return encodeFault(context, error, logger);
}

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
  return {
    failed: true,
    text: JSON.stringify({
      code: 'INTERNAL',
      reason: 'HANDLER',
      message: 'internal error',
      errorId,
    }),
  };
}

/** The frame's JSON; undefined when the error's own data cannot be encoded. */
function toJson(error: MeshError): string | undefined {
  try {
    return JSON.stringify({
      code: error.code,
      reason: error.reason,
      message: error.message,
      data: error.data,
      retryable: error.retryable,
      retryAfterMs: error.retryAfterMs === undefined ? undefined : Math.ceil(error.retryAfterMs),
      errorId: error.errorId,
    });
  } catch {
    return undefined;
  }
}
