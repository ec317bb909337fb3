// RSA key pairs in the key directory.

import type { NativeKeys } from '../addon.js';
import { checkKeys, invalidArgument } from '../base/arguments.js';
import { wrapNative, wrapNativeAsync } from '../base/errors.js';
import { native } from '../base/native.js';

/** An RSA key pair in PEM. */
export interface KeyPair {
  /** The public half: a `PUBLIC KEY` block (SPKI). */
  publicKey: string;
  /** The private half: a `PRIVATE KEY` block (PKCS#8). Its possession is the identity of the service. */
  privateKey: string;
}

/** The size of an RSA key in bits. */
export type RsaKeySize = 2048 | 3072 | 4096;

/** The settings of a {@link KeyManager}, for `CryptoManager`. */
interface KeySettings {
  keysDir: string | undefined;
  keySize: RsaKeySize | undefined;
}

/** The settings of `manager`; not part of the public API. */
export let settingsOf: (manager: KeyManager) => KeySettings;

/**
 * Stores RSA key pairs in a directory of mode 0700, in files of mode 0600 that are written atomically. File
 * names are hashes of the given names.
 *
 * The directory is opened at its first use. If other users have access to it or to a file in it, if it
 * belongs to another user, or is a symbolic link, the methods throw `FAILED_PRECONDITION` with reason
 * `KEYDIR_MODE`, `KEYDIR_OWNER` or `KEYDIR_TYPE`, and a message with the repair; `KEYDIR_CORRUPT` for a
 * damaged file, `KEYDIR_IO` for an error of the operating system.
 *
 * Names follow the rules for service ids: 1 to 128 ASCII letters, digits, `.`, `_` and `-`, beginning and
 * ending with a letter or digit. Any other name throws `INVALID_ARGUMENT`, reason `ID_SYNTAX`.
 *
 * Each method blocks for file operations, and for seconds to generate a key; its `…Async` variant runs off
 * the event loop.
 */
export class KeyManager {
  readonly #keysDir: string | undefined;
  readonly #keySize: RsaKeySize | undefined;
  #native: NativeKeys | undefined;

  static {
    settingsOf = (manager) => ({ keysDir: manager.#keysDir, keySize: manager.#keySize });
  }

  /**
   * The constructor reads and creates nothing.
   *
   * @param keyDir the directory. Default: `SECURE_MESH_KEYS_DIR`, or
   *   `secure-stack-mesh` in the user's state directory; never below the
   *   working directory.
   * @param keySize bits of the keys: 2048, 3072 or 4096. Default: 4096 for new keys, and any size for stored
   *   ones. With this argument, a stored key of a different size throws `FAILED_PRECONDITION`, reason
   *   `KEYDIR_KEY_SIZE`.
   */
  constructor(keyDir?: string, keySize?: RsaKeySize) {
    this.#keysDir = checkKeysDir('keyDir', keyDir);
    this.#keySize = checkRsaKeySize('keySize', keySize);
  }

  get #keys(): NativeKeys {
    return (this.#native ??= new (native().NativeKeys)(
      keysDirOrVariable(this.#keysDir) ?? null,
      locationVariables(),
      this.#keySize ?? null,
    ));
  }

  /** Generates a key pair without storing it. 4096 bits take seconds: prefer {@link generateKeyPairAsync}. */
  generateKeyPair(): KeyPair {
    return wrapNative(() => this.#keys.generate());
  }

  /** {@link generateKeyPair}, off the event loop. */
  generateKeyPairAsync(): Promise<KeyPair> {
    return wrapNativeAsync(() => this.#keys.generateAsync());
  }

  /**
   * Stores a key pair under `name` and replaces an existing one. If only `publicKey` is given, it stores the
   * public key of another service, which cannot be replaced.
   *
   * @throws MeshError `INVALID_ARGUMENT`, reason `BAD_KEY`: the keys are not RSA keys in PEM of 2048 to 4096
   *   bits with exponent 65537, or do not match. `UNAUTHENTICATED`, reason `PEER_KEY_CHANGED`: a different
   *   public key is stored under `name`. `RESOURCE_EXHAUSTED`, reason `KEYDIR_FULL`: 4096 public keys are
   *   stored.
   */
  saveKeyPair(name: string, keyPair: Partial<KeyPair>): void {
    const { publicKey, privateKey } = checkKeyPair(keyPair);
    wrapNative(() => this.#keys.save(checkName(name), publicKey, privateKey));
  }

  /** {@link saveKeyPair}, off the event loop. */
  async saveKeyPairAsync(name: string, keyPair: Partial<KeyPair>): Promise<void> {
    const { publicKey, privateKey } = checkKeyPair(keyPair);
    await wrapNativeAsync(() => this.#keys.saveAsync(checkName(name), publicKey, privateKey));
  }

  /**
   * Returns the key pair stored under `name`, or `null`. If only a public key is stored, `privateKey` is empty.
   */
  loadKeyPair(name: string): KeyPair | null {
    return wrapNative(() => this.#keys.load(checkName(name)));
  }

  /** {@link loadKeyPair}, off the event loop. */
  async loadKeyPairAsync(name: string): Promise<KeyPair | null> {
    return wrapNativeAsync(this.#keys.loadAsync(checkName(name)));
  }

  /**
   * Returns the key pair stored under `name`, or generates and stores one. Concurrent processes get the same
   * key pair.
   */
  getOrCreateKeyPair(name: string): KeyPair {
    return wrapNative(() => this.#keys.getOrCreate(checkName(name)));
  }

  /** {@link getOrCreateKeyPair}, off the event loop. */
  async getOrCreateKeyPairAsync(name: string): Promise<KeyPair> {
    return wrapNativeAsync(this.#keys.getOrCreateAsync(checkName(name)));
  }
}

/** The given directory, or the one in the environment. */
export function keysDirOrVariable(keysDir: string | undefined): string | undefined {
  return keysDir ?? (process.env.SECURE_MESH_KEYS_DIR || undefined);
}

/** The environment variables that determine the default key directory, as JSON. */
export function locationVariables(): string {
  const { HOME, XDG_STATE_HOME, LOCALAPPDATA } = process.env;
  return JSON.stringify({ HOME, XDG_STATE_HOME, LOCALAPPDATA });
}

/** Checks that a directory is a path. */
export function checkKeysDir(name: string, value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'string' && value !== '' && !value.includes('\0')) return value;
  throw invalidArgument(`${name} must be the path of a directory, got ${describe(value)}`);
}

/** Checks the size of an RSA key. */
export function checkRsaKeySize(
  name: string,
  value: RsaKeySize | undefined,
): RsaKeySize | undefined {
  if (value === undefined || [2048, 3072, 4096].includes(value)) return value;
  throw invalidArgument(`${name} must be 2048, 3072 or 4096, got ${describe(value)}`);
}

/** Checks that a value is a key pair or one half of a key pair. */
export function checkKeyPair(keyPair: Partial<KeyPair>): {
  publicKey: string | undefined;
  privateKey: string | undefined;
} {
  checkKeys('keyPair', keyPair, ['publicKey', 'privateKey']);
  const { publicKey, privateKey } = keyPair;
  if (publicKey === undefined && privateKey === undefined) {
    throw invalidArgument('keyPair must have a publicKey or a privateKey in PEM');
  }
  if (publicKey !== undefined) checkPem('keyPair.publicKey', publicKey);
  if (privateKey !== undefined) checkPem('keyPair.privateKey', privateKey);
  return { publicKey, privateKey };
}

/** Checks that a value is a string. */
export function checkPem(name: string, value: unknown): string {
  if (typeof value === 'string') return value;
  throw invalidArgument(`${name} must be an RSA key in PEM, got ${describe(value)}`);
}

function checkName(name: string): string {
  if (typeof name === 'string') return name;
  throw invalidArgument(`name must be a string, got ${describe(name)}`);
}

/** Describes a value for an error, without the content of a possible secret. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return value === '' ? 'an empty string' : 'a string';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (value === null || value === undefined) return String(value);
  return Array.isArray(value) ? 'an array' : `a value of type ${typeof value}`;
}
