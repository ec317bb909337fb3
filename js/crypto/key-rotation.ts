// The periodic rotation of keys.

import { checkKeys, invalidArgument } from '../base/arguments.js';
import { idleTimer } from '../base/clock.js';
import { MeshError } from '../base/errors.js';
import { checkFunction, checkText, toMillis } from '../base/values.js';
import type { AuditLogger } from '../monitoring/audit-logger.js';

/** Settings of a {@link KeyRotation}. */
export interface KeyRotationConfig {
  /** The time between rotations: milliseconds or a string such as `'30d'`. */
  rotationInterval: number | string;
  /** Whether keys are rotated automatically. Default: false. */
  autoRotate?: boolean | undefined;
  /**
   * Called after each rotation. The fingerprint is the SHA-256 JWK thumbprint (RFC 7638) of the new public
   * key, as `CryptoManager.getThumbprint` returns it; empty if the object has no `getThumbprint`. An error of
   * this function goes to {@link onError}.
   */
  onRotation?: ((newKeyFingerprint: string) => void) | undefined;
  /** Called after a failed automatic rotation, which is retried after at most a minute. */
  onError?: ((error: Error) => void) | undefined;
}

/** The owner of the key that a {@link KeyRotation} replaces. */
export interface RotatesKeys {
  /** Replaces the key. */
  rotate(): Promise<unknown> | unknown;
  /** The thumbprint of the current key (RFC 7638). Without this method `onRotation` gets an empty string. */
  getThumbprint?(): string;
}

/**
 * The interface that 0.2.0 required. A new session key replaces no key: a rotation of such an object fails,
 * with its own error or with `FAILED_PRECONDITION`.
 *
 * @deprecated Give the object a `rotate()`.
 */
export interface MakesSessionKeys {
  /** Generates a key, which 0.2.0 discarded. */
  generateSessionKey(): unknown;
}

const KEYS = ['rotationInterval', 'autoRotate', 'onRotation', 'onError'] as const;
const RETRY_MS = 60_000;

/**
 * Replaces keys periodically. A mesh has its own rotation, with the option `rotation`.
 *
 * After the rotation of a {@link CryptoManager}, the previous key only opens data that was encrypted to it,
 * until the next rotation. All other operations use the new key.
 *
 * Its timer does not keep the process alive.
 *
 * @example
 * ```js
 * const rotation = new KeyRotation('orders', crypto, { rotationInterval: '30d', autoRotate: true });
 * ```
 */
export class KeyRotation {
  readonly #serviceId: string;
  readonly #keys: RotatesKeys;
  readonly #audit: Pick<AuditLogger, 'logKeyRotation'> | undefined;
  readonly #intervalMs: number;
  readonly #onRotation: ((fingerprint: string) => void) | undefined;
  readonly #onError: ((error: Error) => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #due = 0;
  #running: Promise<void> | undefined;
  #automatic: boolean;

  /**
   * @param serviceId the owner of the key, for the audit log
   * @param cryptoManager the object whose key is replaced: a `CryptoManager`, initialized before the first
   *   rotation, or any other object with a `rotate()`
   * @param auditLogger receives an entry for each rotation, successful or not: an `AuditLogger`, or any other
   *   object with its `logKeyRotation`. An error of it goes to `config.onError`
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: a setting is missing, misspelt or out of range
   */
  constructor(
    serviceId: string,
    cryptoManager: RotatesKeys | MakesSessionKeys,
    config: KeyRotationConfig,
    auditLogger?: Pick<AuditLogger, 'logKeyRotation'>,
  ) {
    checkText('serviceId', serviceId);
    checkKeys('config', config, KEYS);
    const { autoRotate = false, onRotation, onError } = config;
    if (onRotation !== undefined) checkFunction('config.onRotation', onRotation);
    if (onError !== undefined) checkFunction('config.onError', onError);
    this.#serviceId = serviceId;
    this.#keys = rotatesKeys(cryptoManager);
    this.#audit = auditLogger;
    this.#intervalMs = toMillis('config.rotationInterval', config.rotationInterval);
    if (this.#intervalMs < 1)
      throw invalidArgument('config.rotationInterval must be at least 1 ms');
    this.#onRotation = onRotation;
    this.#onError = onError;
    this.#automatic = Boolean(autoRotate);
    if (this.#automatic) this.#schedule(this.#intervalMs);
  }

  /**
   * Replaces the key now. During a running rotation, it resolves with that one. The next automatic rotation
   * is a full interval later.
   *
   * @throws MeshError (as a rejection) the error of `CryptoManager.rotate`; the previous key then stays in use
   */
  rotate(): Promise<void> {
    return (this.#running ??= this.#rotate().finally(() => (this.#running = undefined)));
  }

  /** Begins automatic rotation, the first one a full interval from now. Without effect if it has begun. */
  start(): void {
    if (this.#automatic) return;
    this.#automatic = true;
    this.#schedule(this.#intervalMs);
  }

  /** Ends automatic rotation. `rotate` still works. */
  stop(): void {
    this.#automatic = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** The same as {@link stop}. */
  destroy(): void {
    this.stop();
  }

  async #rotate(): Promise<void> {
    try {
      await this.#keys.rotate();
    } catch (cause) {
      const error = MeshError.from(cause);
      await this.#afterwards(() =>
        this.#audit?.logKeyRotation(this.#serviceId, false, error.message),
      );
      throw error;
    }
    // The key has been replaced; errors of listeners do not change that.
    if (this.#automatic) this.#schedule(this.#intervalMs);
    await this.#afterwards(() => this.#audit?.logKeyRotation(this.#serviceId, true));
    await this.#afterwards(() => this.#onRotation?.(this.#keys.getThumbprint?.() ?? ''));
  }

  /** Runs a step after a rotation; its failure does not fail the rotation. */
  async #afterwards(step: () => unknown): Promise<void> {
    try {
      await step();
    } catch (error) {
      this.#tell(error);
    }
  }

  #schedule(ms: number): void {
    clearTimeout(this.#timer);
    this.#due = performance.now() + ms;
    this.#arm();
  }

  #arm(): void {
    this.#timer = idleTimer(this.#due - performance.now(), () => this.#fire());
  }

  #fire(): void {
    // Node's longest timer is shorter than a month, so it may fire before the rotation is due.
    if (performance.now() < this.#due) {
      this.#arm();
      return;
    }
    this.rotate().catch((error: unknown) => {
      if (this.#automatic) this.#schedule(Math.min(this.#intervalMs, RETRY_MS));
      this.#tell(error);
    });
  }

  #tell(error: unknown): void {
    try {
      this.#onError?.(error as Error);
    } catch {
      // The error of an error handler has no receiver.
    }
  }
}

/** Returns the object as one with a `rotate()`. */
function rotatesKeys(keys: RotatesKeys | MakesSessionKeys | null): RotatesKeys {
  const given = keys as Partial<RotatesKeys & MakesSessionKeys> | null;
  if (typeof given?.rotate === 'function') return given as RotatesKeys;
  if (typeof given?.generateSessionKey !== 'function') {
    throw invalidArgument('cryptoManager must be a CryptoManager, or another object with rotate()');
  }
  const makes = given as MakesSessionKeys;
  return {
    async rotate() {
      await makes.generateSessionKey();
      // 0.2.0 reported success here, although no key was replaced.
      const text =
        'cryptoManager has no rotate(): the session key that it made replaces no key; give it a rotate()';
      throw new MeshError('FAILED_PRECONDITION', text, { reason: 'ARGUMENT' });
    },
  };
}
