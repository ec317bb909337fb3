// Tokens: signed by one service, verified by another.

import { isUint8Array } from 'node:util/types';
import { checkKeys, invalidArgument } from '../base/arguments.js';
import { bytesOf } from '../base/bytes.js';
import { MeshError, wrapNative } from '../base/errors.js';
import { native, type Addon } from '../base/native.js';
import { checkText, toMillis } from '../base/values.js';
import type { KeyPair } from './key-manager.js';

type NativeJwt = InstanceType<Addon['NativeJwt']>;
type NativeRsaIssuer = InstanceType<Addon['NativeRsaIssuer']>;
type NativeRsaVerifier = InstanceType<Addon['NativeRsaVerifier']>;
type NativeClaims = ReturnType<NativeJwt['verify']>;

const DEFAULT_AUDIENCE = 'secure-stack-mesh';
const DEFAULT_EXPIRES_IN = '1h';

/** The options of a {@link JWTManager}. */
export interface JWTManagerOptions {
  /**
   * The shared secret of all services that verify each other's tokens: at least 32 random bytes, as bytes or
   * as a string (UTF-8). Generate one with
   * `node -e "console.log(require('node:crypto').randomBytes(32).toString('base64url'))"`.
   * A shorter one is accepted, see {@link JWTManager.weakSecret}; an empty one is not. Default: a random
   * secret that only this object has.
   */
  secret?: string | Uint8Array;
  /**
   * The audience of the tokens (`aud`), the same for all services that verify them. Default:
   * `'secure-stack-mesh'`.
   */
  audience?: string;
  /** The lifetime of a token: milliseconds or a string such as `'15m'`. Default: `'1h'`. */
  expiresIn?: number | string;
}

/** The expected claims of a token; an omitted claim is not compared. */
export interface ExpectedToken {
  /** The service that must have issued the token (`iss`). */
  serviceId?: string;
  /** The session of the token (`sid`). */
  sessionId?: string;
}

/** Options of {@link JWTManager.rotateSecret}. */
export interface RotateSecretOptions {
  /** The new secret, as in {@link JWTManagerOptions.secret}. Default: a random secret. */
  secret?: string | Uint8Array;
  /**
   * The grace period in milliseconds, during which tokens of the previous secret are accepted; with 0 there
   * is no grace. Default: the lifetime of a token, so that every issued token stays valid until it expires.
   */
  graceMs?: number;
}

/** The claims of a token (RFC 7519); times are seconds since 1970. */
export interface TokenPayload {
  /** Issuer: the service that issued the token. */
  iss: string;
  /** Subject: the same service. */
  sub: string;
  /** Audience: the receiver of the token. */
  aud: string;
  /** Session id. */
  sid?: string;
  /** Issued at. */
  iat?: number;
  /** Not valid before. */
  nbf?: number;
  /** Expires at: from this second on the token is invalid. */
  exp?: number;
  /** The token's unique name. */
  jti?: string;
  /** The same as `iss`. */
  serviceId: string;
  /** The same as `sid`. */
  sessionId?: string;
  /** Further claims, in a payload that {@link JWTManager.decodeToken} returned. */
  [claim: string]: any;
}

/** The source of the services' RSA keys, for the API of 0.2.0; `KeyManager` is one. */
export interface KeyPairSource {
  /** Returns this service's own pair, PEM, and creates it if it is missing. */
  getOrCreateKeyPair(name: string): KeyPair;
  /** Returns another service's key, PEM, or `null`. Only the public half is used. */
  loadKeyPair(name: string): Pick<KeyPair, 'publicKey'> | null;
}

/**
 * Issues and verifies tokens: JWT (RFC 7519) in the strict reading of RFC 8725.
 *
 * Tokens are signed with HS256 under a shared secret. Anyone who knows the secret can issue a token in any
 * service's name, so a token proves membership, not the identity of a member. The algorithm and the type are
 * pinned, `iss` and `sub` are the sender, `aud` is one string, and a header with a reference (`jku`, `x5u`,
 * `jwk`, `crit`…) is rejected. The `kid` of a token is a digest of its secret, so that {@link rotateSecret}
 * invalidates no token early.
 *
 * @example
 * ```js
 * const jwt = new JWTManager({ secret: process.env.JWT_SECRET });
 * const token = jwt.generateToken('orders', 'session-1', '15m');
 * const { serviceId, sessionId } = jwt.verifyToken(token);
 * ```
 */
export class JWTManager {
  readonly #signer: SharedSecretSigner | RsaSigner;
  readonly #expiresIn: number | string;

  /**
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: the secret is empty, or an option is misspelt or
   *   has the wrong type
   */
  constructor(options?: JWTManagerOptions);
  /**
   * Creates a manager whose tokens are signed with the service's own RSA key (PS256) and verified with the
   * sender's public key.
   *
   * @param serviceId this service
   * @param keyManager the source of this service's pair, read for the first issued token, and of a sender's
   *   public key, read for the first token of that sender; both are cached
   * @deprecated The API of 0.2.0. Use `new JWTManager({ secret })`, or let `SecureMesh`
   *   authenticate calls: it binds each token to a session and a key.
   */
  constructor(serviceId: string, keyManager: KeyPairSource);
  constructor(first: JWTManagerOptions | string = {}, keyManager?: KeyPairSource) {
    if (typeof first === 'string') {
      this.#signer = new RsaSigner(first, keyManager);
      this.#expiresIn = DEFAULT_EXPIRES_IN;
      return;
    }
    checkKeys('options', first, ['secret', 'audience', 'expiresIn']);
    const { secret, audience = DEFAULT_AUDIENCE, expiresIn = DEFAULT_EXPIRES_IN } = first;
    if (typeof audience !== 'string' || audience === '') {
      throw invalidArgument('audience must be a non-empty string');
    }
    toMillis('expiresIn', expiresIn);
    this.#signer = new SharedSecretSigner(secret, audience);
    this.#expiresIn = expiresIn;
  }

  /**
   * Whether the secret is short, or evidently not random. Such a secret can be found by an exhaustive search,
   * given a single token; `SecureMesh` rejects it.
   */
  get weakSecret(): boolean {
    return this.#signer.weak;
  }

  /**
   * Issues a token.
   *
   * @param serviceId the issuing service: `iss` and `sub`
   * @param sessionId the session of the token: `sid`, 1 to 128 bytes
   * @param expiresIn the lifetime: milliseconds or a string such as `'15m'`, at least a second. Default: the
   *   option of the constructor, or `'1h'`
   * @throws MeshError `INVALID_ARGUMENT`: `serviceId` is outside the allowed alphabet (reason `ID_SYNTAX`),
   *   or another argument is invalid (reason `ARGUMENT`)
   */
  generateToken(serviceId: string, sessionId: string, expiresIn?: number | string): string;
  /**
   * @param targetServiceId the receiving service: `aud`
   * @param expiresIn the lifetime. Default: `'1h'`
   * @throws MeshError `INVALID_ARGUMENT`: the id (reason `ID_SYNTAX`), `expiresIn` (reason
   *   `ARGUMENT`) or the private key (reason `BAD_KEY`) is unusable
   * @deprecated The API of 0.2.0, for a manager with a service id and a key manager.
   */
  generateToken(targetServiceId: string, expiresIn?: number | string): string;
  generateToken(service: string, second?: number | string, third?: number | string): string {
    checkText(this.#signer instanceof RsaSigner ? 'targetServiceId' : 'serviceId', service);
    if (this.#signer instanceof RsaSigner) {
      return this.#signer.sign(service, toMillis('expiresIn', second ?? this.#expiresIn));
    }
    checkText('sessionId', second);
    return this.#signer.sign(service, second, toMillis('expiresIn', third ?? this.#expiresIn));
  }

  /**
   * Verifies form, signature, times and claims of a token, in this order.
   *
   * A token may appear to be issued up to 30 s in the future, for clocks that differ; its expiry has no leeway.
   *
   * @param expected the expected issuer and session. A string is the service's id. `null` and `undefined` are
   *   rejected, as an argument and as a property, so that an id that is missing by mistake does not accept
   *   every issuer
   * @throws MeshError `UNAUTHENTICATED` with one of the reasons `JWT_FORMAT`, `JWT_HEADER`, `JWT_ALG`,
   *   `JWT_TYP`, `JWT_SIG`, `SECRET_RETIRED`, `JWT_ISS`, `JWT_AUD`, `JWT_SID`, `JWT_EXP`, `JWT_NBF`,
   *   `CLOCK_SKEW`. `INVALID_ARGUMENT`, reason `ARGUMENT`: a given argument or property of `expected` has no
   *   value
   */
  verifyToken(token: string, expected?: ExpectedToken): TokenPayload;
  /**
   * @param sourceServiceId the expected issuer, with whose public key the token is verified
   * @throws MeshError `UNAUTHENTICATED`, as above; reason `UNKNOWN_PEER` if the key manager has no key of
   *   that service. `INVALID_ARGUMENT`, reason `BAD_KEY`, if the key is unusable
   * @deprecated The API of 0.2.0, for a manager with a service id and a key manager.
   */
  verifyToken(token: string, sourceServiceId: string): TokenPayload;
  verifyToken(token: string, ...more: [expected?: ExpectedToken | string]): TokenPayload {
    checkText('token', token);
    return toPayload(this.#signer.verify(token, toExpected(more)));
  }

  /**
   * Makes a new secret the current one. Tokens of the previous secret are accepted until `graceMs` is over,
   * and then rejected with the reason `SECRET_RETIRED`. The same limit ends the grace of every earlier
   * rotation: with `graceMs: 0` only the new secret is accepted. At most 8 previous secrets are kept at once.
   *
   * @throws MeshError `INVALID_ARGUMENT`: the secret is empty, or is or was in use here.
   *   `FAILED_PRECONDITION`: this manager signs with an RSA key
   */
  rotateSecret(options: RotateSecretOptions = {}): void {
    checkKeys('options', options, ['secret', 'graceMs']);
    const graceMs = toMillis('graceMs', options.graceMs ?? this.#expiresIn);
    this.#signer.rotate(options.secret, graceMs);
  }

  /**
   * Decodes a token **without verification**: for logs and debugging, never for a decision.
   *
   * @returns the claims, or `null` if the string is not a JWT
   */
  decodeToken(token: string): TokenPayload | null {
    if (typeof token !== 'string') return null;
    const segments = token.split('.');
    if (segments.length !== 3) return null;
    try {
      const claims: unknown = JSON.parse(
        Buffer.from(segments[1] as string, 'base64url').toString(),
      );
      if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) return null;
      const { iss, sid } = claims as { iss: string; sid?: string };
      const payload = { ...claims, serviceId: iss } as TokenPayload;
      if (sid !== undefined) payload.sessionId = sid;
      return payload;
    } catch {
      return null;
    }
  }

  /**
   * Whether a token has expired, has no expiry or is not a JWT. The signature is not verified, so `false`
   * does not mean that the token is valid.
   */
  isTokenExpired(token: string): boolean {
    const expiration = this.getTokenExpiration(token);
    return expiration === null || expiration.getTime() <= Date.now();
  }

  /** The unverified expiry of a token; `null` if it has none or is not a JWT. */
  getTokenExpiration(token: string): Date | null {
    const exp = this.decodeToken(token)?.exp;
    return typeof exp === 'number' && Number.isFinite(exp) ? new Date(exp * 1000) : null;
  }
}

/** HS256 under a shared secret. */
class SharedSecretSigner {
  readonly #audience: string;
  readonly #jwt: NativeJwt;

  constructor(secret: string | Uint8Array | undefined, audience: string) {
    this.#audience = audience;
    const bytes = toBytes(secret);
    this.#jwt = wrapNative(() => new (native().NativeJwt)(bytes));
  }

  get weak(): boolean {
    return this.#jwt.weakSecret;
  }

  sign(serviceId: string, sessionId: string, lifetimeMs: number): string {
    return wrapNative(() =>
      this.#jwt.issue(serviceId, this.#audience, sessionId, lifetimeMs, Date.now()),
    );
  }

  verify(token: string, { serviceId, sessionId }: ExpectedToken): NativeClaims {
    return wrapNative(() =>
      this.#jwt.verify(token, this.#audience, serviceId, sessionId, Date.now()),
    );
  }

  rotate(secret: string | Uint8Array | undefined, graceMs: number): void {
    const bytes = toBytes(secret);
    wrapNative(() => this.#jwt.rotate(bytes, graceMs, Date.now()));
  }
}

/** PS256 under the service's own key, for the API of 0.2.0. */
class RsaSigner {
  readonly weak = false;
  readonly #serviceId: string;
  readonly #keys: KeyPairSource;
  readonly #verifiers = new Map<string, { publicKey: string; verifier: NativeRsaVerifier }>();
  #issuer: NativeRsaIssuer | undefined;

  constructor(serviceId: string, keys: KeyPairSource | undefined) {
    if (typeof keys?.getOrCreateKeyPair !== 'function' || typeof keys.loadKeyPair !== 'function') {
      throw invalidArgument(
        'keyManager must have getOrCreateKeyPair and loadKeyPair, as a KeyManager has; ' +
          'to sign with a shared secret use new JWTManager({ secret })',
      );
    }
    this.#serviceId = serviceId;
    this.#keys = keys;
  }

  sign(target: string, lifetimeMs: number): string {
    const issuer = (this.#issuer ??= wrapNative(() => {
      const { privateKey } = this.#keys.getOrCreateKeyPair(this.#serviceId);
      return new (native().NativeRsaIssuer)(privateKey, this.#serviceId);
    }));
    return wrapNative(() => issuer.issue(target, lifetimeMs, Date.now()));
  }

  verify(token: string, { serviceId: source, sessionId }: ExpectedToken): NativeClaims {
    checkText('sourceServiceId', source);
    if (sessionId !== undefined) {
      throw invalidArgument('expected.sessionId: a token signed with an RSA key names no session');
    }
    const known = this.#verifiers.get(source);
    const check = (verifier: NativeRsaVerifier): NativeClaims =>
      wrapNative(() => verifier.verify(token, Date.now()));
    if (known === undefined) return check(this.#load(source).verifier);
    try {
      return check(known.verifier);
    } catch (error) {
      // The sender may have rotated its key, so the key is read again.
      if (!(error instanceof MeshError) || error.reason !== 'JWT_SIG') throw error;
      const fresh = this.#load(source);
      if (fresh.publicKey === known.publicKey) throw error;
      return check(fresh.verifier);
    }
  }

  rotate(): never {
    throw new MeshError(
      'FAILED_PRECONDITION',
      "this manager signs with the service's RSA key and has no secret; rotate the key instead",
      { reason: 'ARGUMENT' },
    );
  }

  #load(source: string): { publicKey: string; verifier: NativeRsaVerifier } {
    const publicKey = this.#keys.loadKeyPair(source)?.publicKey;
    if (typeof publicKey !== 'string') {
      throw new MeshError(
        'UNAUTHENTICATED',
        `the key manager has no public key of ${JSON.stringify(source)}; save it there first`,
        { reason: 'UNKNOWN_PEER' },
      );
    }
    const verifier = wrapNative(
      () => new (native().NativeRsaVerifier)(publicKey, source, this.#serviceId),
    );
    const loaded = { publicKey, verifier };
    this.#verifiers.set(source, loaded);
    return loaded;
  }
}

/**
 * Converts the expectation of a token. A missing value is rejected, so that a mistake does not silently
 * disable a check.
 */
function toExpected(more: [expected?: ExpectedToken | string]): ExpectedToken {
  if (more.length === 0) return {};
  const [expected] = more;
  if (typeof expected === 'string') return { serviceId: expected };
  if (expected === undefined || expected === null) {
    throw invalidArgument(
      `expected must be a service id or { serviceId, sessionId }, got ${expected}; leave it out to accept any sender`,
    );
  }
  checkKeys('expected', expected, ['serviceId', 'sessionId']);
  const wanted = { ...expected };
  if ('serviceId' in wanted) checkText('expected.serviceId', wanted.serviceId);
  if ('sessionId' in wanted) checkText('expected.sessionId', wanted.sessionId);
  return wanted;
}

function toPayload(claims: NativeClaims): TokenPayload {
  const { iss, sub, aud, sid, iat, nbf, exp, jti } = claims;
  const payload: TokenPayload = { iss, sub, aud, iat, nbf, exp, jti, serviceId: iss };
  return sid === undefined || sid === null ? payload : { ...payload, sid, sessionId: sid };
}

function toBytes(secret: string | Uint8Array | undefined): Uint8Array | undefined {
  if (secret === undefined) return undefined;
  if (isUint8Array(secret)) return bytesOf(secret);
  if (typeof secret === 'string') return Buffer.from(secret);
  throw invalidArgument(`secret must be a string or bytes, got ${typeof secret}`);
}
