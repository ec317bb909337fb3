// The rotation of a mesh's own key and secret.

import { checkKeys, configured, invalidArgument } from '../base/arguments.js';
import { wrapNative, wrapNativeAsync } from '../base/errors.js';
import type { SafeLogger } from '../base/logger.js';
import type { Addon } from '../base/native.js';
import { checkText, toMillis } from '../base/values.js';
import { KeyRotation, type RotatesKeys } from '../crypto/key-rotation.js';
import type { MeshConfig } from './types.js';

type NativeMesh = InstanceType<Addon['NativeMesh']>;

/** Options of {@link SecureMesh.rotateSecret}. */
export interface RotateMeshSecretOptions {
  /**
   * The grace period, during which the previous secret is accepted, and offered to peers that reject the new
   * one: milliseconds or a string such as `'15m'`. With 0 there is no grace. Default: `'24h'`.
   */
  graceMs?: number | string;
}

/** The argument of `SecureMesh.revoke`. Exactly one of `spiffeId`, `serial` and `thumbprint` is required. */
export interface Revocation {
  /** Every certificate with this SPIFFE id, or with this DNS name. */
  spiffeId?: string | undefined;
  /** The certificate with this serial number, in hexadecimal as `openssl x509 -serial` prints it. */
  serial?: string | undefined;
  /**
   * The issuer of the serial number, as `getStats().peers[].certificate.issuer` shows it.
   * Default: any.
   */
  issuer?: string | undefined;
  /**
   * A certificate by its SHA-256 in hexadecimal, as `openssl x509 -fingerprint -sha256` prints it,
   * or a mesh key by its thumbprint. The SHA-256 of an intermediate or an anchor revokes all
   * certificates below it.
   */
  thumbprint?: string | undefined;
}

const GRACE_MS = 24 * 60 * 60 * 1000;
/** The limit of a grace period. */
const MAX_GRACE_MS = 365 * 24 * 60 * 60 * 1000;

/** The rotations of a mesh: on request, and automatic ones according to the option `rotation`. */
export class Rotation implements RotatesKeys {
  readonly #native: NativeMesh;
  readonly #automatic: KeyRotation | undefined;

  /** @throws MeshError `INVALID_ARGUMENT`, reason `CONFIG`, naming the option */
  constructor(native: NativeMesh, { serviceId, rotation }: MeshConfig, logger: SafeLogger) {
    this.#native = native;
    if (rotation === undefined) return;
    this.#automatic = configured(() => {
      checkKeys('rotation', rotation, ['interval', 'autoRotate']);
      const rotationInterval = toMillis('rotation.interval', rotation.interval);
      if (rotationInterval < 1) throw invalidArgument('rotation.interval must be at least 1 ms');
      if (rotation.autoRotate !== true) return undefined;
      const given = native.givenKey;
      if (given !== null) {
        throw invalidArgument(
          `rotation.autoRotate replaces a key that the mesh keeps itself, and this one is given (${given}): ` +
            'replace it where it is given and start anew, or leave one of the two out',
        );
      }
      const onError = (error: Error): void =>
        logger.error('the rotation of the key failed and will be retried', {
          event: 'rotation.failed',
          error,
        });
      return new KeyRotation(serviceId, this, { rotationInterval, onError });
    });
  }

  /** Begins automatic rotation, if it is configured. */
  start(): void {
    this.#automatic?.start();
  }

  /** Ends automatic rotation. */
  stop(): void {
    this.#automatic?.stop();
  }

  /** Replaces the key. A rotation that is already running is shared. */
  rotate(): Promise<string> {
    return wrapNativeAsync(() => this.#native.rotateKey());
  }

  /** The thumbprint of the current key; empty before the mesh is initialized. */
  getThumbprint(): string {
    return wrapNative(() => this.#native.thumbprint()) ?? '';
  }

  /** Reads the certificate again. */
  reload(): Promise<string> {
    return wrapNativeAsync(() => this.#native.reloadIdentity());
  }

  /** Refuses a certificate, a name or a key. */
  async revoke(revocation: Revocation): Promise<number> {
    checkKeys('revocation', revocation, ['spiffeId', 'serial', 'issuer', 'thumbprint']);
    const { spiffeId, serial, issuer, thumbprint } = revocation;
    const given = [spiffeId, serial, thumbprint].filter((value) => value !== undefined);
    if (given.length !== 1) {
      throw invalidArgument('revocation must have one of spiffeId, serial and thumbprint');
    }
    if (issuer !== undefined && serial === undefined) {
      throw invalidArgument('revocation.issuer belongs to a serial');
    }
    const [what, value] =
      spiffeId !== undefined
        ? ['spiffeId', spiffeId]
        : serial !== undefined
          ? ['serial', serial]
          : ['thumbprint', thumbprint];
    checkText(`revocation.${what}`, value);
    if (issuer !== undefined) checkText('revocation.issuer', issuer);
    return wrapNativeAsync(() => this.#native.revoke(what, value, issuer));
  }

  /** Replaces the secret. */
  async rotateSecret(secret: string, options: RotateMeshSecretOptions = {}): Promise<void> {
    checkText('secret', secret);
    checkKeys('options', options, ['graceMs']);
    const graceMs = toMillis('options.graceMs', options.graceMs ?? GRACE_MS);
    if (graceMs > MAX_GRACE_MS) throw invalidArgument('options.graceMs must be a year at most');
    await wrapNativeAsync(() => this.#native.rotateSecret(secret, Math.ceil(graceMs)));
  }
}
