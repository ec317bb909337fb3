// The span of a request.

import type { RequestFailure, RequestSpan } from '../rpc/spans.js';
import { ERROR_ID, SERVER_FAULTS } from './conventions.js';
import { MeshSpan } from './span.js';

/** The span of a request, from its arrival to its answer. */
export class OpenRequest extends MeshSpan implements RequestSpan {
  #fault: string | undefined;

  fault(error: unknown): void {
    const exception = error instanceof Error ? error : { name: typeof error, message: text(error) };
    this.#fault = exception.message;
    try {
      // Spans stay with the owner of the service, so the error itself may be in them.
      this.span.recordException(exception);
    } catch {
      // The log has the error too.
    }
  }

  end(failure?: RequestFailure): void {
    if (failure === undefined) {
      this.close({ code: 'OK', type: undefined });
      return;
    }
    const { code, reason, message, errorId } = failure;
    this.close({
      code,
      type: SERVER_FAULTS.has(code) ? code : undefined,
      reason,
      message: this.#fault ?? message,
      ...(errorId === undefined ? {} : { more: { [ERROR_ID]: errorId } }),
    });
  }
}

function text(value: unknown): string {
  try {
    return String(value);
  } catch {
    return 'it throws when it is read';
  }
}
