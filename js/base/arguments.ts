// Telling people what is wrong with what they passed, by path and with the
// nearest right word.

import { MeshError } from './errors.js';

/** An error about an argument of a call to this package. */
export function invalidArgument(message: string): MeshError {
  return new MeshError('INVALID_ARGUMENT', message, { reason: 'ARGUMENT' });
}

/** Refuses options that do not exist: a misspelt one would be ignored in silence. */
export function checkKeys(name: string, options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) {
    throw invalidArgument(`${name} must be an object, got ${String(options)}`);
  }
  for (const key in options) {
    if (!known.includes(key)) {
      const guess = nearest(key, known);
      const hint =
        guess === undefined ? `; there are ${known.join(', ')}` : `; did you mean ${guess}?`;
      throw invalidArgument(`${name}.${key} does not exist${hint}`);
    }
  }
}

/** The word most like `word`, if one is close enough to be meant. */
export function nearest(word: string, words: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.max(2, Math.floor(word.length / 2)) + 1;
  for (const candidate of words) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < least) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const current = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (previous[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[j] as number) + 1, (current[j - 1] as number) + 1));
    }
    previous = current;
  }
  return previous[b.length] as number;
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
