// Keys that are replaced in time.

import { checkKeys, invalidArgument } from '../base/arguments.js';
import { idleTimer } from '../base/clock.js';
import { MeshError } from '../base/errors.js';
import { checkFunction, checkText, toMillis } from '../base/values.js';
import type { AuditLogger } from '../monitoring/audit-logger.js';

/** Settings of a {@link KeyRotation}. */
export interface KeyRotationConfig {
  /** The time between rotations: milliseconds or `'30d'`. */
  rotationInterval: number | string;
  /** Whether keys are rotated without being asked. Default: false. */
  autoRotate?: boolean | undefined;
  /**
   * Told of each new key. The fingerprint is that of its public half: the SHA-256 JWK thumbprint
   * (RFC 7638), as `CryptoManager.getThumbprint` gives it; empty where the keys have no
   * `getThumbprint`. What it throws is for {@link onError}.
   */
  onRotation?: ((newKeyFingerprint: string) => void) | undefined;
  /** Told when a rotation that nobody asked for fails. It is tried again, after a minute at most. */
  onError?: ((error: Error) => void) | undefined;
}

/** Whose key a {@link KeyRotation} replaces. */
export interface RotatesKeys {
  /** Replaces the key. */
  rotate(): Promise<unknown> | unknown;
  /** The thumbprint of the key in use (RFC 7638). Without it `onRotation` gets an empty text. */
  getThumbprint?(): string;
}

/**
 * What 0.2.0 asked of its keys. A session key that is made replaces nothing: such a rotation
 * fails, with the object's own error or with `FAILED_PRECONDITION`.
 *
 * @deprecated Give the object a `rotate()`.
 */
export interface MakesSessionKeys {
  /** Makes a key, which 0.2.0 then threw away. */
  generateSessionKey(): unknown;
}

const KEYS = ['rotationInterval', 'autoRotate', 'onRotation', 'onError'] as const;
const RETRY_MS = 60_000;

/**
 * Replaces keys in time. A mesh does it by itself, as its option `rotation` says.
 *
 * The key of a {@link CryptoManager}: afterwards it encrypts nothing,
 * signs nothing and shows nothing with the former one, which only still opens
 * what was encrypted to it, until the next rotation.
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
   * @param serviceId whose key it is, for the audit log
   * @param cryptoManager whose key is replaced: a `CryptoManager`, initialized before the first
   *   rotation, or any other object with a `rotate()`
   * @param auditLogger gets an entry for each rotation, successful or not; an `AuditLogger`, or any
   *   other object with its `logKeyRotation`. What it throws is for `config.onError`
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
   * Replaces the key now. When that is being done already, it resolves with it.
   * The next automatic rotation is a whole interval later.
   *
   * @throws MeshError (as a rejection) what `CryptoManager.rotate` throws; the key is then the former one
   */
  rotate(): Promise<void> {
    return (this.#running ??= this.#rotate().finally(() => (this.#running = undefined)));
  }

  /** Begins automatic rotation, the first a whole interval from now; without effect where it has begun. */
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
    // From here on the key has been replaced, whatever its listeners do.
    if (this.#automatic) this.#schedule(this.#intervalMs);
    await this.#afterwards(() => this.#audit?.logKeyRotation(this.#serviceId, true));
    await this.#afterwards(() => this.#onRotation?.(this.#keys.getThumbprint?.() ?? ''));
  }

  /** What follows a rotation: a failure of it is not the rotation's. */
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
    // Node's timers are shorter than a month.
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
      // There is nobody left to tell.
    }
  }
}

/** The keys, with a `rotate()`. */
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
      // 0.2.0 reported a success here, and every key stayed as it was.
      const text =
        'cryptoManager has no rotate(): the session key that it made replaces no key; give it a rotate()';
      throw new MeshError('FAILED_PRECONDITION', text, { reason: 'ARGUMENT' });
    },
  };
}
