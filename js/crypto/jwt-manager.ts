// Tokens: signed by one service, checked by another.

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

/** How a {@link JWTManager} signs. */
export interface JWTManagerOptions {
  /**
   * The secret all services that check each other's tokens share: at least 32
   * random bytes, as bytes or as text (UTF-8). Make one with
   * `node -e "console.log(require('node:crypto').randomBytes(32).toString('base64url'))"`.
   * A shorter one is accepted, see {@link JWTManager.weakSecret}; an empty one is not.
   * Default: a random one, known to this object alone.
   */
  secret?: string | Uint8Array;
  /** Who the tokens are for (`aud`), the same wherever they are checked. Default: `'secure-stack-mesh'`. */
  audience?: string;
  /** How long a token lives: milliseconds or `'15m'`. Default: `'1h'`. */
  expiresIn?: number | string;
}

/** Which token is acceptable; what is left out is not compared. */
export interface ExpectedToken {
  /** The service that must have made it (`iss`). */
  serviceId?: string;
  /** The session it must belong to (`sid`). */
  sessionId?: string;
}

/** How a secret is replaced. */
export interface RotateSecretOptions {
  /** The new secret, as in {@link JWTManagerOptions.secret}. Default: a random one. */
  secret?: string | Uint8Array;
  /**
   * How long tokens signed with the former secret still count, in milliseconds;
   * 0 ends them at once. Default: as long as a token lives, so that every token
   * out there lives to its own end.
   */
  graceMs?: number;
}

/** The claims of a token (RFC 7519); times are seconds since 1970. */
export interface TokenPayload {
  /** Issuer: the service that made the token. */
  iss: string;
  /** Subject: the same service. */
  sub: string;
  /** Audience: who the token is for. */
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

/** Where the RSA keys of services are kept, for the shape of 0.2.0; `KeyManager` is one. */
export interface KeyPairSource {
  /** This service's own pair, PEM, made if there is none. */
  getOrCreateKeyPair(name: string): KeyPair;
  /** Another service's key, PEM. Only the public half is looked at; `null` if it is not known. */
  loadKeyPair(name: string): Pick<KeyPair, 'publicKey'> | null;
}

/**
 * Makes and checks tokens: JWT (RFC 7519) in the strict reading of RFC 8725.
 *
 * Signed with HS256 under a shared secret. Whoever knows the secret can make
 * a token in any service's name: it proves membership, not which member. The
 * algorithm and the type are pinned, `iss` and `sub` are the sender, `aud` is
 * one text, and a header that points anywhere (`jku`, `x5u`, `jwk`, `crit`…)
 * is refused. A token also names the secret it was signed with (`kid`), by a
 * digest, so that {@link rotateSecret} disturbs nobody.
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
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: the secret is empty, or an option is
   *   misspelt or of another type
   */
  constructor(options?: JWTManagerOptions);
  /**
   * Tokens signed with the service's own RSA key (PS256) and checked with the
   * sender's public key.
   *
   * @param serviceId this service
   * @param keyManager asked for this service's pair at the first token made, and for a sender's
   *   public key at the first token of that sender; both are kept from then on
   * @deprecated The shape of 0.2.0. Use `new JWTManager({ secret })`, or let `SecureMesh`
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
      throw invalidArgument('audience must be a text that is not empty');
    }
    toMillis('expiresIn', expiresIn);
    this.#signer = new SharedSecretSigner(secret, audience);
    this.#expiresIn = expiresIn;
  }

  /**
   * Whether the secret has fewer than 32 bytes. Such a secret can be found by
   * trying, given a single token; `SecureMesh` refuses one.
   */
  get weakSecret(): boolean {
    return this.#signer.weak;
  }

  /**
   * Makes a token.
   *
   * @param serviceId the service that makes it: `iss` and `sub`
   * @param sessionId the session it belongs to: `sid`, 1 to 128 bytes
   * @param expiresIn how long it lives: milliseconds or `'15m'`, at least a second. Default: `'1h'`,
   *   or what the constructor was given
   * @throws MeshError `INVALID_ARGUMENT`: `serviceId` is outside the allowed alphabet (reason
   *   `ID_SYNTAX`), or another argument is wrong (reason `ARGUMENT`)
   */
  generateToken(serviceId: string, sessionId: string, expiresIn?: number | string): string;
  /**
   * @param targetServiceId the service it is for: `aud`
   * @param expiresIn how long it lives. Default: `'1h'`
   * @throws MeshError `INVALID_ARGUMENT`: the id (reason `ID_SYNTAX`), `expiresIn` (reason
   *   `ARGUMENT`) or the private key (reason `BAD_KEY`) is unusable
   * @deprecated The shape of 0.2.0, for a manager made with a service id and a key manager.
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
   * Checks form, signature, times and claims of a token, in this order.
   *
   * The clocks may differ by 30 s for a token to count as issued; it ends
   * exactly when it says.
   *
   * @param expected who must have made it, and for which session. A text is the service's id. What is
   *   given must be there: `null` and `undefined` are refused, as an argument and as a property, so
   *   that a name that is missing by mistake does not become "whoever it was"
   * @throws MeshError `UNAUTHENTICATED` with one of the reasons `JWT_FORMAT`, `JWT_HEADER`,
   *   `JWT_ALG`, `JWT_TYP`, `JWT_SIG`, `SECRET_RETIRED`, `JWT_ISS`, `JWT_AUD`, `JWT_SID`, `JWT_EXP`,
   *   `JWT_NBF`, `CLOCK_SKEW`. `INVALID_ARGUMENT`, reason `ARGUMENT`: `expected` lacks what it names
   */
  verifyToken(token: string, expected?: ExpectedToken): TokenPayload;
  /**
   * @param sourceServiceId the service that must have made it, by whose public key it is checked
   * @throws MeshError `UNAUTHENTICATED`, as above; reason `UNKNOWN_PEER` when the key manager has no
   *   key of that service. `INVALID_ARGUMENT`, reason `BAD_KEY`, when it has an unusable one
   * @deprecated The shape of 0.2.0, for a manager made with a service id and a key manager.
   */
  verifyToken(token: string, sourceServiceId: string): TokenPayload;
  verifyToken(token: string, ...more: [expected?: ExpectedToken | string]): TokenPayload {
    checkText('token', token);
    return toPayload(this.#signer.verify(token, toExpected(more)));
  }

  /**
   * Signs with another secret from now on. Tokens signed with the former one
   * count until `graceMs` are over; then they are refused with the reason
   * `SECRET_RETIRED`. The same limit ends the grace of every earlier rotation: with `graceMs: 0`
   * only the new secret counts. At most 8 previous secrets are kept at once.
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
   * Reads a token **without checking who made it**: for logs and debugging,
   * never for a decision.
   *
   * @returns the claims, or `null` if it is no JWT
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
   * Whether a token's time is over, or it says none or is no JWT. Its
   * signature is not checked: `false` does not mean that it is good.
   */
  isTokenExpired(token: string): boolean {
    const expiration = this.getTokenExpiration(token);
    return expiration === null || expiration.getTime() <= Date.now();
  }

  /** When a token says it expires, unchecked; `null` if it says nothing or is no JWT. */
  getTokenExpiration(token: string): Date | null {
    const exp = this.decodeToken(token)?.exp;
    return typeof exp === 'number' && Number.isFinite(exp) ? new Date(exp * 1000) : null;
  }
}

/** HS256 under a secret that others share. */
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

/** PS256 under the service's own key, as 0.2.0's shape asks. */
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
      // The sender may have a new key since.
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

/** What must hold of a token. What is asked for and missing must not be unchecked in silence. */
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
  throw invalidArgument(`secret must be a text or bytes, got ${typeof secret}`);
}
