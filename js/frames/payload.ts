// A value as a payload: JSON made by V8, or bytes as they are.

import { isUint8Array } from 'node:util/types';

// Well below what the length of a frame can say, and above any limit on messages.
const LARGEST = 0x3fff_ffff;

/** A value that is ready to be written: text, bytes, or nothing. */
export type Payload = string | Uint8Array | undefined;

/** Says that a value cannot be sent; the message says why. */
export class PayloadError extends Error {}

/**
 * Encodes a value: `undefined` is no payload, a `Uint8Array` is sent as it is,
 * all else is JSON.
 *
 * @throws PayloadError for a cycle, a BigInt, a function, a symbol, for more than
 *   1 GiB, for bytes that were transferred, and for buffers other than `Uint8Array`,
 *   which JSON would turn into `{}`
 */
export function encodePayload(value: unknown): Payload {
  if (value === undefined) return value;
  if (isUint8Array(value)) {
    const bytes = plainView(value);
    if (bytes.length > LARGEST) throw new PayloadError(`more than ${LARGEST} bytes`);
    return bytes;
  }
  if (typeof value === 'object' && isOtherBuffer(value)) {
    throw new PayloadError('pass bytes as a Uint8Array');
  }
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw new PayloadError(describe(error), { cause: error });
  }
  if (text === undefined) throw new PayloadError(`a ${typeof value} has no JSON`);
  return text;
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
  return (
    ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof SharedArrayBuffer
  );
}

/** The first line of an error: V8 draws a whole picture of a cycle. */
function describe(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n', 1)[0] ?? text;
}
