// The caller's line in the stack of a failed call. The error is made when an
// answer arrives, where no caller is on the stack; V8 finds the one that awaits
// the call by following promises. Calls that succeed pay nothing for it.

const own = new WeakSet<object>();

/** Marks an error that was created here for one call, so that its stack does not yet name the caller. */
export function ownError<T extends Error>(error: T): T {
  own.add(error);
  return error;
}

/**
 * Returns a promise that is rejected with the error. The stack of an error that is marked by {@link ownError}
 * begins at the code that awaits the promise; without such code it is unchanged.
 */
export function rejectAtCaller(error: unknown): Promise<never> {
  return typeof error === 'object' && error !== null && own.has(error)
    ? late(error as Error)
    : Promise.reject(error);
}

async function late(error: Error): Promise<never> {
  // After the first turn the caller's promise follows this one, so V8 can find it.
  await Promise.resolve();
  await Promise.resolve();
  const trace = { name: error.name, message: error.message, stack: '' };
  Error.captureStackTrace(trace, late);
  if (trace.stack.includes('\n    at ')) error.stack = trace.stack;
  throw error;
}
