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
  /** Bits of the RSA key: 2048, 3072 or 4096. Default: 4096, or those of the stored key. */
  rsaKeySize?: RsaKeySize;
  /** Bits of the AES key of each envelope: 128, 192 or 256. Default: 256. */
  aesKeySize?: AesKeySize;
  /**
   * The directory to keep the key in, for `initialize(serviceId)`. Default:
   * `SECURE_MESH_KEYS_DIR`, or `secure-stack-mesh` in the user's state
   * directory.
   */
  keysDir?: string;
  /** Where to get the key from, instead of `keysDir`. */
  keyManager?: KeyManager | Pick<KeyManager, 'getOrCreateKeyPair'>;
}

/**
 * Encrypts, decrypts, signs and verifies with one RSA key pair.
 *
 * `encrypt` makes an envelope: a fresh AES-GCM key per message, wrapped with
 * RSA-OAEP-SHA256, all of it under an HMAC-SHA256 and the sender's RSA-PSS
 * signature. `decrypt` with the sender's public key proves who sent it.
 *
 * `initialize()` makes the key off the event loop. A synchronous method called
 * before it is done waits for it; one called without it throws
 * `FAILED_PRECONDITION`, reason `NOT_INITIALIZED`. RSA takes up to a few
 * milliseconds per operation; the `…Async` twins spend them off the event loop.
 *
 * Public keys are RSA keys in PEM of 2048 to 4096 bits with the exponent 65537.
 * Others throw `INVALID_ARGUMENT`, reason `BAD_KEY`.
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
   * @deprecated The shape of 0.2.0, where the size is any number until the program runs.
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
   * Makes the key pair, in memory; or, for a service id, loads it from the key
   * directory, where it is made the first time. Resolves when the key is
   * there. Calling it again changes nothing, unless the last time failed.
   *
   * @param serviceId whose key to load. `KeyManager` says what is asked of the
   *   key directory and how it fails.
   */
  initialize(serviceId?: string): Promise<void> {
    const former = this.#initialized;
    if (former !== undefined && former.serviceId === serviceId) return former.done;
    if (former !== undefined) {
      const text =
        'the CryptoManager has been initialized for another service id: make a second one';
      return Promise.reject(failedPrecondition(text));
    }
    const done = this.#begin(serviceId);
    this.#initialized = { serviceId, done };
    // The methods that need the key say why there is none; and it may be tried again.
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

  /** This side's public key, PEM (SPKI): what others encrypt to and verify with. */
  getPublicKey(): string {
    return wrapNative(() => this.#native.publicKey());
  }

  /** The public key's SHA-256 JWK thumbprint (RFC 7638), base64url: its name. */
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

  /** {@link encrypt}, off the event loop. `data` may change as soon as this returns. */
  async encryptAsync(data: CryptoData, recipientPublicKey: string): Promise<EncryptedData> {
    const bytes = ownBytes('data', data);
    const recipient = checkPem('recipientPublicKey', recipientPublicKey);
    return wrapNativeAsync(this.#native.encryptAsync(bytes, recipient));
  }

  /**
   * Opens an envelope that was encrypted to this key, or to the one before
   * {@link rotate}, and that the owner of `senderPublicKey` signed.
   *
   * @returns the bytes that were encrypted; `.toString()` gives the string,
   *   `JSON.parse` the object
   * @throws MeshError `INVALID_ARGUMENT`, reason `DECRYPT_FAILED`: it is not
   *   for this key, not from this sender, or damaged; deliberately it is not
   *   told which. Reason `ENVELOPE_FORMAT`: a member is malformed.
   */
  decrypt(encrypted: EncryptedData, senderPublicKey: string): Buffer;
  /**
   * Opens an envelope **without proof of who made it**: whoever has this public
   * key may have.
   *
   * @deprecated Give the sender's public key too.
   */
  decrypt(encrypted: EncryptedData): Buffer;
  /** Opens an envelope of 0.2.0, without proof of who made it. */
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

  /** A fresh random AES key of `aesKeySize` bits. */
  generateSessionKey(): Buffer {
    return wrapNative(() => this.#native.generateSessionKey());
  }

  /**
   * Encrypts a few bytes, such as a key, with RSA-OAEP-SHA256 alone. It says
   * nothing about the sender.
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
   * Decrypts what {@link encryptWithPublicKey} made for this key.
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
   * Signs `data`: RSASSA-PSS with SHA-256 and a salt of 32 bytes, over
   * `"secure-stack-mesh/data/v1"`, a zero byte, and the data. Because of what
   * comes first, a signature made here is never that of a token or an envelope.
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
   * Whether `signature` is what {@link sign} of the owner of `publicKey` made
   * for `data`.
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
   * @param key at least 16 bytes; 32 random ones are right. A string counts as
   *   its UTF-8 bytes.
   * @returns 64 hexadecimal digits
   * @throws MeshError `INVALID_ARGUMENT`, reason `WEAK_SECRET`: a shorter key
   */
  hmac(data: CryptoData, key: string | Uint8Array): string {
    const [bytes, secret] = [toBytes('data', data), hmacKey(key)];
    return wrapNative(() => this.#native.hmac(bytes, secret)).toString('hex');
  }

  /** Whether `hmac` is what {@link CryptoManager.hmac} makes of `data`, compared in constant time. */
  verifyHmac(data: CryptoData, hmac: string, key: string | Uint8Array): boolean {
    const [bytes, secret] = [toBytes('data', data), hmacKey(key)];
    if (typeof hmac !== 'string')
      throw invalidArgument(`hmac must be a string, got ${describe(hmac)}`);
    if (!/^[0-9a-fA-F]{64}$/.test(hmac)) return false;
    return wrapNative(() => this.#native.verifyHmac(bytes, Buffer.from(hmac, 'hex'), secret));
  }

  /** Both halves of the key, PEM. The private one is now yours to protect. */
  exportKeyPair(): KeyPair {
    return wrapNative(() => this.#native.exportKeyPair());
  }

  /**
   * Makes `keyPair` the current key, as {@link rotate} does with a fresh one.
   * Without `initialize()` before, it takes its place.
   *
   * @param keyPair `privateKey` in PEM, PKCS#8 or PKCS#1; `publicKey`, if
   *   given, must belong to it
   * @throws MeshError `INVALID_ARGUMENT`, reason `BAD_KEY`
   */
  importKeyPair(keyPair: Partial<KeyPair> & Pick<KeyPair, 'privateKey'>): void {
    const { publicKey, privateKey } = checkKeyPair(keyPair);
    if (privateKey === undefined) throw invalidArgument('keyPair.privateKey is missing');
    wrapNative(() => this.#native.importKeyPair(privateKey, publicKey ?? null));
  }

  /**
   * Makes a fresh key the current one, off the event loop, and stores it if
   * `initialize` was given a service id. The former key still opens what was
   * encrypted to it, until the next rotation: encrypt that anew.
   *
   * @returns the new public key, PEM, for those who encrypt or verify
   */
  async rotate(): Promise<string> {
    return wrapNativeAsync(this.#native.rotate());
  }
}

function failedPrecondition(message: string): MeshError {
  return new MeshError('FAILED_PRECONDITION', message, { reason: 'ARGUMENT' });
}
