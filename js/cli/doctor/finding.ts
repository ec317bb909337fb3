// The findings of `doctor`.

import { setTimeout } from 'node:timers/promises';
import { MeshError } from '../../index.js';
import type { Config, GlobalOptions } from '../config.js';
import { repairFor, repairOf } from '../repairs.js';

/** The result of a check: fine, worth a look, wrong, or not checked because something else is wrong. */
export type Status = 'ok' | 'warn' | 'fail' | 'skip';

/** One finding. */
export interface Finding {
  /** The kind of check: a stable word. */
  check: string;
  /** The file, service, address or option that it is about; may be empty. */
  subject: string;
  status: Status;
  /** A sentence that says what was found. */
  text: string;
  /** A sentence that says what to do; only with `warn` and `fail`. */
  repair?: string;
  /** The reason of the library's error, if there is one. */
  reason?: string;
  /** Figures. */
  details?: Record<string, unknown>;
}

/** The matters that the checks look at. */
export interface Patient {
  readonly config: Config;
  readonly options: GlobalOptions;
  /** Whether `--config` or the environment gives a configuration of a service. */
  readonly configured: boolean;
}

/** A finding that is fine. */
export function ok(check: string, subject: string, text: string, details?: object): Finding {
  return {
    check,
    subject,
    status: 'ok',
    text,
    ...(details === undefined ? {} : { details: { ...details } }),
  };
}

/** A finding that needs somebody. */
export function bad(
  status: 'warn' | 'fail',
  check: string,
  subject: string,
  text: string,
  repair: string,
  details?: object,
): Finding {
  return {
    check,
    subject,
    status,
    text,
    repair,
    ...(details === undefined ? {} : { details: { ...details } }),
  };
}

/** A check that something else keeps from being made. */
export function skipped(check: string, subject: string, text: string): Finding {
  return { check, subject, status: 'skip', text };
}

/** A finding of an error of the library. */
export function failure(check: string, subject: string, error: unknown): Finding {
  const known = MeshError.from(error);
  const repair = repairOf(known) || repairFor(known.code);
  return { check, subject, status: 'fail', text: known.message, repair, reason: known.reason };
}

/** Limits the time of a promise. The promise goes on; its outcome is no longer wanted. */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  promise.catch(() => {
    // Nobody waits for it after the time.
  });
  const done = new AbortController();
  const late = setTimeout(ms, undefined, { signal: done.signal }).catch(() => undefined);
  try {
    return await Promise.race([promise, late]);
  } finally {
    done.abort();
  }
}
