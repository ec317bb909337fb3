// The conversion of data to bytes for cryptography.

import { invalidArgument } from '../base/arguments.js';
import { bytesOf, isBytes } from '../base/bytes.js';
import { MeshError } from '../base/errors.js';
import { describe } from './key-manager.js';

/**
 * The data that can be encrypted, signed or authenticated: a string as UTF-8, bytes unchanged, and any other
 * value as JSON.
 */
export type CryptoData = string | Uint8Array | ArrayBuffer | object | number | boolean | null;

/**
 * Returns the bytes of `data`. They may share memory with it, so they are valid only until other JavaScript
 * runs.
 */
export function toBytes(name: string, data: CryptoData): Buffer {
  if (typeof data === 'string') return Buffer.from(data);
  if (isBytes(data)) return bytesOf(data);
  let json: string | undefined;
  try {
    json = JSON.stringify(data);
  } catch (cause) {
    throw new MeshError('INVALID_ARGUMENT', `${name}: ${(cause as Error).message}`, {
      reason: 'ARGUMENT',
      cause,
    });
  }
  if (json === undefined) {
    throw invalidArgument(
      `${name} must be a string, bytes, or what JSON can hold, got ${describe(data)}`,
    );
  }
  return Buffer.from(json);
}

/** Returns the bytes of `data` in a buffer of its own. */
export function ownBytes(name: string, data: CryptoData): Buffer {
  const bytes = toBytes(name, data);
  return typeof data === 'string' ? bytes : Buffer.from(bytes);
}

/** @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, if the argument is not a string */
export function fromBase64(name: string, text: string): Buffer {
  if (typeof text === 'string') return Buffer.from(text, 'base64');
  throw invalidArgument(`${name} must be a string in base64, got ${describe(text)}`);
}

/** @throws MeshError `INVALID_ARGUMENT`, reason `WEAK_SECRET`, if the key is too short */
export function hmacKey(key: string | Uint8Array): Buffer {
  if (typeof key !== 'string' && !ArrayBuffer.isView(key)) {
    throw invalidArgument(`key must be a string or bytes, got ${describe(key)}`);
  }
  const bytes = toBytes('key', key);
  if (bytes.length >= 16) return bytes;
  throw new MeshError(
    'INVALID_ARGUMENT',
    `key must have at least 16 bytes, got ${bytes.length}; make one with crypto.randomBytes(32) of node:crypto`,
    { reason: 'WEAK_SECRET' },
  );
}
