// Readers of JSON from outside: each returns a value of its type, whatever it is given.
import { MAX_TEXT, shown } from './text';

/** An object of unknown members. */
export type Raw = Readonly<Record<string, unknown>>;

const NOTHING: Raw = {};

/** Returns an object; anything else is one without members. */
export function object(value: unknown): Raw {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Raw)
    : NOTHING;
}

/** Returns a finite number from `min` to `max`; anything else is `fallback`. */
export function number(value: unknown, fallback = 0, min = 0, max = 1e15): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) return fallback;
  return Math.min(max, Math.max(min, value));
}

/** Returns the number, or undefined where it is absent or none. */
export function maybeNumber(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? number(value) : undefined;
}

/** Returns a moment that `Date` can hold, in epoch milliseconds; 0 stands for an unknown one. */
export function moment(value: unknown): number {
  return number(value, 0, 0, 8.64e15);
}

/** Returns a string that can be shown. */
export function string(value: unknown, fallback = '', max = MAX_TEXT): string {
  return typeof value === 'string' ? shown(value, max) : fallback;
}

/** Returns the string, or undefined where it is absent or empty. */
export function maybeString(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? shown(value) : undefined;
}

/** Returns a boolean; anything but `true` is false. */
export function flag(value: unknown): boolean {
  return value === true;
}

/** Returns one of `choices`; anything else is the first. */
export function choice<const T extends string>(value: unknown, choices: readonly [T, ...T[]]): T {
  return choices.includes(value as T) ? (value as T) : choices[0];
}

/** Reads the first `max` elements of an array; anything else is an empty one. */
export function list<T>(value: unknown, max: number, read: (element: unknown) => T): T[] {
  if (!Array.isArray(value)) return [];
  return (value.length > max ? value.slice(0, max) : value).map(read);
}
