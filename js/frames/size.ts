// The detection of values that are too large before they are encoded: JSON of hundreds of megabytes would
// block the event loop for seconds, only to be rejected.

// The limit of inspected places in a value. A large value is usually large because of one string or one list.
const PLACES = 64;
const DEPTH = 4;
// A shorter string does not count.
const LONG = 1024;

/** The number of places that may still be inspected. */
interface Left {
  places: number;
}

/**
 * Whether the JSON of a value is certainly longer than `limit`, according to a bounded inspection. A false
 * negative is harmless.
 */
export function isSurelyLarger(value: unknown, limit: number): boolean {
  if (typeof value === 'string') return value.length > limit;
  if (typeof value !== 'object' || value === null) return false;
  try {
    return leastSize(value, { places: PLACES }, DEPTH) > limit;
  } catch {
    // A getter or a proxy threw; `JSON.stringify` will report it with a better error.
    return false;
  }
}

function leastSize(value: object, left: Left, depth: number): number {
  // Each byte has at least a digit and a comma.
  if (ArrayBuffer.isView(value)) return 2 * value.byteLength;
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function') return 0;
  if (Array.isArray(value)) {
    let size = 2 * value.length;
    for (let index = 0; index < value.length && left.places > 0; index += 1) {
      size += sizeWithin(value[index], left, depth);
    }
    return size;
  }
  let size = 0;
  for (const key in value) {
    if (left.places <= 0) break;
    const inner = sizeWithin((value as Record<string, unknown>)[key], left, depth);
    if (inner > 0 && Object.hasOwn(value, key)) size += inner;
  }
  return size;
}

function sizeWithin(inner: unknown, left: Left, depth: number): number {
  left.places -= 1;
  if (typeof inner === 'string') return inner.length > LONG ? inner.length : 0;
  return depth > 0 && typeof inner === 'object' && inner !== null
    ? leastSize(inner, left, depth - 1)
    : 0;
}
