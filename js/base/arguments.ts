// Errors about arguments, with the path of the argument and the nearest valid name.

import { MeshError } from './errors.js';
import { native } from './native.js';

/** Creates an error about an argument of a call to this package. */
export function invalidArgument(message: string): MeshError {
  return new MeshError('INVALID_ARGUMENT', message, { reason: 'ARGUMENT' });
}

/** Creates an error about an option of a mesh. */
export function invalidOption(message: string): MeshError {
  return new MeshError('INVALID_ARGUMENT', message, { reason: 'CONFIG' });
}

/**
 * Creates a part of a mesh from its options, and converts its errors about arguments to errors about options.
 *
 * @param name inserts the path of the options into a message
 */
export function configured<T>(make: () => T, name = (message: string): string => message): T {
  try {
    return make();
  } catch (error) {
    throw invalidOption(name(MeshError.from(error).message));
  }
}

/** Rejects unknown options, since a misspelt one would otherwise be ignored silently. */
export function checkKeys(name: string, options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    const got = Array.isArray(options) ? 'an array' : String(options);
    throw invalidArgument(`${name} must be an object, got ${got}`);
  }
  for (const key in options) {
    if (!known.includes(key)) {
      const guess = native().nearestWord(key, [...known]);
      const hint = guess === null ? `; there are ${known.join(', ')}` : `; did you mean ${guess}?`;
      throw invalidArgument(`${name}.${key} does not exist${hint}`);
    }
  }
}

// A value may be large, and its beginning identifies it.
const MAX_SHOWN = 200;

/** Formats an invalid value for an error message. */
export function show(value: unknown): string {
  return typeof value === 'string'
    ? JSON.stringify(value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}…` : value)
    : typeof value === 'object' && value !== null
      ? 'an object'
      : String(value);
}
