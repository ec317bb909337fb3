// RSA keys: the identity of a service, and its operations.
import {
  constants,
  createHash,
  createPublicKey,
  generateKeyPairSync,
  privateDecrypt,
  publicEncrypt,
  sign,
  verify,
  type KeyObject,
} from 'node:crypto';

/** A service's own key. */
export interface Identity {
  readonly privateKey: KeyObject;
  readonly publicKey: PublicIdentity;
}

/** The public key of a service. */
export interface PublicIdentity {
  readonly key: KeyObject;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Buffer;
  /** As PEM, for `discovery.services[].publicKey`. */
  readonly pem: string;
  /** RFC 7638, 32 bytes. */
  readonly thumbprint: Buffer;
}

export function makeIdentity(modulusLength = 2048): Identity {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength });
  return { privateKey, publicKey: describe(publicKey) };
}

const made = new Map<string, Identity>();
/** The one identity of a service: a key names one service, and a service keeps its key. */
export function identityOf(serviceId: string): Identity {
  const identity = made.get(serviceId) ?? makeIdentity();
  made.set(serviceId, identity);
  return identity;
}

/** The identity in a SubjectPublicKeyInfo. */
export function readSpki(spki: Buffer): PublicIdentity {
  return describe(createPublicKey({ key: spki, format: 'der', type: 'spki' }));
}

function describe(key: KeyObject): PublicIdentity {
  const { e, kty, n } = key.export({ format: 'jwk' });
  return {
    key,
    spki: key.export({ format: 'der', type: 'spki' }),
    pem: key.export({ format: 'pem', type: 'spki' }).toString(),
    thumbprint: createHash('sha256').update(JSON.stringify({ e, kty, n })).digest(),
  };
}

/** RSA-OAEP-SHA256 (MGF1 with SHA-256 too). */
export function wrap(to: PublicIdentity, secret: Uint8Array, label: Uint8Array): Buffer {
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  return publicEncrypt({ key: to.key, padding, oaepHash: 'sha256', oaepLabel: label }, secret);
}

export function unwrap(own: Identity, wrapped: Uint8Array, label: Uint8Array): Buffer {
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  return privateDecrypt(
    { key: own.privateKey, padding, oaepHash: 'sha256', oaepLabel: label },
    wrapped,
  );
}

const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };

/** RSASSA-PSS, SHA-256, a salt of 32 bytes. */
export function signWith(own: Identity, content: Uint8Array): Buffer {
  return sign('sha256', content, { key: own.privateKey, ...pss });
}

export function signedBy(key: PublicIdentity, content: Uint8Array, signature: Uint8Array): boolean {
  return verify('sha256', content, { key: key.key, ...pss }, signature);
}
