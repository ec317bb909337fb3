// Generated from src/ by scripts/addon.mjs. Do not edit.
/** An authority in a directory. Its methods run off the event loop. */
export declare class NativeAuthority {
  /** Makes an authority in an empty directory. */
  static init(directory: string, options: NativeEstablishment): Promise<NativeAuthority>
  /** Opens the authority of a directory. */
  static open(directory: string): Promise<NativeAuthority>
  /** Issues a certificate for the key of a request, or for a new key. */
  issue(serviceId: string, request?: string | undefined | null, lifetime?: number | undefined | null): Promise<NativeIssued>
  /** Issues a certificate to the holder of a join token. */
  enrol(serviceId: string, token: string, request: string): Promise<NativeIssued>
  /** Issues another certificate to a service that has proved one. */
  renew(serviceId: string, request: string): Promise<NativeIssued>
  /** Revokes every certificate of a service. */
  revoke(serviceId: string): Promise<NativeRevoked[]>
  /** Revokes one certificate. */
  revokeSerial(serial: string): Promise<NativeRevoked[]>
  /** Replaces the issuer. */
  rotateIssuer(rootDirectory?: string | undefined | null): Promise<void>
  /** Replaces the root; the next issuer comes into use after `overlap` milliseconds. */
  rotateRoot(rootDirectory: string | undefined | null, overlap: number): Promise<void>
  /** The anchors and the revocation lists. */
  bundle(): Promise<NativeBundle>
  /** Makes a join token. */
  token(serviceId: string, uses: number, ttl: number): Promise<NativeInvitation>
  /** The state. */
  status(): Promise<NativeAuthorityStatus>
}

/** A breaker; times are milliseconds of a monotonic clock. */
export declare class NativeCircuitBreaker {
  /** Creates a closed breaker. */
  constructor(failures: number, failureRate: number, windowMs: number, openMs: number, probes: number)
  /** Admits a call, or throws `UNAVAILABLE`, reason `CIRCUIT_OPEN`. */
  acquire(now: number): NativeAdmission
  /**
   * Settles a permit with the outcome `success`, `failure` or `ignored`. Returns the new state if it has
   * changed.
   */
  settle(permit: number, outcome: string, now: number): string | null
  /** `closed`, `open` or `half_open`. */
  state(): string
  /** Closes the breaker. Returns the new state if it has changed. */
  reset(): string | null
}

/**
 * A service's keys and their operations. Before `begin` or `importKeyPair`
 * there are no keys; while they are generated, every method waits for them.
 * The caller must not change a buffer that it passes to an asynchronous
 * method.
 */
export declare class NativeCrypto {
  /**
   * Sizes in bits. The default of `rsaKeySize` is 4096, or the size of the
   * stored key.
   */
  constructor(rsaKeySize: number | undefined | null, aesKeySize: number)
  /**
   * Begins to generate the keys off the event loop: in memory, or, for a
   * service id, in the key directory. `false` if they exist or have been
   * begun.
   */
  begin(serviceId: string | undefined | null, keysDir: string | undefined | null, variables: string): boolean
  /** Resolves when the keys exist. */
  ready(): Promise<void>
  /** The current public key, PEM. */
  publicKey(): string
  /** The current public key's thumbprint (RFC 7638). */
  thumbprint(): string
  /** Seals `data` to a public key. */
  encrypt(data: Uint8Array, recipient: string): NativeEnvelope
  /** As `encrypt`, off the event loop. */
  encryptAsync(data: Buffer, recipient: string): Promise<NativeEnvelope>
  /** Opens an envelope, of 0.2.0 if `legacy`. */
  decrypt(envelope: NativeEnvelope, sender: string | undefined | null, legacy: boolean): Buffer
  /** As `decrypt`, off the event loop. */
  decryptAsync(envelope: NativeEnvelope, sender: string | undefined | null, legacy: boolean): Promise<Buffer>
  /** Encrypts a few bytes with RSA-OAEP-SHA256. */
  wrap(data: Uint8Array, recipient: string): Buffer
  /** As `wrap`, off the event loop. */
  wrapAsync(data: Buffer, recipient: string): Promise<Buffer>
  /** Decrypts an output of `wrap`. */
  unwrap(ciphertext: Uint8Array): Buffer
  /** As `unwrap`, off the event loop. */
  unwrapAsync(ciphertext: Buffer): Promise<Buffer>
  /** Signs with RSASSA-PSS. */
  sign(data: Uint8Array): Buffer
  /** As `sign`, off the event loop. */
  signAsync(data: Buffer): Promise<Buffer>
  /** Whether the owner of `publicKey` made `signature` over `data`. */
  verify(data: Uint8Array, signature: Uint8Array, publicKey: string): boolean
  /** As `verify`, off the event loop. */
  verifyAsync(data: Buffer, signature: Buffer, publicKey: string): Promise<boolean>
  /** HMAC-SHA256. */
  hmac(data: Uint8Array, key: Uint8Array): Buffer
  /** Whether `mac` is the full HMAC-SHA256, compared in constant time. */
  verifyHmac(data: Uint8Array, mac: Uint8Array, key: Uint8Array): boolean
  /** A fresh AES key of the configured size. */
  generateSessionKey(): Buffer
  /** The current key pair, PEM. */
  exportKeyPair(): NativeKeyPair
  /** Makes the given pair the current one. */
  importKeyPair(privateKey: string, publicKey?: string | undefined | null): void
  /**
   * Makes a fresh pair the current one, off the event loop; returns its
   * public key.
   */
  rotate(): Promise<string>
}

/** A table of services with a picker for each. */
export declare class NativeDiscovery {
  /** Creates an empty table. */
  constructor()
  /** Adds or replaces an instance; returns it if anything has changed. */
  register(instance: NativeInstance): NativeInstance | null
  /** Picks the next instance of those that serve. */
  pick(id: string): NativeInstance | null
  /** All instances of a service. */
  lookup(id: string): Array<NativeInstance>
  /** All instances of all services. */
  list(): Array<NativeInstance>
  /** Sets the health of one instance, or of all of them; returns the instances whose health has changed. */
  setHealth(id: string, host: string | undefined | null, port: number | undefined | null, health: string, now: number): Array<NativeInstance>
  /** Removes one instance, or all of them; returns the removed instances. */
  remove(id: string, host?: string | undefined | null, port?: number | undefined | null): Array<NativeInstance>
}

/** The certificate of one service. */
export declare class NativeEnrolment {
  /** The service that has the authority; nothing if this one has. */
  get service(): string | null
  /** The join token, if there is one. */
  get joinToken(): string | null
  /** Whether the join token has ended. */
  tokenHasEnded(): boolean
  /** The certificate that is there; nothing without one that peers accept. `chance` is a number from 0 to 1. */
  standing(chance: number): Promise<NativeStanding | null>
  /** Makes a key and a request for it, in PEM. */
  request(): Promise<string>
  /** Takes the answer to the request; `joined` if it was made with the join token. */
  accept(certificate: string, ca: string, crl: string, joined: boolean): Promise<void>
  /** Takes other anchors and lists. */
  trust(ca: string, crl: string): Promise<void>
  /** Has the authority of this machine issue the certificate for the request. */
  issueHere(request: string): Promise<NativeAnswer>
  /** The anchors and lists of the authority of this machine. */
  bundleHere(): Promise<NativeBundle>
}

/** HS256 tokens under a secret that can be rotated. */
export declare class NativeJwt {
  /** Uses the given secret, or a random one. */
  constructor(secret?: Uint8Array | undefined | null)
  /** Issues a token from `iss` for `aud`. */
  issue(iss: string, aud: string, sid: string, lifetimeMs: number, now: number): string
  /**
   * Returns the claims of a valid token; compares `iss` and `sid` if they
   * are given.
   */
  verify(token: string, aud: string, iss: string | undefined | null, sid: string | undefined | null, now: number): NativeClaims
  /** Makes a new secret the current one. */
  rotate(secret: Uint8Array | undefined | null, graceMs: number, now: number): void
  /** Whether the secret is short, or evidently not random. */
  get weakSecret(): boolean
}

/** Key pairs in a directory. */
export declare class NativeKeys {
  /**
   * `variables` is a JSON object of the environment variables that determine the default directory.
   * Without `keySize`, new keys have 4096 bits, and stored keys of any size are accepted. The constructor
   * opens nothing.
   */
  constructor(keysDir: string | undefined | null, variables: string, keySize?: number | undefined | null)
  /** Generates a key pair without storing it. */
  generate(): NativeKeyPair
  /** As `generate`, off the event loop. */
  generateAsync(): Promise<NativeKeyPair>
  /** Stores a pair, or another service's public key alone. */
  save(name: string, publicKey?: string | undefined | null, privateKey?: string | undefined | null): void
  /** As `save`, off the event loop. */
  saveAsync(name: string, publicKey?: string | undefined | null, privateKey?: string | undefined | null): Promise<void>
  /** Returns the stored pair; the private key is empty if only the public key is stored. */
  load(name: string): NativeKeyPair | null
  /** As `load`, off the event loop. */
  loadAsync(name: string): Promise<NativeKeyPair | null>
  /** Returns the stored pair, or generates and stores one. */
  getOrCreate(name: string): NativeKeyPair
  /** As `getOrCreate`, off the event loop. */
  getOrCreateAsync(name: string): Promise<NativeKeyPair>
}

/** A mesh. It takes batches of commands and returns batches of events. */
export declare class NativeMesh {
  /**
   * Checks the configuration and the `SECURE_MESH_…` variables, both given
   * as JSON. `onWake` is called when a batch can be taken. `network` is the
   * name of a network in memory, for tests. The mesh counts its events in
   * `metrics`. One that is `joining` only asks the authority for its first certificate.
   */
  constructor(config: string, variables: string, onWake: () => void, network?: string | undefined | null, metrics?: NativeMetrics | undefined | null, joining?: boolean | undefined | null)
  /** The certificate that this mesh gets from the built-in authority, if it does. */
  enrolment(): NativeEnrolment | null
  /** Lets newcomers with a token of this authority ask it here for their first certificate. */
  mountAuthority(authority: NativeAuthority): void
  /**
   * Reads the records of the authority again if another process or this one has changed them; resolves to
   * whether that was so.
   */
  refreshAuthority(): Promise<boolean>
  /** The option or variable that gave this service its key. Nothing if it makes its own. */
  get givenKey(): string | null
  /** Adds a port that has `/livez` and `/readyz` only. */
  addProbes(host: string, port: number): void
  /** The services of the option `discovery.services`, or of its variable; none once the mesh has started. */
  get services(): Array<NativeService>
  /** Whether the mesh makes and exports spans itself. False once it was started. */
  get exportsSpans(): boolean
  /** Notes the delay of the event loop, in seconds, for the page of metrics. */
  setEventLoopDelay(seconds: number): void
  /** Signs the text of a checkpoint of the audit log, also when the mesh is closed. */
  signAudit(text: string): Promise<NativeSeal>
  /** Generates or loads the keys, binds the port and serves. */
  start(): Promise<void>
  /**
   * The address on which the mesh listens; `null` before it has started, or
   * if it does not listen.
   */
  address(): NativeAddress | null
  /** The address of the admin port; `null` before the mesh has started, or without one. */
  adminAddress(): NativeAddress | null
  /** The figures in the text format of `OpenMetrics`; throws before the mesh has started. */
  metricsText(): string
  /** Tells what is wrong with a dependency, or that nothing is. Nothing happens before the mesh has started. */
  setReadiness(name: string, problem?: string | undefined | null): void
  /** Forgets a dependency. */
  forgetReadiness(name: string): void
  /** The application has told of its dependencies: from now on the process may be ready. */
  open(): void
  /** Breaks the inbound connections of a mesh on a network in memory. */
  sever(): void
  /** This service's RSA public key in PEM; throws before the mesh has started. */
  publicKey(): string
  /** The thumbprint of this service's key; `null` before the mesh has started. */
  thumbprint(): string | null
  /** Explains which rule decides about a request, and why; `metadata` is a JSON object of strings. */
  explain(from: string, spiffeId: string | undefined | null, method: string, metadata: string): NativeExplanation
  /** The state of the authorization policy; `null` before the mesh has started, or without one. */
  policy(): NativePolicyStatus | null
  /** Replaces this service's key; resolves to the new thumbprint. */
  rotateKey(): Promise<string>
  /**
   * Replaces the mesh secret; the previous one is accepted for another
   * `grace_ms`.
   */
  rotateSecret(secret: string, graceMs: number): Promise<void>
  /** Reads certificate, key, anchors and lists again; resolves to the thumbprint of the new mesh key. */
  reloadIdentity(): Promise<string>
  /**
   * Refuses a SPIFFE id or DNS name (`what` is `name`), a certificate by its serial number and issuer
   * (`serial`), or a certificate or mesh key by its hash (`thumbprint`). Resolves to how many sessions ended.
   */
  revoke(what: string, value: string, issuer?: string | undefined | null): Promise<number>
  /** Submits a batch of commands. */
  submit(batch: Buffer): void
  /** Sets the instances of a service, given as a JSON array. Returns how many there are. */
  setInstances(service: string, instances: string): number
  /** Tells whether the source of a service's instances is away. */
  setAway(service: string, away: boolean): void
  /**
   * Copies the next batch of events into `target` and returns its length; 0
   * if there is none. If the length exceeds that of `target`, nothing was
   * taken: call again with a larger one.
   */
  take(target: Buffer): number
  /** The memory that is held for peers and calls; `null` before the mesh has started. */
  memory(): NativeMemory | null
  /** The statistics of the mesh as JSON. */
  stats(): Promise<string>
  /**
   * Accepts no more requests, waits at most `drainMs` for running ones, ends
   * every pending call, and stops.
   */
  close(drainMs: number): Promise<void>
}

/** Counters and histograms. A mesh that receives this object counts in it. */
export declare class NativeMetrics {
  /** Creates counters at zero. */
  constructor()
  /** Counts an attempt to connect. */
  connection(success: boolean): void
  /** Counts the end of a connection. */
  connectionClosed(): void
  /** Counts a sent message. */
  sent(): void
  /** Counts a received message. */
  received(): void
  /** Counts a failed message. */
  failed(): void
  /** Records the latency of a call. */
  latency(ms: number): void
  /** Counts the decision of a quota about a request. */
  quota(allowed: boolean): void
  /** Counts a state change of a circuit breaker. */
  circuit(state: string): void
  /** Records the end of a call; a successful one has no `code`. */
  call(service: string, method: string, code: string | undefined | null, ms: number): void
  /** The figures as they are now. */
  snapshot(): NativeMetricsSnapshot
  /** The figures for Prometheus. */
  toText(): string
}

/** A source of instances. */
export declare class NativeProvider {
  /**
   * Checks the options, which are at `path`, and the `SECURE_MESH_…` variables, both given as JSON. `onTrouble` is
   * called with `{ trouble }` as JSON.
   */
  constructor(path: string, options: string, variables: string, onTrouble: (arg: string) => void)
  /**
   * Watches a service until `stop()`. `onEvent` is called with JSON: `{ instances }` for each list, `{ trouble }`,
   * `{ away }` when the source goes away or comes back, or `{ failed }` at the end of the watch.
   */
  watch(service: string, onEvent: (arg: string) => void): void
  /** Whether the service itself is registered here. */
  get registers(): boolean
  /** Registers this service: `own` is an instance as JSON. */
  register(service: string, own: string): Promise<void>
  /** Takes the registration back. */
  withdraw(): Promise<void>
  /** Ends all watches. */
  stop(): void
}

/** A request rate for each of a bounded number of callers. */
export declare class NativeQuota {
  /** Creates a limiter with full quotas. */
  constructor(requests: number, windowMs: number, blockMs: number, maxKeys: number)
  /** Takes a request from a caller's quota. */
  check(key: string, now: number): NativeDecision
  /** Restores a caller's full quota. */
  reset(key: string): void
  /** The number of remembered callers. */
  size(): number
}

/** The delays between attempts, and a limit on all retries together. */
export declare class NativeRetryPolicy {
  /** Without `budget_ratio` only the limit of each call applies. */
  constructor(maxAttempts: number, initialMs: number, maxMs: number, multiplier: number, jitter: boolean, budgetRatio: number | undefined | null, budgetReserve: number)
  /** Records the first attempt of a call. */
  begin(): void
  /**
   * Returns the milliseconds until the next attempt; `null` if there must be
   * none.
   */
  delay(attempt: number, retryAfterMs: number | undefined | null, random: number): number | null
}

/** PS256 tokens of one service. */
export declare class NativeRsaIssuer {
  /** Uses the service's private key in PEM. */
  constructor(privateKey: string, iss: string)
  /** Issues a token for `aud`. */
  issue(aud: string, lifetimeMs: number, now: number): string
}

/** Verifies the PS256 tokens of one service. */
export declare class NativeRsaVerifier {
  /** Verifies tokens from `iss`, whose public key is given in PEM, for `aud`. */
  constructor(publicKey: string, iss: string, aud: string)
  /** Returns the claims of a valid token. */
  verify(token: string, now: number): NativeClaims
}

/**
 * Formats an audit entry, given as JSON, as one line that is safe to display
 * and to store.
 */
export declare function auditLine(json: string): string

/** Throws if the argument `name` is not a service id. */
export declare function checkServiceId(name: string, id: string): void

/** Escapes every character of a string that could deceive the reader of a log. */
export declare function escapeText(text: string): string

/** The address on which a mesh listens. */
export interface NativeAddress {
  /** An IP address. */
  host: string
  /** A port. */
  port: number
}

/** The right to make a call, and the state change that it caused. */
export interface NativeAdmission {
  /** The permit, to be passed to `settle`. */
  permit: number
  /** The new state, if it has changed: `closed`, `open` or `half_open`. */
  entered?: string
}

/** An answer of the authority. */
export interface NativeAnswer {
  /** The certificate and its issuer, in PEM. */
  certificate: string
  /** The trust anchors and the revocation lists. */
  bundle: NativeBundle
}

/** The state of an authority. */
export interface NativeAuthorityStatus {
  /** The trust domain. */
  trustDomain: string
  /** SHA-256 of each root in hexadecimal digits. */
  roots: Array<string>
  /** The end of the issuer in milliseconds since 1970. */
  issuerExpiresAt: number
  /** The certificates that are valid. */
  issued: number
  /** Those of them that are revoked. */
  revoked: number
  /** The tokens that have uses left. */
  tokens: number
}

/** Trust anchors and revocation lists. */
export interface NativeBundle {
  /** The roots in PEM. */
  ca: string
  /** The lists in PEM. */
  crl: string
  /** A digest of what is trusted and what is revoked. */
  version: string
}

/** The claims of a token; times in seconds since 1970. */
export interface NativeClaims {
  /** Issuer. */
  iss: string
  /** Subject. */
  sub: string
  /** Audience. */
  aud: string
  /** Session id. */
  sid?: string
  /** Issued at. */
  iat: number
  /** Not before. */
  nbf: number
  /** Expires at. */
  exp: number
  /** Unique name. */
  jti: string
}

/** The decision about a request; times are milliseconds from now. */
export interface NativeDecision {
  /** Whether the request is allowed. */
  allowed: boolean
  /** The time to wait, if the request is not allowed. */
  retryAfterMs?: number
  /** The number of further requests that are allowed now. */
  remaining: number
  /** The time until the quota is full again. */
  resetMs: number
}

/** An envelope; the format is in `docs/envelope.md`. */
export interface NativeEnvelope {
  /** The format's version. */
  version: number
  /** Base64. */
  encryptedData: string
  /** Base64. */
  encryptedKey: string
  /** Base64. */
  iv: string
  /** Base64. */
  authTag: string
  /** Hexadecimal. */
  hmac: string
  /** Base64. */
  signature: string
}

/** The options of a new authority. */
export interface NativeEstablishment {
  /** The trust domain. */
  trustDomain: string
  /** The SPIFFE id of a service, with `{service}`. */
  template?: string
  /** The directory of the root's key. */
  rootDirectory?: string
  /** The lifetime of certificates in milliseconds. */
  lifetime?: number
}

/** A decision of the authorization policy with its reason. */
export interface NativeExplanation {
  /** Whether the caller may call the method. */
  allowed: boolean
  /** The rule that decides; absent for the default. */
  rule?: string
  /** A sentence about it. */
  why: string
}

/** One instance of a service. */
export interface NativeInstance {
  /** Service id. */
  id: string
  /** DNS name or IP address. */
  host: string
  /** TCP port. */
  port: number
  /** The registered string; it is not parsed here. */
  publicKey?: string
  /** Strings by name. */
  metadata: Record<string, string>
  /** `UNKNOWN`, `SERVING` or `NOT_SERVING`. */
  health?: string
  /** The time at which the health was set, in milliseconds since 1970. */
  checkedAt?: number
}

/** A join token. */
export interface NativeInvitation {
  /** The text. */
  token: string
  /** Its end in milliseconds since 1970. */
  expiresAt: number
}

/** A certificate that was issued. */
export interface NativeIssued {
  /** The certificate and its issuer, in PEM. */
  certificate: string
  /** Its private key, if it was made here. */
  key?: string
  /** Its serial number in hexadecimal digits. */
  serial: string
  /** Its end in milliseconds since 1970. */
  expiresAt: number
}

/** A key pair in PEM. */
export interface NativeKeyPair {
  /** `PUBLIC KEY`, SPKI. */
  publicKey: string
  /** `PRIVATE KEY`, PKCS#8. */
  privateKey: string
}

/** The memory that a mesh holds for peers and calls. */
export interface NativeMemory {
  /** Bytes that may be held. */
  limitBytes: number
  /** Bytes held now. */
  usedBytes: number
  /** The most that were held at once. */
  peakBytes: number
  /** Charges that were refused for want of room. */
  refused: number
}

/** The figures as they are now; times in milliseconds. */
export interface NativeMetricsSnapshot {
  /** Connections attempted. */
  connections: number
  /** Open connections. */
  connectionsActive: number
  /** Connections that failed. */
  connectionsFailed: number
  /** Messages sent. */
  sent: number
  /** Messages received. */
  received: number
  /** Messages that failed. */
  failed: number
  /** The mean of all latencies. */
  avgLatency: number
  /** The longest. */
  maxLatency: number
  /** The shortest. */
  minLatency: number
  /** Requests within their quota. */
  allowed: number
  /** Requests over their quota. */
  blocked: number
  /** Times a circuit closed. */
  closed: number
  /** Times a circuit opened. */
  open: number
  /** Times a circuit became half open. */
  halfOpen: number
}

/** The state of the authorization policy. */
export interface NativePolicyStatus {
  /** `enforce` or `audit`. */
  mode: string
  /** The number of rules. */
  rules: number
  /** The policy file, if there is one. */
  file?: string
  /** The fault of the policy file, while the previous policy is in force instead. */
  problem?: string
}

/** A certificate that was revoked. */
export interface NativeRevoked {
  /** The service that it names. */
  serviceId: string
  /** Its serial number in hexadecimal digits. */
  serial: string
}

/** A public key and a signature by it. */
export interface NativeSeal {
  /** SPKI, in base64url. */
  key: string
  /** RSASSA-PSS with SHA-256, in base64url. */
  signature: string
}

/** A service of the configuration. */
export interface NativeService {
  /** Its service id. */
  id: string
  /** The host; absent for a service that only calls. */
  host?: string
  /** The port, if there is a host. */
  port?: number
}

/** The certificate that is there; times in milliseconds since 1970. */
export interface NativeStanding {
  /** The time of its renewal. */
  renewAt: number
  /** From then on a third of its lifetime is left. */
  scarceAt: number
  /** Its end. */
  expiresAt: number
}

/** Returns the known word that is nearest to `word`, if one is near enough. */
export declare function nearestWord(word: string, words: Array<string>): string | null

/** Classifies a call that failed with `code`: `success`, `failure` or `ignored`. */
export declare function outcomeOfError(code: string): string

/** Converts a string such as `'15m'` to milliseconds. */
export declare function parseDuration(name: string, text: string): number
