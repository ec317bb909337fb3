// Listening to abort signals that many calls share: one listener on each
// signal, however many wait for it, so that Node sees no leak and warns of none.

interface Watch {
  readonly waiting: Set<() => void>;
  readonly heard: () => void;
}

const watches = new WeakMap<AbortSignal, Watch>();

/**
 * Runs `listener` once, when the signal is aborted.
 *
 * @returns stops listening; it never throws, whatever the signal is made of
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
      // A signal of somebody's own making. Its listener finds nobody waiting.
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

/** Whether something is an abort signal, of Node or of another realm such as jsdom's. */
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

/** A signal that is aborted when the first of two is, with the same reason. */
export function eitherSignal(first: AbortSignal, second: AbortSignal): AbortSignal {
  try {
    return AbortSignal.any([first, second]);
  } catch {
    // They are of two realms.
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
