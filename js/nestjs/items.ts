// Observables as the items of a stream. An observable does not wait for its reader, so what it emits is held here,
// within a limit.

import type { Observable } from 'rxjs';
import { MeshError } from '../index.js';

/** The most values that are held while the reader is slow. */
const MOST = 10_000;

/**
 * The values of an observable as they come. A reader that leaves, and the signal, unsubscribe it.
 *
 * @throws MeshError `RESOURCE_EXHAUSTED`, reason `TOO_LARGE`, if the reader is too slow for it
 */
export async function* items(
  values: Observable<unknown>,
  signal: AbortSignal,
): AsyncGenerator<unknown, void, undefined> {
  const held: unknown[] = [];
  let end: { error?: unknown } | undefined;
  let wake = (): void => {};
  const finish = (ended: { error?: unknown }): void => {
    end ??= ended;
    wake();
  };
  const subscription = values.subscribe({
    next(value) {
      if (end !== undefined) return;
      if (held.length < MOST) held.push(value);
      else finish({ error: tooSlow() });
      wake();
    },
    error: (error: unknown) => finish({ error }),
    complete: () => finish({}),
  });
  const abort = (): void => finish({ error: signal.reason });
  signal.addEventListener('abort', abort, { once: true });
  try {
    for (;;) {
      while (held.length > 0) yield held.shift();
      if (end !== undefined) {
        if ('error' in end) throw end.error;
        return;
      }
      await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    signal.removeEventListener('abort', abort);
    subscription.unsubscribe();
  }
}

function tooSlow(): MeshError {
  return new MeshError(
    'RESOURCE_EXHAUSTED',
    `the caller reads too slowly: ${MOST} values of the observable wait; return an async iterable, which waits for it`,
    { reason: 'TOO_LARGE' },
  );
}
