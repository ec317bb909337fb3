// Telling people what is wrong with what they passed, by path and with the
// nearest right word.

import { MeshError } from './errors.js';
import { native } from './native.js';

/** An error about an argument of a call to this package. */
export function invalidArgument(message: string): MeshError {
  return new MeshError('INVALID_ARGUMENT', message, { reason: 'ARGUMENT' });
}

/** An error about an option of a mesh. */
export function invalidOption(message: string): MeshError {
  return new MeshError('INVALID_ARGUMENT', message, { reason: 'CONFIG' });
}

/**
 * Makes a part of a mesh from its options: what it says about an argument is about an option then.
 *
 * @param name puts the path of the options into a message
 */
export function configured<T>(make: () => T, name = (message: string): string => message): T {
  try {
    return make();
  } catch (error) {
    throw invalidOption(name(MeshError.from(error).message));
  }
}

/** Refuses options that do not exist: a misspelt one would be ignored in silence. */
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

// A value may be large, and its beginning says what it is.
const MAX_SHOWN = 200;

/** A wrong value, for an error message. */
export function show(value: unknown): string {
  return typeof value === 'string'
    ? JSON.stringify(value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}…` : value)
    : typeof value === 'object' && value !== null
      ? 'an object'
      : String(value);
}
