// SHA-256, HMAC and the two halves of HKDF (RFC 5869), with the protocol's
// labels.
import { createHash, createHmac } from 'node:crypto';
import { Writer } from './bytes.js';

/** SHA-256 of the parts, end to end. */
export function hash(...parts: Uint8Array[]): Buffer {
  const hasher = createHash('sha256');
  for (const part of parts) hasher.update(part);
  return hasher.digest();
}

/** HMAC-SHA256 of the parts, end to end. */
export function hmac(key: Uint8Array, ...parts: Uint8Array[]): Buffer {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

export function extract(salt: Uint8Array | string, input: Uint8Array): Buffer {
  return hmac(Buffer.from(salt), input);
}

/** `Expand(prk, label, context, length)` of section 2. */
export function expand(
  prk: Uint8Array,
  label: string,
  context: Uint8Array | string,
  length: number,
): Buffer {
  const info = new Writer().u16(length).vec8(`ssm ${label}`).vec8(context).done();
  const blocks: Buffer[] = [];
  let block: Uint8Array = Buffer.alloc(0);
  for (let number = 1; (number - 1) * 32 < length; number++) {
    block = hmac(prk, block, info, Uint8Array.of(number));
    blocks.push(block as Buffer);
  }
  return Buffer.concat(blocks).subarray(0, length);
}
