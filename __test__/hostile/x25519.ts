// X25519 with shares as the 32 bytes of the wire.
import { createPublicKey, diffieHellman, generateKeyPairSync, type KeyObject } from 'node:crypto';

export interface Share {
  /** The public half, 32 bytes. */
  readonly share: Buffer;
  readonly privateKey: KeyObject;
}

export function makeShare(): Share {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  const { x } = publicKey.export({ format: 'jwk' });
  return { share: Buffer.from(String(x), 'base64url'), privateKey };
}

/** Computes the shared secret from the own private half and the other's share. */
export function agree(own: Share, share: Buffer): Buffer {
  const publicKey = createPublicKey({
    key: { kty: 'OKP', crv: 'X25519', x: share.toString('base64url') },
    format: 'jwk',
  });
  return diffieHellman({ privateKey: own.privateKey, publicKey });
}
