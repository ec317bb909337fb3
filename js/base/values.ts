// Checks of common types of arguments.

import { invalidArgument } from './arguments.js';
import { wrapNative } from './errors.js';
import { native } from './native.js';

/** A duration: milliseconds, or a string such as `'500ms'`, `'30s'`, `'15m'`, `'1h'`, `'7d'`. */
export type Duration = number | string;

/**
 * Converts a duration to milliseconds.
 *
 * @param name the argument's path, for the error
 * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
 */
export function toMillis(name: string, value: number | string): number {
  if (typeof value === 'string') return wrapNative(() => native().parseDuration(name, value));
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value;
  throw invalidArgument(
    `${name} must be a number of milliseconds or a string such as '15m' or '1h', got ${String(value)}`,
  );
}

/** @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, if `value` is not a string */
export function checkText(name: string, value: unknown): asserts value is string {
  if (typeof value !== 'string')
    throw invalidArgument(`${name} must be a string, got ${typeof value}`);
}

/** @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, if `value` is not a whole number from `least` */
export function checkCount(name: string, value: unknown, least = 1): asserts value is number {
  if (!Number.isInteger(value) || (value as number) < least || (value as number) > 0xffff_ffff) {
    throw invalidArgument(`${name} must be a whole number from ${least}, got ${String(value)}`);
  }
}

/** @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, if `value` is not a function */
export function checkFunction(name: string, value: unknown): void {
  if (typeof value !== 'function') {
    throw invalidArgument(`${name} must be a function, got ${typeof value}`);
  }
}
