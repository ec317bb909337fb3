// The built-in authority: it issues the certificates of a mesh.

import { checkKeys, invalidArgument } from '../base/arguments.js';
import { wrapNativeAsync } from '../base/errors.js';
import { native, type Addon } from '../base/native.js';
import { checkCount, checkText, toMillis, type Duration } from '../base/values.js';

type NativeAuthority = InstanceType<Addon['NativeAuthority']>;

/** Options of {@link CertificateAuthority.init}. */
export interface CertificateAuthorityOptions {
  /** The trust domain of the mesh, as in `shop.example`: the first part of every SPIFFE id. */
  trustDomain: string;
  /**
   * The SPIFFE id of a service, with the placeholder `{service}` for its id. Default:
   * `'spiffe://<trustDomain>/{service}'`.
   */
  template?: string | undefined;
  /**
   * The directory of the root's key. Only rotations need it, so it may be on a disk that is kept elsewhere.
   * Default: `root` in the directory of the authority.
   */
  rootDirectory?: string | undefined;
  /** The lifetime of the certificates of services, 1 minute to 90 days. Default: `'24h'`. */
  lifetime?: Duration | undefined;
}

/** Options of {@link CertificateAuthority.issue}. */
export interface IssueOptions {
  /**
   * A certificate signing request (PKCS #10) in PEM. Its key is certified; the names and extensions in it do not
   * count. Default: a new ECDSA P-256 key is made.
   */
  request?: string | undefined;
  /** The lifetime, 1 minute to 90 days. Default: that of the authority. */
  lifetime?: Duration | undefined;
}

/** A certificate of {@link CertificateAuthority.issue}. */
export interface IssuedCertificate {
  /** The certificate and behind it that of its issuer, in PEM: `security.certificate.cert`. */
  certificate: string;
  /** The private key in PEM, a secret: `security.certificate.key`. Absent if there was a request. */
  key?: string;
  /** The serial number, in hexadecimal digits. */
  serial: string;
  /** The end, in milliseconds since 1970. */
  expiresAt: number;
}

/** The selection of {@link CertificateAuthority.revoke}: one of two things. */
export interface RevokeOptions {
  /**
   * Every certificate of this service, and its join tokens. Nothing of it is renewed until it gets another
   * token.
   */
  serviceId?: string | undefined;
  /** One certificate, by its serial number in hexadecimal digits. */
  serial?: string | undefined;
}

/** A certificate that was revoked. */
export interface RevokedCertificate {
  /** The service that it names. */
  serviceId: string;
  /** Its serial number, in hexadecimal digits. */
  serial: string;
}

/** Options of {@link CertificateAuthority.rotate}. */
export interface RotateAuthorityOptions {
  /** Whether the root is replaced too. Default: `false`, the issuer alone. */
  root?: boolean | undefined;
  /**
   * With `root`: the time until the new root comes into use. Every service needs the new bundle by then.
   * Default: `'24h'`.
   */
  overlap?: Duration | undefined;
  /** The directory of the root's key. Default: `root` in the directory of the authority. */
  rootDirectory?: string | undefined;
}

/** The data by which services of a mesh check each other: {@link CertificateAuthority.bundle}. */
export interface TrustBundle {
  /** The trust anchors in PEM, two of them while the root is replaced: `security.certificate.ca`. */
  ca: string;
  /** The revocation lists in PEM, valid for four days: `security.certificate.crl`. */
  crl: string;
  /** A digest of what is trusted and what is revoked. It changes with these alone. */
  version: string;
}

/** Options of {@link CertificateAuthority.token}. */
export interface JoinTokenOptions {
  /**
   * The number of certificates for which it is valid, 1 to 100,000: one for each start on an empty
   * disk. Default: 1.
   */
  uses?: number | undefined;
  /** Its lifetime, up to 365 days. Default: `'1h'`. */
  ttl?: Duration | undefined;
}

/** A join token of {@link CertificateAuthority.token}. */
export interface JoinToken {
  /** The token, a secret. The authority keeps only a hash of it. */
  token: string;
  /** The end, in milliseconds since 1970. */
  expiresAt: number;
}

/** The state of an authority: {@link CertificateAuthority.status}. */
export interface CertificateAuthorityStatus {
  /** The trust domain. */
  trustDomain: string;
  /** SHA-256 of each root in the bundle, in hexadecimal digits. */
  roots: string[];
  /** The end of the issuer in use, in milliseconds since 1970. Rotate before it. */
  issuerExpiresAt: number;
  /** The number of certificates of services that are valid. */
  issued: number;
  /** The number of those that are revoked. */
  revoked: number;
  /** The number of join tokens that have uses left. */
  tokens: number;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const HOUR_MS = 60 * 60 * 1000;

/**
 * An authority for the certificates of a mesh, for those who have none: a directory with a root, an issuer below
 * it, and records of what was issued. The directory is closed to other users; several processes may use it at
 * once. Every method works off the event loop.
 *
 * ```ts
 * const authority = await CertificateAuthority.init('/var/lib/mesh-ca', { trustDomain: 'shop.example' });
 * const { certificate, key } = await authority.issue('orders');
 * const { ca, crl } = await authority.bundle();
 * ```
 *
 * All methods reject with a {@link MeshError}: reason `ARGUMENT` for an argument, `KEYDIR_…` for a directory or
 * file that other users can use, `AUTHORITY` for a state of the authority that forbids it.
 */
export class CertificateAuthority {
  readonly #native: NativeAuthority;
  readonly #directory: string;

  private constructor(authority: NativeAuthority, directory: string) {
    this.#native = authority;
    this.#directory = directory;
  }

  /**
   * Makes an authority: a root for ten years, and an issuer for one.
   *
   * @param directory the directory, which is made if it is missing
   * @throws MeshError `ALREADY_EXISTS`, reason `AUTHORITY`, if the directory has one
   */
  static async init(
    directory: string,
    options: CertificateAuthorityOptions,
  ): Promise<CertificateAuthority> {
    checkText('directory', directory);
    checkKeys('options', options, ['trustDomain', 'template', 'rootDirectory', 'lifetime']);
    const { trustDomain, template, rootDirectory, lifetime } = options;
    checkText('options.trustDomain', trustDomain);
    optionalText('options.template', template);
    optionalText('options.rootDirectory', rootDirectory);
    const millis = optionalMillis('options.lifetime', lifetime);
    const made = {
      trustDomain,
      ...(template === undefined ? {} : { template }),
      ...(rootDirectory === undefined ? {} : { rootDirectory }),
      ...(millis === undefined ? {} : { lifetime: millis }),
    };
    const { NativeAuthority } = native();
    return new this(await wrapNativeAsync(() => NativeAuthority.init(directory, made)), directory);
  }

  /**
   * Opens the authority of a directory.
   *
   * @throws MeshError `FAILED_PRECONDITION`, reason `AUTHORITY`, if the directory has none
   */
  static async open(directory: string): Promise<CertificateAuthority> {
    checkText('directory', directory);
    const { NativeAuthority } = native();
    return new this(await wrapNativeAsync(() => NativeAuthority.open(directory)), directory);
  }

  /** @internal The native half. */
  static native(authority: CertificateAuthority): NativeAuthority {
    return authority.#native;
  }

  /** The directory, as it was given. */
  get directory(): string {
    return this.#directory;
  }

  /**
   * Issues a certificate for a service.
   *
   * @throws MeshError reason `CERT_REQUEST` for a request that its own key did not sign, or a key that is not
   *   accepted
   */
  async issue(serviceId: string, options: IssueOptions = {}): Promise<IssuedCertificate> {
    checkText('serviceId', serviceId);
    checkKeys('options', options, ['request', 'lifetime']);
    const { request, lifetime } = options;
    optionalText('options.request', request);
    const millis = optionalMillis('options.lifetime', lifetime);
    const { certificate, key, serial, expiresAt } = await wrapNativeAsync(() =>
      this.#native.issue(serviceId, request, millis),
    );
    return { certificate, ...(typeof key === 'string' ? { key } : {}), serial, expiresAt };
  }

  /**
   * Revokes a service or one certificate. The services learn it with the next bundle.
   *
   * @returns the certificates that were revoked by this
   * @throws MeshError `NOT_FOUND`, reason `AUTHORITY`, if there is nothing to revoke
   */
  async revoke(which: RevokeOptions): Promise<RevokedCertificate[]> {
    checkKeys('options', which, ['serviceId', 'serial']);
    const { serviceId, serial } = which;
    if ((serviceId === undefined) === (serial === undefined)) {
      throw invalidArgument('options must have either serviceId or serial');
    }
    if (serviceId !== undefined) {
      checkText('options.serviceId', serviceId);
      return wrapNativeAsync(() => this.#native.revoke(serviceId));
    }
    checkText('options.serial', serial);
    return wrapNativeAsync(() => this.#native.revokeSerial(serial));
  }

  /**
   * Replaces the issuer, at once, or with `root` the root as well: its certificate is in the bundle at once and
   * comes into use after `overlap`; the previous root leaves the bundle with the last certificate that rests on it.
   *
   * @throws MeshError `FAILED_PRECONDITION`, reason `AUTHORITY`, if the root's key is not there, or while another
   *   root has not come into use
   */
  async rotate(options: RotateAuthorityOptions = {}): Promise<void> {
    checkKeys('options', options, ['root', 'overlap', 'rootDirectory']);
    const { root = false, overlap, rootDirectory } = options;
    optionalText('options.rootDirectory', rootDirectory);
    if (typeof root !== 'boolean') throw invalidArgument('options.root must be true or false');
    if (overlap !== undefined && !root) {
      throw invalidArgument(
        'options.overlap must be absent without root: an issuer is replaced at once',
      );
    }
    const millis = optionalMillis('options.overlap', overlap) ?? DAY_MS;
    await wrapNativeAsync(() =>
      root
        ? this.#native.rotateRoot(rootDirectory, millis)
        : this.#native.rotateIssuer(rootDirectory),
    );
  }

  /** The trust anchors and the revocation lists, the latter signed anew. */
  bundle(): Promise<TrustBundle> {
    return wrapNativeAsync(() => this.#native.bundle());
  }

  /** Makes a token with which a service gets its first certificate. A service that was revoked is admitted again. */
  async token(serviceId: string, options: JoinTokenOptions = {}): Promise<JoinToken> {
    checkText('serviceId', serviceId);
    checkKeys('options', options, ['uses', 'ttl']);
    const { uses = 1, ttl } = options;
    checkCount('options.uses', uses);
    const millis = optionalMillis('options.ttl', ttl) ?? HOUR_MS;
    return wrapNativeAsync(() => this.#native.token(serviceId, uses, millis));
  }

  /** The state of the authority. */
  status(): Promise<CertificateAuthorityStatus> {
    return wrapNativeAsync(() => this.#native.status());
  }
}

function optionalText(name: string, value: unknown): void {
  if (value !== undefined) checkText(name, value);
}

function optionalMillis(name: string, value: Duration | undefined): number | undefined {
  return value === undefined ? undefined : toMillis(name, value);
}
