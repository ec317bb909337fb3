// A second implementation of docs/envelope.md, with node:crypto only.
import * as nodeCrypto from 'node:crypto';
import { expect } from 'vitest';
import type { EncryptedData } from '../../js/crypto/envelope.js';

const DOMAIN = Buffer.from('secure-stack-mesh/envelope/v1');

export function thumbprint(publicKey: string): Buffer {
  const { e, n } = nodeCrypto.createPublicKey(publicKey).export({ format: 'jwk' });
  return sha256(Buffer.from(JSON.stringify({ e, kty: 'RSA', n })));
}

function sha256(data: Buffer): Buffer {
  return nodeCrypto.createHash('sha256').update(data).digest();
}

function derive(secret: Buffer): { aes: Buffer; mac: Buffer } {
  const expand = (info: string, length: number) =>
    Buffer.from(nodeCrypto.hkdfSync('sha256', secret, '', `${DOMAIN.toString()} ${info}`, length));
  return { aes: expand('aes', secret.length), mac: expand('hmac', 32) };
}

interface Parts {
  encryptedKey: Buffer;
  iv: Buffer;
  authTag: Buffer;
  encryptedData: Buffer;
}

function covered(recipient: string, parts: Parts): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(parts.encryptedKey.length));
  return Buffer.concat([
    DOMAIN,
    Buffer.from([0]),
    thumbprint(recipient),
    length,
    parts.encryptedKey,
    parts.iv,
    parts.authTag,
    parts.encryptedData,
  ]);
}

export const pss = { padding: nodeCrypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };

export function nodeSeal(
  data: string,
  recipient: string,
  sender: { publicKey: string; privateKey: string },
  keyBytes: number,
): EncryptedData {
  const secret = nodeCrypto.randomBytes(keyBytes);
  const encryptedKey = nodeCrypto.publicEncrypt(
    { key: recipient, oaepHash: 'sha256', oaepLabel: DOMAIN },
    Buffer.concat([secret, thumbprint(sender.publicKey)]),
  );
  const { aes, mac } = derive(secret);
  const iv = nodeCrypto.randomBytes(12);
  const cipher = nodeCrypto.createCipheriv(`aes-${keyBytes * 8}-gcm` as 'aes-256-gcm', aes, iv);
  cipher.setAAD(DOMAIN);
  const encryptedData = Buffer.concat([cipher.update(data), cipher.final()]);
  const parts = { encryptedKey, iv, authTag: cipher.getAuthTag(), encryptedData };
  const all = covered(recipient, parts);
  const hmac = nodeCrypto.createHmac('sha256', mac).update(all).digest();
  const signed = Buffer.concat([DOMAIN, Buffer.from([0]), sha256(all), hmac]);
  const signature = nodeCrypto.sign('sha256', signed, { key: sender.privateKey, ...pss });
  return {
    version: 1,
    encryptedData: encryptedData.toString('base64'),
    encryptedKey: encryptedKey.toString('base64'),
    iv: iv.toString('base64'),
    authTag: parts.authTag.toString('base64'),
    hmac: hmac.toString('hex'),
    signature: signature.toString('base64'),
  };
}

export function nodeOpen(
  envelope: EncryptedData,
  recipient: { publicKey: string; privateKey: string },
  sender: string,
): string {
  const bytes = (text: string) => Buffer.from(text, 'base64');
  const parts = {
    encryptedKey: bytes(envelope.encryptedKey),
    iv: bytes(envelope.iv),
    authTag: bytes(envelope.authTag),
    encryptedData: bytes(envelope.encryptedData),
  };
  const all = covered(recipient.publicKey, parts);
  const hmac = Buffer.from(envelope.hmac, 'hex');
  const signed = Buffer.concat([DOMAIN, Buffer.from([0]), sha256(all), hmac]);
  const signature = bytes(envelope.signature);
  expect(nodeCrypto.verify('sha256', signed, { key: sender, ...pss }, signature)).toBe(true);
  const wrapped = nodeCrypto.privateDecrypt(
    { key: recipient.privateKey, oaepHash: 'sha256', oaepLabel: DOMAIN },
    parts.encryptedKey,
  );
  const secret = wrapped.subarray(0, -32);
  expect(wrapped.subarray(-32)).toEqual(thumbprint(sender));
  const { aes, mac } = derive(secret);
  expect(nodeCrypto.createHmac('sha256', mac).update(all).digest()).toEqual(hmac);
  const name = `aes-${secret.length * 8}-gcm` as 'aes-256-gcm';
  const decipher = nodeCrypto.createDecipheriv(name, aes, parts.iv, { authTagLength: 16 });
  decipher.setAAD(DOMAIN);
  decipher.setAuthTag(parts.authTag);
  return Buffer.concat([decipher.update(parts.encryptedData), decipher.final()]).toString();
}
