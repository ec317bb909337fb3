// A value as a payload: JSON made by V8, or bytes as they are.

import { isAnyArrayBuffer, isUint8Array } from 'node:util/types';
import { findLoss, findObstacle, hasTrace } from './losses.js';
import { isSurelyLarger } from './size.js';

// Well below what the length of a frame can say, and above any limit on messages.
const LARGEST = 0x3fff_ffff;

/** A value that is ready to be written: text, bytes, or nothing. */
export type Payload = string | Uint8Array | undefined;

/** Says that a value cannot be sent; the message says why. */
export class PayloadError extends Error {}

/** Says that a value is larger than messages may be. */
export class TooLargeError extends PayloadError {
  /** @param limit bytes */
  constructor(readonly limit: number) {
    super(`it is larger than limits.maxMessageBytes (${limit})`);
  }
}

/**
 * Encodes a value: `undefined` is no payload, a `Uint8Array` is sent as it is,
 * all else is JSON.
 *
 * @param limit bytes. What is just above it is found by the core, which counts them.
 * @throws PayloadError for a cycle, a BigInt, a function, a symbol, for bytes that were
 *   transferred, and for what JSON would turn into `{}` or into numbers: buffers other than
 *   `Uint8Array`, and a map, a set, a promise, an error or bytes anywhere inside. The message
 *   names the path.
 * @throws TooLargeError before it is encoded where that can be told, else after
 */
export function encodePayload(value: unknown, limit = LARGEST): Payload {
  if (value === undefined) return value;
  if (isUint8Array(value)) {
    const bytes = plainView(value);
    if (bytes.length > limit) throw new TooLargeError(limit);
    return bytes;
  }
  if (typeof value === 'object' && isOtherBuffer(value)) {
    throw new PayloadError('pass bytes as a Uint8Array');
  }
  if (isSurelyLarger(value, limit)) throw new TooLargeError(limit);
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw new PayloadError(obstacle(value) ?? describe(error), { cause: error });
  }
  if (text === undefined) throw new PayloadError(`a ${typeof value} has no JSON`);
  if (text.length > limit) throw new TooLargeError(limit);
  if (hasTrace(text)) checkLoss(value);
  return text;
}

function checkLoss(value: unknown): void {
  const loss = findLoss(value);
  if (loss === undefined) return;
  const repair = loss.startsWith('bytes')
    ? 'send bytes alone, as a Uint8Array, or as text in base64'
    : 'send an array or a plain object';
  throw new PayloadError(`JSON cannot carry ${loss}; ${repair}`);
}

/** Where the cycle or the BigInt is; undefined when something else threw, such as a `toJSON`. */
function obstacle(value: unknown): string | undefined {
  let found: string | undefined;
  try {
    found = findObstacle(value);
  } catch {
    // A getter or a proxy threw, as it did before.
  }
  return found === undefined ? undefined : `JSON cannot carry ${found}`;
}

// What a subclass or a property of its own says of an array may be wrong, and
// what was in the buffer of a batch before must not be sent in its place.
const TYPED_ARRAY = Object.getPrototypeOf(Uint8Array.prototype) as object;
const inherent = <T>(name: string): ((of: Uint8Array) => T) => {
  const get = Object.getOwnPropertyDescriptor(TYPED_ARRAY, name)?.get as () => T;
  return (of) => Reflect.apply(get, of, []);
};
const bufferOf = inherent<ArrayBuffer>('buffer');
const offsetOf = inherent<number>('byteOffset');
const lengthOf = inherent<number>('length');

/** The same bytes, as long as they are. */
function plainView(bytes: Uint8Array): Uint8Array {
  try {
    return new Uint8Array(bufferOf(bytes), offsetOf(bytes), lengthOf(bytes));
  } catch (cause) {
    throw new PayloadError('its bytes were transferred to another owner', { cause });
  }
}

function isOtherBuffer(value: object | null): boolean {
  return ArrayBuffer.isView(value) || isAnyArrayBuffer(value);
}

/** The first line of an error: V8 draws a whole picture of a cycle. */
function describe(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n', 1)[0] ?? text;
}
