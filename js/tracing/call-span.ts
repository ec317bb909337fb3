// The span of a call.

import { MeshError } from '../base/errors.js';
import type { CallOptions } from '../rpc/call-types.js';
import type { CallSpan } from '../rpc/spans.js';
import { inject } from './carrier.js';
import { ATTEMPTS, ERROR_ID } from './conventions.js';
import { MeshSpan, type End } from './span.js';

const OK: End = { code: 'OK', type: undefined };
// A consumer that leaves its loop has what it wanted.
const LEFT: End = { code: 'CANCELLED', type: undefined };

/** The span of a call, from its first middleware to its outcome. */
export class OpenCall extends MeshSpan implements CallSpan {
  #left = false;

  inject(options: CallOptions | undefined): CallOptions | undefined {
    return inject(this.api, this.context, options);
  }

  left(): void {
    this.#left = true;
  }

  follow<T>(outcome: Promise<T>): Promise<T> {
    // V8 follows `then` to the code that awaits the call; an async function would be a line in its stack.
    return outcome.then(
      (value) => {
        this.close(this.#left ? LEFT : OK);
        return value;
      },
      (error: unknown) => {
        this.close(failed(error));
        throw error;
      },
    );
  }
}

/** The end of a failed call. Every failure is an error on this side. */
function failed(error: unknown): End {
  if (!(error instanceof MeshError)) {
    // An error of a middleware, or of the iterable that is sent.
    return error instanceof Error
      ? { code: undefined, type: error.name, message: error.message }
      : { code: undefined, type: typeof error };
  }
  const { code, reason, message, attempts, errorId } = error;
  const more = {
    ...(attempts !== undefined && attempts > 1 ? { [ATTEMPTS]: attempts } : {}),
    ...(errorId === undefined ? {} : { [ERROR_ID]: errorId }),
  };
  return { code, type: code, reason, message, more };
}
