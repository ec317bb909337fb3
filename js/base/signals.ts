// Listeners on abort signals that many calls share. Each signal has one listener, however many calls wait for
// it, so that Node does not warn of a leak.

interface Watch {
  readonly waiting: Set<() => void>;
  readonly heard: () => void;
}

const watches = new WeakMap<AbortSignal, Watch>();

/**
 * Calls `listener` once, when the signal is aborted.
 *
 * @returns a function that removes the listener; it never throws, even for a foreign signal
 */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  const watch = watches.get(signal) ?? begin(signal);
  watch.waiting.add(listener);
  return () => {
    if (!watch.waiting.delete(listener) || watch.waiting.size > 0) return;
    if (watches.get(signal) === watch) watches.delete(signal);
    try {
      signal.removeEventListener('abort', watch.heard);
    } catch {
      // A foreign implementation of a signal. Its listener will find no waiting call.
    }
  };
}

function begin(signal: AbortSignal): Watch {
  const waiting = new Set<() => void>();
  const heard = (): void => {
    watches.delete(signal);
    const listeners = [...waiting];
    waiting.clear();
    for (const listener of listeners) listener();
  };
  signal.addEventListener('abort', heard, { once: true });
  const watch: Watch = { waiting, heard };
  watches.set(signal, watch);
  return watch;
}

/** Whether a value is an abort signal, of Node or of a foreign realm such as jsdom's. */
export function isAbortSignal(value: unknown): value is AbortSignal {
  if (value instanceof AbortSignal) return true;
  if (typeof value !== 'object' || value === null) return false;
  const signal = value as Partial<AbortSignal>;
  return (
    typeof signal.aborted === 'boolean' &&
    typeof signal.addEventListener === 'function' &&
    typeof signal.removeEventListener === 'function'
  );
}

/** Returns a signal that is aborted with the first of two, with the same reason. */
export function eitherSignal(first: AbortSignal, second: AbortSignal): AbortSignal {
  try {
    return AbortSignal.any([first, second]);
  } catch {
    // The signals belong to two realms.
  }
  const controller = new AbortController();
  const stop: (() => void)[] = [];
  for (const signal of [first, second]) {
    const abort = (): void => {
      for (const end of stop) end();
      controller.abort(signal.reason);
    };
    if (signal.aborted) {
      abort();
      break;
    }
    stop.push(onAbort(signal, abort));
  }
  return controller.signal;
}
