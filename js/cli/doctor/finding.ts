// The findings of `doctor`.

import { setTimeout } from 'node:timers/promises';
import { MeshError } from '../../index.js';
import type { Config, GlobalOptions } from '../config.js';
import { repairFor, repairOf } from '../repairs.js';

/** The result of a check: fine, a warning, a fault, or skipped because of another fault. */
export type Status = 'ok' | 'warn' | 'fail' | 'skip';

/** One finding. */
export interface Finding {
  /** The kind of check: a stable word. */
  check: string;
  /** The file, service, address or option of the finding; may be empty. */
  subject: string;
  status: Status;
  /** A sentence about the result. */
  text: string;
  /** A sentence with the repair; only with `warn` and `fail`. */
  repair?: string;
  /** The reason of the library's error, if there is one. */
  reason?: string;
  /** Figures. */
  details?: Record<string, unknown>;
}

/** The subjects of the checks. */
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

/** A finding that needs attention. */
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

/** A check that another fault prevents. */
export function skipped(check: string, subject: string, text: string): Finding {
  return { check, subject, status: 'skip', text };
}

/** A finding of an error of the library. */
export function failure(check: string, subject: string, error: unknown): Finding {
  const known = MeshError.from(error);
  const repair = repairOf(known) || repairFor(known.code);
  return { check, subject, status: 'fail', text: known.message, repair, reason: known.reason };
}

/** Limits the wait for a promise. The promise itself continues, and its later outcome is ignored. */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  promise.catch(() => {
    // The outcome after the time limit is ignored.
  });
  const done = new AbortController();
  const late = setTimeout(ms, undefined, { signal: done.signal }).catch(() => undefined);
  try {
    return await Promise.race([promise, late]);
  } finally {
    done.abort();
  }
}
