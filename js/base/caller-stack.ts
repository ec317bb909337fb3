// The caller's line in the stack of a failed call. The error is made when an
// answer arrives, where no caller is on the stack; V8 finds the one that awaits
// the call by following promises. Calls that succeed pay nothing for it.

const own = new WeakSet<object>();

/** Marks an error that was made here for one call, so that its stack says nothing yet. */
export function ownError<T extends Error>(error: T): T {
  own.add(error);
  return error;
}

/**
 * A promise for whatever a caller awaits, rejected with the error. Of an error
 * marked by {@link ownError} the stack begins at the code that awaits it; without
 * such code it stays as it is.
 */
export function rejectAtCaller(error: unknown): Promise<never> {
  return typeof error === 'object' && error !== null && own.has(error)
    ? late(error as Error)
    : Promise.reject(error);
}

async function late(error: Error): Promise<never> {
  // By the second turn the caller's promise follows this one, and V8 finds it from here.
  await Promise.resolve();
  await Promise.resolve();
  const trace = { name: error.name, message: error.message, stack: '' };
  Error.captureStackTrace(trace, late);
  if (trace.stack.includes('\n    at ')) error.stack = trace.stack;
  throw error;
}
