// Encryption, signatures and MACs for data outside of calls.

import type { NativeCrypto } from '../addon.js';
import { checkKeys, invalidArgument } from '../base/arguments.js';
import { MeshError, wrapNative, wrapNativeAsync } from '../base/errors.js';
import { native } from '../base/native.js';
import { fromBase64, hmacKey, ownBytes, toBytes, type CryptoData } from './bytes.js';
import {
  decryptArguments,
  type DecryptOptions,
  type EncryptedData,
  type LegacyEncryptedData,
} from './envelope.js';
import {
  checkKeyPair,
  checkKeysDir,
  checkPem,
  checkRsaKeySize,
  describe,
  KeyManager,
  keysDirOrVariable,
  locationVariables,
  settingsOf,
  type KeyPair,
  type RsaKeySize,
} from './key-manager.js';

/** The size of an AES key in bits. */
export type AesKeySize = 128 | 192 | 256;

/** Options of {@link CryptoManager}. */
export interface CryptoManagerOptions {
  /** Bits of the RSA key: 2048, 3072 or 4096. Default: 4096, or the size of the stored key. */
  rsaKeySize?: RsaKeySize;
  /** Bits of the AES key of each envelope: 128, 192 or 256. Default: 256. */
  aesKeySize?: AesKeySize;
  /**
   * The key directory, for `initialize(serviceId)`. Default: `SECURE_MESH_KEYS_DIR`, or `secure-stack-mesh`
   * in the user's state directory.
   */
  keysDir?: string;
  /** The source of the key, instead of `keysDir`. */
  keyManager?: KeyManager | Pick<KeyManager, 'getOrCreateKeyPair'>;
}

/**
 * Encrypts, decrypts, signs and verifies with one RSA key pair.
 *
 * `encrypt` creates an envelope: data under a fresh AES-GCM key, which is wrapped with RSA-OAEP-SHA256, and
 * over everything an HMAC-SHA256 and the sender's RSA-PSS signature. `decrypt` with the sender's public key
 * authenticates the sender.
 *
 * `initialize()` generates the key off the event loop. A synchronous method waits for a running
 * `initialize()`; without one it throws `FAILED_PRECONDITION`, reason `NOT_INITIALIZED`. An RSA operation
 * takes up to a few milliseconds; the `…Async` variants run it off the event loop.
 *
 * Public keys are RSA keys in PEM of 2048 to 4096 bits with the exponent 65537. All other keys throw
 * `INVALID_ARGUMENT`, reason `BAD_KEY`.
 *
 * @example
 * ```js
 * const crypto = new CryptoManager({ rsaKeySize: 4096, aesKeySize: 256 });
 * await crypto.initialize();
 * const encrypted = crypto.encrypt(data, recipientPublicKey);
 * const decrypted = crypto.decrypt(encrypted, senderPublicKey);
 * ```
 */
export class CryptoManager {
  readonly #native: NativeCrypto;
  readonly #keysDir: string | undefined;
  readonly #keyManager: Pick<KeyManager, 'getOrCreateKeyPair'> | undefined;
  #initialized: { serviceId: string | undefined; done: Promise<void> } | undefined;

  /**
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: an option is
   *   unknown or has an impossible value.
   */
  constructor(options?: CryptoManagerOptions);
  /**
   * @throws MeshError as above
   * @deprecated The API of 0.2.0, in which the type allows any number as a size.
   */
  constructor(
    options?: Omit<CryptoManagerOptions, 'aesKeySize'> & {
      /** Bits of the AES keys: 128, 192 or 256. Default: 256. */
      aesKeySize?: number | undefined;
    },
  );
  constructor(
    options: Omit<CryptoManagerOptions, 'aesKeySize'> & { aesKeySize?: number | undefined } = {},
  ) {
    checkKeys('options', options, ['rsaKeySize', 'aesKeySize', 'keysDir', 'keyManager']);
    const { aesKeySize = 256, keyManager } = options;
    if (![128, 192, 256].includes(aesKeySize)) {
      throw invalidArgument(
        `options.aesKeySize must be 128, 192 or 256, got ${describe(aesKeySize)}`,
      );
    }
    let rsaKeySize = checkRsaKeySize('options.rsaKeySize', options.rsaKeySize);
    this.#keysDir = checkKeysDir('options.keysDir', options.keysDir);
    if (keyManager instanceof KeyManager) {
      const settings = settingsOf(keyManager);
      rsaKeySize ??= settings.keySize;
      this.#keysDir ??= settings.keysDir;
    } else if (keyManager !== undefined) {
      if (typeof keyManager?.getOrCreateKeyPair !== 'function') {
        throw invalidArgument('options.keyManager must be a KeyManager');
      }
      this.#keyManager = keyManager;
    }
    this.#native = wrapNative(() => new (native().NativeCrypto)(rsaKeySize ?? null, aesKeySize));
  }

  /**
   * Generates the key pair in memory. With a service id, it loads the key pair from the key directory, or
   * generates and stores it. Resolves when the key exists. A repeated call has no effect, unless the previous
   * call failed.
   *
   * @param serviceId the service whose key to load. `KeyManager` documents the requirements on the key
   *   directory and its errors.
   */
  initialize(serviceId?: string): Promise<void> {
    const previous = this.#initialized;
    if (previous !== undefined && previous.serviceId === serviceId) return previous.done;
    if (previous !== undefined) {
      const text =
        'the CryptoManager has been initialized for another service id: make a second one';
      return Promise.reject(failedPrecondition(text));
    }
    const done = this.#begin(serviceId);
    this.#initialized = { serviceId, done };
    // The methods that need the key report this error, and `initialize` may be called again.
    done.catch(() => (this.#initialized = undefined));
    return done;
  }

  async #begin(serviceId: string | undefined): Promise<void> {
    if (serviceId !== undefined && typeof serviceId !== 'string') {
      throw invalidArgument(`serviceId must be a string, got ${describe(serviceId)}`);
    }
    const persistent = this.#keysDir !== undefined || this.#keyManager !== undefined;
    if (serviceId === undefined && persistent) {
      throw invalidArgument(
        'initialize(serviceId) needs a service id when options.keysDir or options.keyManager is set: ' +
          'it says whose key to load',
      );
    }
    if (this.#keyManager !== undefined) {
      this.importKeyPair(this.#keyManager.getOrCreateKeyPair(serviceId as string));
      return;
    }
    const begun = wrapNative(() =>
      this.#native.begin(
        serviceId ?? null,
        keysDirOrVariable(this.#keysDir) ?? null,
        locationVariables(),
      ),
    );
    if (!begun && serviceId !== undefined) {
      throw failedPrecondition('call initialize(serviceId) before importKeyPair, not after it');
    }
    await wrapNativeAsync(this.#native.ready());
  }

  /** The current public key, PEM (SPKI), with which others encrypt and verify. */
  getPublicKey(): string {
    return wrapNative(() => this.#native.publicKey());
  }

  /** The public key's SHA-256 JWK thumbprint (RFC 7638), base64url. */
  getThumbprint(): string {
    return wrapNative(() => this.#native.thumbprint());
  }

  /**
   * Encrypts `data` to the owner of `recipientPublicKey` and signs it.
   *
   * @returns an envelope for {@link decrypt}
   * @throws MeshError `INVALID_ARGUMENT`, reason `BAD_KEY` or `ARGUMENT`
   */
  encrypt(data: CryptoData, recipientPublicKey: string): EncryptedData {
    const bytes = toBytes('data', data);
    const recipient = checkPem('recipientPublicKey', recipientPublicKey);
    return wrapNative(() => this.#native.encrypt(bytes, recipient));
  }

  /** {@link encrypt}, off the event loop. The caller may change `data` as soon as this method returns. */
  async encryptAsync(data: CryptoData, recipientPublicKey: string): Promise<EncryptedData> {
    const bytes = ownBytes('data', data);
    const recipient = checkPem('recipientPublicKey', recipientPublicKey);
    return wrapNativeAsync(this.#native.encryptAsync(bytes, recipient));
  }

  /**
   * Opens an envelope that was encrypted to the current or the previous key, and signed by the owner of
   * `senderPublicKey`.
   *
   * @returns the decrypted bytes; `.toString()` returns a string, `JSON.parse` an object
   * @throws MeshError `INVALID_ARGUMENT`, reason `DECRYPT_FAILED`: the envelope is for a different key, from
   *   a different sender, or damaged; the error deliberately does not reveal which. Reason `ENVELOPE_FORMAT`:
   *   a member is malformed.
   */
  decrypt(encrypted: EncryptedData, senderPublicKey: string): Buffer;
  /**
   * Opens an envelope **without authentication of its sender**: anyone with this public key could have made it.
   *
   * @deprecated Pass the sender's public key too.
   */
  decrypt(encrypted: EncryptedData): Buffer;
  /** Opens an envelope of 0.2.0, without authentication of its sender. */
  decrypt(
    encrypted: LegacyEncryptedData,
    senderPublicKey: undefined,
    options: { legacy: true },
  ): Buffer;
  decrypt(
    ...args: [
      encrypted: EncryptedData | LegacyEncryptedData,
      senderPublicKey?: string,
      options?: DecryptOptions,
    ]
  ): Buffer {
    const { envelope, sender, legacy } = decryptArguments(args);
    return wrapNative(() => this.#native.decrypt(envelope, sender, legacy));
  }

  /** {@link decrypt}, off the event loop. */
  async decryptAsync(
    ...args: [
      encrypted: EncryptedData | LegacyEncryptedData,
      senderPublicKey?: string,
      options?: DecryptOptions,
    ]
  ): Promise<Buffer> {
    const { envelope, sender, legacy } = decryptArguments(args);
    return wrapNativeAsync(this.#native.decryptAsync(envelope, sender, legacy));
  }

  /** Generates a random AES key of `aesKeySize` bits. */
  generateSessionKey(): Buffer {
    return wrapNative(() => this.#native.generateSessionKey());
  }

  /**
   * Encrypts a few bytes, such as a key, with RSA-OAEP-SHA256 alone. The result does not authenticate the sender.
   *
   * @param data at most 446 bytes for a key of 4096 bits, 190 for one of 2048;
   *   `INVALID_ARGUMENT`, reason `TOO_LARGE`, beyond
   * @returns base64
   */
  encryptWithPublicKey(data: CryptoData, publicKey: string): string {
    const bytes = toBytes('data', data);
    const recipient = checkPem('publicKey', publicKey);
    return wrapNative(() => this.#native.wrap(bytes, recipient)).toString('base64');
  }

  /** {@link encryptWithPublicKey}, off the event loop. */
  async encryptWithPublicKeyAsync(data: CryptoData, publicKey: string): Promise<string> {
    const bytes = ownBytes('data', data);
    const recipient = checkPem('publicKey', publicKey);
    return (await wrapNativeAsync(this.#native.wrapAsync(bytes, recipient))).toString('base64');
  }

  /**
   * Decrypts a result of {@link encryptWithPublicKey} for this key.
   *
   * @throws MeshError `INVALID_ARGUMENT`, reason `DECRYPT_FAILED`
   */
  decryptWithPrivateKey(encryptedData: string): Buffer {
    const bytes = fromBase64('encryptedData', encryptedData);
    return wrapNative(() => this.#native.unwrap(bytes));
  }

  /** {@link decryptWithPrivateKey}, off the event loop. */
  async decryptWithPrivateKeyAsync(encryptedData: string): Promise<Buffer> {
    const bytes = fromBase64('encryptedData', encryptedData);
    return wrapNativeAsync(this.#native.unwrapAsync(bytes));
  }

  /**
   * Signs `data`: RSASSA-PSS with SHA-256 and a salt of 32 bytes, over `"secure-stack-mesh/data/v1"`, a zero
   * byte, and the data. The prefix makes such a signature invalid for a token or an envelope.
   *
   * @returns base64
   */
  sign(data: CryptoData): string {
    const bytes = toBytes('data', data);
    return wrapNative(() => this.#native.sign(bytes)).toString('base64');
  }

  /** {@link sign}, off the event loop. */
  async signAsync(data: CryptoData): Promise<string> {
    return (await wrapNativeAsync(this.#native.signAsync(ownBytes('data', data)))).toString(
      'base64',
    );
  }

  /**
   * Whether the owner of `publicKey` made `signature` over `data` with {@link sign}.
   */
  verify(data: CryptoData, signature: string, publicKey: string): boolean {
    const bytes = toBytes('data', data);
    const [made, key] = [fromBase64('signature', signature), checkPem('publicKey', publicKey)];
    return wrapNative(() => this.#native.verify(bytes, made, key));
  }

  /** {@link verify}, off the event loop. */
  async verifyAsync(data: CryptoData, signature: string, publicKey: string): Promise<boolean> {
    const bytes = ownBytes('data', data);
    const [made, key] = [fromBase64('signature', signature), checkPem('publicKey', publicKey)];
    return wrapNativeAsync(this.#native.verifyAsync(bytes, made, key));
  }

  /**
   * HMAC-SHA256 (RFC 2104) of `data`.
   *
   * @param key at least 16 bytes; 32 random bytes are recommended. A string counts as its UTF-8 bytes.
   * @returns 64 hexadecimal digits
   * @throws MeshError `INVALID_ARGUMENT`, reason `WEAK_SECRET`: a shorter key
   */
  hmac(data: CryptoData, key: string | Uint8Array): string {
    const [bytes, secret] = [toBytes('data', data), hmacKey(key)];
    return wrapNative(() => this.#native.hmac(bytes, secret)).toString('hex');
  }

  /** Whether `hmac` equals the result of {@link CryptoManager.hmac} for `data`, compared in constant time. */
  verifyHmac(data: CryptoData, hmac: string, key: string | Uint8Array): boolean {
    const [bytes, secret] = [toBytes('data', data), hmacKey(key)];
    if (typeof hmac !== 'string')
      throw invalidArgument(`hmac must be a string, got ${describe(hmac)}`);
    if (!/^[0-9a-fA-F]{64}$/.test(hmac)) return false;
    return wrapNative(() => this.#native.verifyHmac(bytes, Buffer.from(hmac, 'hex'), secret));
  }

  /** Returns both halves of the key, PEM. The caller must protect the private half. */
  exportKeyPair(): KeyPair {
    return wrapNative(() => this.#native.exportKeyPair());
  }

  /**
   * Makes `keyPair` the current key, as {@link rotate} does with a generated one. It can replace a call of
   * `initialize()`.
   *
   * @param keyPair `privateKey` in PEM, PKCS#8 or PKCS#1; `publicKey`, if given, must match it
   * @throws MeshError `INVALID_ARGUMENT`, reason `BAD_KEY`
   */
  importKeyPair(keyPair: Partial<KeyPair> & Pick<KeyPair, 'privateKey'>): void {
    const { publicKey, privateKey } = checkKeyPair(keyPair);
    if (privateKey === undefined) throw invalidArgument('keyPair.privateKey is missing');
    wrapNative(() => this.#native.importKeyPair(privateKey, publicKey ?? null));
  }

  /**
   * Generates a new current key off the event loop, and stores it if `initialize` was given a service id. The
   * previous key still opens data that was encrypted to it, until the next rotation: encrypt such data again
   * before that.
   *
   * @returns the new public key, PEM, for services that encrypt or verify
   */
  async rotate(): Promise<string> {
    return wrapNativeAsync(this.#native.rotate());
  }
}

function failedPrecondition(message: string): MeshError {
  return new MeshError('FAILED_PRECONDITION', message, { reason: 'ARGUMENT' });
}
