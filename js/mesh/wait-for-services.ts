// The wait until discovery knows services.

import { checkKeys, invalidArgument, show } from '../base/arguments.js';
import { MeshError } from '../base/errors.js';
import { eitherSignal, isAbortSignal } from '../base/signals.js';
import { after, cancelTimer } from '../base/timers.js';
import { checkText } from '../base/values.js';
import { checkTimeout } from '../rpc/call-options.js';
import type { Engine } from './engine.js';

const DEFAULT_MS = 30_000;

/** Resolves once an instance of each service is known. */
export async function waitForServices(
  engine: Pick<Engine, 'waitForServices'>,
  ids: readonly string[],
  options: { timeoutMs?: number; signal?: AbortSignal },
): Promise<void> {
  if (!Array.isArray(ids)) throw invalidArgument(`ids must be an array, got ${show(ids)}`);
  ids.forEach((id, index) => checkText(`ids[${index}]`, id));
  checkKeys('options', options, ['timeoutMs', 'signal']);
  const { signal } = options;
  if (signal !== undefined && !isAbortSignal(signal)) {
    throw invalidArgument(`options.signal must be an AbortSignal, got ${show(signal)}`);
  }
  const timeoutMs = checkTimeout(options.timeoutMs) || DEFAULT_MS;
  const time = new AbortController();
  const timer = after(timeoutMs, () => time.abort());
  try {
    await engine.waitForServices(
      ids,
      signal === undefined ? time.signal : eitherSignal(signal, time.signal),
    );
  } catch (error) {
    if (signal?.aborted) {
      throw new MeshError('CANCELLED', 'waiting for services was cancelled', {
        reason: 'CANCELLED',
        cause: signal.reason as unknown,
      });
    }
    if (!time.signal.aborted) throw error;
    throw new MeshError(
      'UNAVAILABLE',
      `discovery has not reported an instance of each of ${ids.join(', ')} within ${timeoutMs} ms`,
      { reason: 'NO_INSTANCE' },
    );
  } finally {
    cancelTimer(timer);
  }
}
