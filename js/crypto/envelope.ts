// Envelopes as JavaScript objects, and the arguments of `decrypt`.

import type { NativeEnvelope } from '../addon.js';
import { checkKeys, invalidArgument } from '../base/arguments.js';
import { MeshError } from '../base/errors.js';
import { checkPem, describe } from './key-manager.js';

/**
 * An envelope: data encrypted to one RSA key and signed by another. It contains only strings and a number, so
 * it can be sent as JSON. The format is specified in `docs/envelope.md`.
 */
export interface EncryptedData {
  /** The format's version: 1. */
  version: number;
  /** AES-GCM ciphertext, base64. */
  encryptedData: string;
  /** The wrapped secret, base64. */
  encryptedKey: string;
  /** 96-bit nonce, base64. */
  iv: string;
  /** 128-bit tag, base64. */
  authTag: string;
  /** HMAC-SHA256 over all members above, hexadecimal. */
  hmac: string;
  /** The sender's RSASSA-PSS signature over all members above, base64. */
  signature: string;
}

/** An envelope as 0.2.0 wrote it. */
export type LegacyEncryptedData = Omit<EncryptedData, 'version' | 'signature'>;

/** Options of {@link CryptoManager.decrypt}. */
export interface DecryptOptions {
  /**
   * Whether to open an envelope of 0.2.0. Such an envelope does not authenticate its sender; open it only to
   * encrypt its content again. Default: false.
   */
  legacy?: boolean;
}

/** Checks the arguments of `decrypt`, and converts them for the addon. */
export function decryptArguments(
  args: [EncryptedData | LegacyEncryptedData, string?, DecryptOptions?],
): {
  envelope: NativeEnvelope;
  sender: string | null;
  legacy: boolean;
} {
  const [encrypted, senderPublicKey, options = {}] = args;
  checkKeys('options', options, ['legacy']);
  const legacy = options.legacy ?? false;
  if (typeof legacy !== 'boolean') {
    throw invalidArgument(`options.legacy must be true or false, got ${describe(legacy)}`);
  }
  // A key that is missing by mistake must not silently disable the authentication.
  if (args.length > 1 && !legacy) checkPem('senderPublicKey', senderPublicKey);
  if (legacy && senderPublicKey !== undefined && senderPublicKey !== null) {
    throw invalidArgument(
      'senderPublicKey must be undefined with { legacy: true }: an envelope of 0.2.0 has no signature to verify',
    );
  }
  const sender = legacy ? null : (senderPublicKey ?? null);
  return { envelope: toEnvelope(encrypted, legacy), sender, legacy };
}

function toEnvelope(
  encrypted: Partial<EncryptedData> | LegacyEncryptedData,
  legacy: boolean,
): NativeEnvelope {
  if (typeof encrypted !== 'object' || encrypted === null) {
    throw invalidArgument(`encrypted must be what encrypt returned, got ${describe(encrypted)}`);
  }
  const { version = 0, signature = '' } = encrypted as Partial<EncryptedData>;
  const member = (name: keyof LegacyEncryptedData): string => {
    const value = encrypted[name];
    if (typeof value === 'string') return value;
    throw malformed(`encrypted.${name} must be a string, got ${describe(value)}`);
  };
  if (!legacy && !Number.isInteger(version)) {
    throw malformed(`encrypted.version must be a number, got ${describe(version)}`);
  }
  if (typeof signature !== 'string') {
    throw malformed(`encrypted.signature must be a string, got ${describe(signature)}`);
  }
  return {
    version: legacy ? 0 : version,
    encryptedData: member('encryptedData'),
    encryptedKey: member('encryptedKey'),
    iv: member('iv'),
    authTag: member('authTag'),
    hmac: member('hmac'),
    signature,
  };
}

function malformed(message: string): MeshError {
  return new MeshError('INVALID_ARGUMENT', message, { reason: 'ENVELOPE_FORMAT' });
}
