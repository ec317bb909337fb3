// A value as a payload: JSON by V8, or unchanged bytes.

import { isAnyArrayBuffer, isUint8Array } from 'node:util/types';
import { findLoss, findObstacle, hasTrace } from './losses.js';
import { isSurelyLarger } from './size.js';

// Far below the limit of a frame's length, and above any limit on messages.
const LARGEST = 0x3fff_ffff;

/** An encoded value: a string, bytes, or nothing. */
export type Payload = string | Uint8Array | undefined;

/** Reports that a value cannot be sent; the message names the cause. */
export class PayloadError extends Error {}

/** Reports that a value exceeds the limit of messages. */
export class TooLargeError extends PayloadError {
  /** @param limit bytes */
  constructor(readonly limit: number) {
    super(`it is larger than limits.maxMessageBytes (${limit})`);
  }
}

/**
 * Encodes a value. `undefined` has no payload, a `Uint8Array` is sent unchanged, and any other value is sent
 * as JSON.
 *
 * @param limit bytes. This check is approximate; the core counts the exact bytes.
 * @throws PayloadError for a cycle, a BigInt, a function, a symbol or transferred bytes, and for values that
 *   JSON would turn into `{}` or into numbers: buffers other than `Uint8Array`, and a map, a set, a promise,
 *   an error, an iterator and the like, or bytes anywhere inside. The message names the path.
 * @throws TooLargeError before the encoding if the size is evident, else after it
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
  const loss = quietly(() => findLoss(value));
  if (loss === undefined) return;
  const repair = loss.startsWith('bytes')
    ? 'send bytes alone, as a Uint8Array, or as text in base64'
    : 'send an array or a plain object';
  throw new PayloadError(`JSON cannot carry ${loss}; ${repair}`);
}

/** The path of the cycle or the BigInt; undefined if another cause threw, such as a `toJSON`. */
function obstacle(value: unknown): string | undefined {
  const found = quietly(() => findObstacle(value));
  return found === undefined ? undefined : `JSON cannot carry ${found}`;
}

/** The result of a search. A getter, a `toJSON` or a proxy that throws in it ends it; JSON has the last word. */
function quietly(search: () => string | undefined): string | undefined {
  try {
    return search();
  } catch {
    return undefined;
  }
}

// A subclass or an own property can falsify the length of an array. The prototype's getters cannot be
// falsified, so that stale bytes of the batch's buffer are never sent.
const TYPED_ARRAY = Object.getPrototypeOf(Uint8Array.prototype) as object;
const inherent = <T>(name: string): ((of: Uint8Array) => T) => {
  const get = Object.getOwnPropertyDescriptor(TYPED_ARRAY, name)?.get as () => T;
  return (of) => Reflect.apply(get, of, []);
};
const bufferOf = inherent<ArrayBuffer>('buffer');
const offsetOf = inherent<number>('byteOffset');
const lengthOf = inherent<number>('length');

/** A plain view of the same bytes, with their true length. */
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

/** The first line of an error, because V8 describes a cycle in many lines. */
function describe(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n', 1)[0] ?? text;
}
