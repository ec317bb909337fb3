// Generated from src/ by scripts/addon.mjs. Do not edit.
/** A breaker; times in milliseconds of a clock that never goes back. */
export declare class NativeCircuitBreaker {
  /** A closed one. */
  constructor(failures: number, failureRate: number, windowMs: number, openMs: number, probes: number)
  /** Lets a call through, or throws `UNAVAILABLE`, reason `CIRCUIT_OPEN`. */
  acquire(now: number): NativeAdmission
  /**
   * Takes a permit back: the outcome is `success`, `failure` or `ignored`. The new state, if
   * it is another.
   */
  settle(permit: number, outcome: string, now: number): string | null
  /** `closed`, `open` or `half_open`. */
  state(): string
  /** Closes it. The new state, if it is another. */
  reset(): string | null
}

/**
 * A service's keys, and what is done with them. Until `begin` or
 * `importKeyPair` there are none; while they are being made, every method
 * waits for them. Buffers given to asynchronous methods must not change.
 */
export declare class NativeCrypto {
  /** Sizes in bits. Without `rsaKeySize`, 4096 or what is stored. */
  constructor(rsaKeySize: number | undefined | null, aesKeySize: number)
  /**
   * Begins to make the keys, off the event loop: in memory, or, for a
   * service id, in the key directory. `false` if they are there or begun.
   */
  begin(serviceId: string | undefined | null, keysDir: string | undefined | null, variables: string): boolean
  /** Resolves when the keys are there. */
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
  /** Decrypts what `wrap` made. */
  unwrap(ciphertext: Uint8Array): Buffer
  /** As `unwrap`, off the event loop. */
  unwrapAsync(ciphertext: Buffer): Promise<Buffer>
  /** Signs with RSASSA-PSS. */
  sign(data: Uint8Array): Buffer
  /** As `sign`, off the event loop. */
  signAsync(data: Buffer): Promise<Buffer>
  /** Whether `signature` is that of the owner of `publicKey` over `data`. */
  verify(data: Uint8Array, signature: Uint8Array, publicKey: string): boolean
  /** As `verify`, off the event loop. */
  verifyAsync(data: Buffer, signature: Buffer, publicKey: string): Promise<boolean>
  /** HMAC-SHA256. */
  hmac(data: Uint8Array, key: Uint8Array): Buffer
  /** Whether `mac` is the whole HMAC-SHA256, in constant time. */
  verifyHmac(data: Uint8Array, mac: Uint8Array, key: Uint8Array): boolean
  /** A fresh AES key of the configured size. */
  generateSessionKey(): Buffer
  /** The current key pair, PEM. */
  exportKeyPair(): NativeKeyPair
  /** Makes a given pair the current one. */
  importKeyPair(privateKey: string, publicKey?: string | undefined | null): void
  /**
   * Makes a fresh pair the current one, off the event loop; returns its
   * public key.
   */
  rotate(): Promise<string>
}

/** A table of services with a picker for each. */
export declare class NativeDiscovery {
  /** An empty table. */
  constructor()
  /** Adds or replaces an instance; returns it where anything has changed. */
  register(instance: NativeInstance): NativeInstance | null
  /** The instance whose turn it is among those that serve. */
  pick(id: string): NativeInstance | null
  /** All instances of a service. */
  lookup(id: string): Array<NativeInstance>
  /** All instances of all services. */
  list(): Array<NativeInstance>
  /** Sets the health of one instance, or of all of them; returns those whose health was another. */
  setHealth(id: string, host: string | undefined | null, port: number | undefined | null, health: string, now: number): Array<NativeInstance>
  /** Removes one instance, or all of them; returns those removed. */
  remove(id: string, host?: string | undefined | null, port?: number | undefined | null): Array<NativeInstance>
}

/** HS256 tokens under a secret that can be rotated. */
export declare class NativeJwt {
  /** With the secret given, or a random one. */
  constructor(secret?: Uint8Array | undefined | null)
  /** A token of `iss` for `aud`. */
  issue(iss: string, aud: string, sid: string, lifetimeMs: number, now: number): string
  /** The claims of a good token; `iss` and `sid` are compared where given. */
  verify(token: string, aud: string, iss: string | undefined | null, sid: string | undefined | null, now: number): NativeClaims
  /** Signs with another secret from now on. */
  rotate(secret: Uint8Array | undefined | null, graceMs: number, now: number): void
  /** Whether the secret has fewer than 32 bytes. */
  get weakSecret(): boolean
}

/** Key pairs in a directory. */
export declare class NativeKeys {
  /**
   * `variables` are the environment variables that decide where keys are
   * kept when `keysDir` is absent, as a JSON object. Without `keySize`, keys
   * are made with 4096 bits and accepted with any. Nothing is opened yet.
   */
  constructor(keysDir: string | undefined | null, variables: string, keySize?: number | undefined | null)
  /** Makes a key pair and stores it nowhere. */
  generate(): NativeKeyPair
  /** As `generate`, off the event loop. */
  generateAsync(): Promise<NativeKeyPair>
  /** Stores a pair, or another service's public key alone. */
  save(name: string, publicKey?: string | undefined | null, privateKey?: string | undefined | null): void
  /** As `save`, off the event loop. */
  saveAsync(name: string, publicKey?: string | undefined | null, privateKey?: string | undefined | null): Promise<void>
  /** The stored pair; with an empty private key if only the public one is. */
  load(name: string): NativeKeyPair | null
  /** As `load`, off the event loop. */
  loadAsync(name: string): Promise<NativeKeyPair | null>
  /** The stored pair, made when there is none. */
  getOrCreate(name: string): NativeKeyPair
  /** As `getOrCreate`, off the event loop. */
  getOrCreateAsync(name: string): Promise<NativeKeyPair>
}

/** A mesh, driven by batches of commands and answering with batches of events. */
export declare class NativeMesh {
  /**
   * Checks the configuration, given as JSON, as are the `SECURE_MESH_…`
   * variables. `onWake` is called when there is something to `take`.
   * `network` names a network in memory to be on, for tests. In `metrics` the mesh counts what it does.
   */
  constructor(config: string, variables: string, onWake: () => void, network?: string | undefined | null, metrics?: NativeMetrics | undefined | null)
  /** Binds the port, makes or loads keys, and serves. */
  start(): Promise<void>
  /** Where the mesh listens; `null` before it has started, or if it only calls. */
  address(): NativeAddress | null
  /** Breaks the connections others have made to a mesh on a network in memory. */
  sever(): void
  /** This service's RSA public key in PEM; throws before the mesh has started. */
  publicKey(): string
  /** The thumbprint of this service's key; `null` before the mesh has started. */
  thumbprint(): string | null
  /** Replaces this service's key; resolves to the new thumbprint. */
  rotateKey(): Promise<string>
  /** Replaces the mesh secret; the former one counts for `grace_ms` more. */
  rotateSecret(secret: string, graceMs: number): Promise<void>
  /** Hands over a batch of commands. */
  submit(batch: Buffer): void
  /**
   * Copies the next batch of events into `target` and returns its length; 0
   * if there is none. More than `target` holds: nothing was taken, ask again
   * with a larger one.
   */
  take(target: Buffer): number
  /** The memory that is held for peers and calls; `null` before the mesh has started. */
  memory(): NativeMemory | null
  /** The mesh's figures as JSON. */
  stats(): Promise<string>
  /**
   * Takes no more requests, waits for those under way, at most `drainMs`,
   * ends every call still pending, and stops.
   */
  close(drainMs: number): Promise<void>
}

/** Counters and histograms. A mesh that is given them counts in them itself. */
export declare class NativeMetrics {
  /** All at zero. */
  constructor()
  /** A connection was made, or could not be. */
  connection(success: boolean): void
  /** A connection is over. */
  connectionClosed(): void
  /** A message was sent. */
  sent(): void
  /** A message was received. */
  received(): void
  /** A message failed. */
  failed(): void
  /** A call took this long. */
  latency(ms: number): void
  /** A request met its quota. */
  quota(allowed: boolean): void
  /** A circuit breaker changed its state. */
  circuit(state: string): void
  /** A call of a method ended, without `code` in success. */
  call(service: string, method: string, code: string | undefined | null, ms: number): void
  /** The figures as they are now. */
  snapshot(): NativeMetricsSnapshot
  /** The figures for Prometheus. */
  toText(): string
}

/** A request rate for each of a bounded number of callers. */
export declare class NativeQuota {
  /** With all quotas full. */
  constructor(requests: number, windowMs: number, blockMs: number, maxKeys: number)
  /** Takes a request off a caller's quota. */
  check(key: string, now: number): NativeDecision
  /** Gives a caller its whole quota back. */
  reset(key: string): void
  /** How many callers are remembered. */
  size(): number
}

/** Delays between tries, and a bound on retries in all. */
export declare class NativeRetryPolicy {
  /** Without `budget_ratio` there is no bound but that of each call. */
  constructor(maxAttempts: number, initialMs: number, maxMs: number, multiplier: number, jitter: boolean, budgetRatio: number | undefined | null, budgetReserve: number)
  /** A call is about to be made for the first time. */
  begin(): void
  /** Milliseconds until the next try, if there is one; `null` if there must be none. */
  delay(attempt: number, retryAfterMs: number | undefined | null, random: number): number | null
}

/** PS256 tokens of one service. */
export declare class NativeRsaIssuer {
  /** With the service's private key in PEM. */
  constructor(privateKey: string, iss: string)
  /** A token for `aud`. */
  issue(aud: string, lifetimeMs: number, now: number): string
}

/** Checks the PS256 tokens of one service. */
export declare class NativeRsaVerifier {
  /** For tokens of `iss`, whose public key in PEM is given, for `aud`. */
  constructor(publicKey: string, iss: string, aud: string)
  /** The claims of a good token. */
  verify(token: string, now: number): NativeClaims
}

/** An audit entry, given as JSON, as one line that is safe to show and to keep. */
export declare function auditLine(json: string): string

/** Throws when the argument `name` is no service id. */
export declare function checkServiceId(name: string, id: string): void

/** A text with everything visible that could deceive whoever reads it in a log. */
export declare function escapeText(text: string): string

/** Where a mesh listens. */
export interface NativeAddress {
  /** An IP address. */
  host: string
  /** A port. */
  port: number
}

/** The right to make a call, and what giving it has changed. */
export interface NativeAdmission {
  /** To be given back to `settle`. */
  permit: number
  /** The new state, if it is another: `closed`, `open` or `half_open`. */
  entered?: string
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

/** What becomes of a request; times in milliseconds from now. */
export interface NativeDecision {
  /** Whether it is allowed. */
  allowed: boolean
  /** How long to wait, where it is not. */
  retryAfterMs?: number
  /** How many more are allowed at once. */
  remaining: number
  /** Until the whole quota is there again. */
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

/** One instance of a service. */
export interface NativeInstance {
  /** Service id. */
  id: string
  /** Name or address. */
  host: string
  /** TCP port. */
  port: number
  /** Whatever text was registered. */
  publicKey?: string
  /** Texts by name. */
  metadata: Record<string, string>
  /** `UNKNOWN`, `SERVING` or `NOT_SERVING`. */
  health?: string
  /** When the health was set, in milliseconds since 1970. */
  checkedAt?: number
}

/** A key pair in PEM. */
export interface NativeKeyPair {
  /** `PUBLIC KEY`, SPKI. */
  publicKey: string
  /** `PRIVATE KEY`, PKCS#8. */
  privateKey: string
}

/** The figures as they are now; times in milliseconds. */
export interface NativeMetricsSnapshot {
  /** Connections attempted. */
  connections: number
  /** Connections there are now. */
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
  /** Requests beyond it. */
  blocked: number
  /** Times a circuit closed. */
  closed: number
  /** Times a circuit opened. */
  open: number
  /** Times a circuit became half open. */
  halfOpen: number
}

/** The word most like `word`, if one is close enough to be meant. */
export declare function nearestWord(word: string, words: Array<string>): string | null

/** What a call that failed with `code` says of the service: `success`, `failure` or `ignored`. */
export declare function outcomeOfError(code: string): string

/** The milliseconds that a text such as `'15m'` stands for. */
export declare function parseDuration(name: string, text: string): number

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
