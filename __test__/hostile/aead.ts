// AES-GCM; a sealed string is the ciphertext and then the tag of 16 bytes.
import { createCipheriv, createDecipheriv } from 'node:crypto';

const name = (key: Uint8Array) => `aes-${key.length * 8}-gcm` as 'aes-256-gcm';

export function seal(
  key: Uint8Array,
  nonce: Uint8Array,
  plaintext: Uint8Array,
  associated: Uint8Array,
): Buffer {
  const cipher = createCipheriv(name(key), key, nonce).setAAD(associated);
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

export function unseal(
  key: Uint8Array,
  nonce: Uint8Array,
  sealed: Uint8Array,
  associated: Uint8Array,
): Buffer {
  const end = sealed.length - 16;
  if (end < 0) throw new Error('too short for a tag');
  const decipher = createDecipheriv(name(key), key, nonce).setAAD(associated);
  decipher.setAuthTag(sealed.subarray(end));
  return Buffer.concat([decipher.update(sealed.subarray(0, end)), decipher.final()]);
}
