// The options that the core reads. Generated from the tables in
// `crates/mesh-core/src/config` by `cargo run -p xtask -- codegen`. Do not edit.

import type { Duration } from '../base/values.js';
import type { AdvertisedAddress, ProviderOption } from '../discovery/provider.js';

/**
 * The options that the core reads: a service's name, where it listens, and the sections about
 * trust, discovery and limits.
 */
export interface CoreConfig {
  /** The service's name: letters, digits, `.`, `_`, `-`; 128 characters at most. */
  serviceId: string;
  /**
   * The port to listen on; 0 lets the system choose one. Environment: `SECURE_MESH_PORT`. Default:
   * nothing is listened on: the mesh only calls.
   */
  port?: number | undefined;
  /**
   * The address to listen on. Environment: `SECURE_MESH_HOST`. Default: loopback without security
   * options, all interfaces with a secret or a pinned key.
   */
  host?: string | undefined;
  /**
   * Whether several processes may listen on the port, such as the workers of `node:cluster`: the
   * system spreads connections over them (`SO_REUSEPORT`; on Linux, not on Windows). Each of them
   * sets it, and they share one key directory. Default: false.
   */
  reusePort?: boolean | undefined;
  /** Keys, tokens, sessions. */
  security?: SecurityConfig | undefined;
  /** The services that can be called. */
  discovery?: DiscoveryOptions | undefined;
  /** Rules that permit services to call methods of this one. */
  authorization?: AuthorizationConfig | undefined;
  /** How calls are spread over the instances of a service. */
  balancing?: BalancingConfig | undefined;
  /** The admin port. */
  admin?: AdminConfig | undefined;
  /** Bounds on what the mesh holds and accepts. */
  limits?: MeshLimits | undefined;
  /** Directories. */
  paths?: PathsConfig | undefined;
}

/** How keys, tokens and sessions are made. */
export interface SecurityConfig {
  /** The size of the RSA key in bits. Default: 4096. */
  rsaKeySize?: 2048 | 4096 | undefined;
  /** The size of the AES keys in bits. Default: 256. */
  aesKeySize?: 128 | 192 | 256 | undefined;
  /**
   * The secret shared by all services of the mesh: at least 32 bytes, 8 of them different, and no
   * short pattern repeated. Environment: `SECURE_MESH_JWT_SECRET`. Default: one made at the first
   * use and kept in the key directory, which only services of the same user on the same machine can
   * read.
   */
  jwtSecret?: string | undefined;
  /**
   * This service's RSA key, so that replicas share it and a new disk does not make a new service:
   * PEM (PKCS#8 or PKCS#1), or the absolute path of a file with it. The guide to containers says
   * which files are accepted. The key is neither stored nor logged, and `rotateKeys()` does not
   * replace it. The variable may hold it in one line with `\n` for the ends of lines. Environment:
   * `SECURE_MESH_PRIVATE_KEY`. Default: one that is made, and kept in the key directory.
   */
  privateKey?: string | undefined;
  /**
   * How long a token is valid, 1 s to 1 day. Environment: `SECURE_MESH_JWT_EXPIRATION`. Default: 1
   * hour.
   */
  jwtExpiration?: Duration | undefined;
  /**
   * How long an idle session stays open, 1 s to 30 days. Environment:
   * `SECURE_MESH_SESSION_TIMEOUT`. Default: 1 hour.
   */
  sessionTimeout?: Duration | undefined;
  /** How long a session lasts until it is replaced, busy or not, 1 s to 30 days. Default: 1 day. */
  sessionLifetimeMs?: Duration | undefined;
  /**
   * Whether a peer whose key is not the one it was first seen with is refused (`'enforce'`) or
   * accepted as long as it knows the secret (`'ignore'`). Pins always hold. Default: `'enforce'`.
   */
  peerKeys?: 'enforce' | 'ignore' | undefined;
  /** @deprecated Use `paths.keysDir`. */
  keysDir?: string | undefined;
  /** Certificates as the trust of this mesh. */
  certificate?: CertificateConfig | undefined;
  /**
   * During a migration: a weaker trust that is accepted beside certificates, and until when; one
   * element at most. A service that has once proved a certificate here is accepted by nothing less.
   * Default: none.
   */
  accept?: AcceptedTrustConfig[] | undefined;
  /**
   * TLS 1.3 beneath the streams. `'auto'`: with `security.certificate`, which carries it;
   * `'required'`: the same, and without one the start is refused; `'off'`: plain HTTP/2. An object
   * gives certificates that only carry TLS. A service with TLS refuses peers without it. Default:
   * `'auto'`.
   */
  tls?: 'auto' | 'required' | 'off' | TlsConfig | undefined;
}

/**
 * The certificate of this service, and the authorities that it trusts. With it, certificates are
 * the only trust: neither a secret nor pinned keys count. Each file is given as an absolute path or
 * as PEM. Files are watched: a mesh uses what is there a moment after it changes, and keeps the
 * previous contents while it is no good.
 */
export interface CertificateConfig {
  /** The certificate, and the intermediates behind it. Environment: `SECURE_MESH_CERT`. */
  cert?: string | undefined;
  /**
   * The private key of the certificate: ECDSA P-256 or P-384, Ed25519, or RSA of 2048 to 4096 bits,
   * not encrypted. The guide to containers says which files are accepted. Environment:
   * `SECURE_MESH_KEY`.
   */
  key?: string | undefined;
  /**
   * The trust anchors: certificates of authorities, old and new ones together during a rotation.
   * Environment: `SECURE_MESH_CA`.
   */
  ca?: string | undefined;
  /**
   * Revocation lists of these authorities and of their intermediates. Default: none: nothing is
   * looked up.
   */
  crl?: string | undefined;
  /**
   * Whether a certificate is refused or accepted with a warning if a list has expired, or if there
   * is none of its issuer. Without `crl` it has no effect. Default: `'refuse'`.
   */
  crlPolicy?: 'refuse' | 'warn' | undefined;
  /** The trust domain of the services, as in `shop.example`. Default: that of this certificate. */
  trustDomain?: string | undefined;
  /**
   * Whether certificates without a SPIFFE id name their service by a DNS name. Default: `'spiffe'`.
   */
  names?: 'spiffe' | 'dns' | undefined;
  /**
   * With `names: 'dns'`: the DNS name of a service is its id, or the id, `.` and this. Default: the
   * id alone.
   */
  dnsSuffix?: string | undefined;
  /**
   * Where the service id is in a SPIFFE id, as in `spiffe://shop.example/ns/prod/sa/{service}`.
   * Default: the last segment of a path that otherwise equals this certificate's.
   */
  id?: string | undefined;
}

/**
 * Certificates that carry TLS beneath a mesh whose trust is a secret or pinned keys. All of its
 * services need them: a service with TLS refuses connections without it. Files are watched.
 */
export interface TlsConfig {
  /**
   * The certificate, and the intermediates behind it. It names the service as
   * `security.certificate` says, or by a DNS name that equals the `serviceId`.
   */
  cert?: string | undefined;
  /** The private key of the certificate. */
  key?: string | undefined;
  /** The trust anchors for the certificates of the other services. */
  ca?: string | undefined;
}

/** A weaker trust that is accepted beside certificates during a migration. */
export interface AcceptedTrustConfig {
  /**
   * The trust: the common secret (`security.jwtSecret`), or the keys that `discovery.services`
   * pins.
   */
  trust: 'shared-secret' | 'pinned';
  /** The end: the first day, in UTC, on which it is accepted no more, as in `'2027-03-01'`. */
  until: string;
}

/** Where services are. */
export interface DiscoveryConfig {
  maxStaleMs?: Duration | undefined;
  /** The services that can be called, with their addresses. Default: none. */
  services?: ServiceConfig[] | undefined;
  /**
   * A source of instances for the services that `services` has no address of: `'file'`, `'dns'` or
   * `'etcd'` with its options beside it, an object with a function `watch`, or a `StaticDiscovery`.
   * It is asked at the first call of a service. Pins in `services` hold for what it reports.
   * Default: none.
   */
  provider?: ProviderOption | undefined;
  /** Several providers, 8 at most: the first one that knows an instance of a service counts. */
  providers?: readonly (ProviderOption | BuiltInProvider)[] | undefined;
  /**
   * Where others reach this service, for providers that register it. Needed where it listens on all
   * interfaces. Default: where it listens.
   */
  advertise?: AdvertisedAddress | undefined;
}

/**
 * Where a service is found, and by which key it is known. A service that only calls, and does not
 * listen, has a `publicKey` and neither `host` nor `port`.
 */
export interface ServiceConfig {
  /** The service's id. The same id may occur more than once: several instances. */
  id: string;
  /** Host name or address. */
  host?: string | undefined;
  /** TCP port, 1…65535. */
  port?: number | undefined;
  /**
   * The service's RSA public key, PEM (SPKI). With it the service is trusted by this key and no
   * other; without it, by the shared or the embedded secret.
   */
  publicKey?: string | undefined;
  /** The zone of this instance: see `balancing.zone`. */
  zone?: string | undefined;
  /** Its share of the calls beside those of the other instances, 1…65,535. Default: 1. */
  weight?: number | undefined;
  /** Further facts about the service. */
  metadata?: Record<string, string> | undefined;
  /** @deprecated Has no effect. */
  lastHealthCheck?: Date | undefined;
  /** @deprecated Has no effect. */
  status?: 'healthy' | 'unhealthy' | 'unknown' | undefined;
}

/**
 * A file as the source of instances, for `discovery.provider: 'file'`. It is followed: a change
 * takes effect on live calls. A file that is broken or missing changes nothing, and the log says
 * so.
 */
export interface FileProviderConfig {
  /** `'file'`. */
  provider: 'file';
  /** The file: a JSON array of `{ id, host, port, zone?, weight?, metadata? }`, at most 4 MiB. */
  path: string;
}

/**
 * DNS as the source of instances, for `discovery.provider: 'dns'`. Records are asked for again when
 * their time to live is over, at the earliest after a second. While no server answers, the last
 * instances stay.
 */
export interface DnsProviderConfig {
  /** `'dns'`. */
  provider: 'dns';
  /**
   * The domain in which services are: `'shop.example'` stands for `<service id>.shop.example`. With
   * `{service}` in it, it is the whole name, as in `'_grpc._tcp.{service}.prod.svc.cluster.local'`.
   */
  domain: string;
  /**
   * The type of the records. `'srv'`: service records (RFC 2782), with ports and weights; those of
   * the lowest priority number count. `'a'`: addresses of both families, with `port`. Default:
   * `'srv'`.
   */
  records?: 'srv' | 'a' | undefined;
  /** The port of all instances, 1…65535. Required with `records: 'a'`. Default: none. */
  port?: number | undefined;
  /**
   * The DNS server as `address` or `address:port`. Default: the servers of the operating system.
   */
  server?: string | undefined;
}

/**
 * etcd v3 as the source of instances, for `discovery.provider: 'etcd'`. Instances are keys below
 * `<prefix><service id>/`, each with a value such as `{"host":"10.0.0.7","port":50051}`. While etcd
 * is away, the last instances stay.
 */
export interface EtcdProviderConfig {
  /** `'etcd'`. */
  provider: 'etcd';
  /** The members of the cluster, 16 at most. Another one is tried when one fails. */
  endpoints: string[];
  ca?: string | undefined;
  /** The beginning of all keys. Default: `'/mesh/'`. */
  prefix?: string | undefined;
  /**
   * Whether this service registers itself, if it listens: under a lease that is kept alive, and
   * revoked first thing in `drain()`. Default: false.
   */
  register?: boolean | undefined;
  /** The time after which a service that crashed is no longer listed, 5 s to 1 h. Default: 15 s. */
  ttlMs?: Duration | undefined;
  /** The user, where etcd asks for one. Default: none. */
  user?: string | undefined;
  /** The password of `user`. Environment: `SECURE_MESH_ETCD_PASSWORD`. Default: none. */
  password?: string | undefined;
}

/** X */
export interface ConsulProviderConfig { provider: 'consul'; address?: string | undefined; token?: string | undefined; datacenter?: string | undefined; namespace?: string | undefined; tag?: string | undefined; ca?: string | undefined; register?: boolean | undefined; ttlMs?: Duration | undefined }
/** X */
export interface KubernetesProviderConfig { provider: 'kubernetes'; namespace?: string | undefined; portName?: string | undefined; address?: string | undefined; tokenFile?: string | undefined; ca?: string | undefined }
/** X */
export interface BulkheadConfig { maxCalls: number; maxQueue?: number | undefined }
/** X */
export interface ConcurrencyConfig { min?: number | undefined; initial?: number | undefined; max?: number | undefined }
/** X */
export interface CallerConfig { index: number; of: number }

/**
 * Which service may call which method here. Without it every service that has a session may call
 * every method, as far as the handler's `allow` permits.
 */
export interface AuthorizationConfig {
  /**
   * The decision about a request that no rule matches. Default: `'deny'` once there is a rule, else
   * `'allow'`.
   */
  default?: 'deny' | 'allow' | undefined;
  /**
   * Whether a denial takes effect (`'enforce'`) or is only logged, audited and counted (`'audit'`).
   * Default: `'enforce'`.
   */
  mode?: 'enforce' | 'audit' | undefined;
  /**
   * The rules, at most 10,000. A request is permitted if a rule matches it and no rule with `deny`
   * does. Default: none.
   */
  rules?: AuthorizationRule[] | undefined;
  /**
   * The absolute path of a policy file, instead of the options above: JSON with the same options, 4
   * MiB at most. The mesh follows its changes. A file that is missing or broken at the start is an
   * error; one that breaks later leaves the previous policy in force and shows in `healthCheck()`.
   */
  file?: string | undefined;
}

/** A rule about requests: who may call what. */
export interface AuthorizationRule {
  /**
   * The name of the rule in logs, metrics and errors: letters, digits, spaces, `.`, `_`, `-` and
   * `/`; 128 characters at most. Default: its place, as in `rules[3]`.
   */
  name?: string | undefined;
  /**
   * The callers: service ids, SPIFFE ids, SPIFFE ids that end in `/*` for everything below, or
   * `'*'` for every caller.
   */
  from: readonly string[];
  /** The methods: names, names that end in `.*` for everything below, or `'*'` for every method. */
  to: readonly string[];
  /**
   * Methods that this rule does not match, in the form of `to`. Other rules may still match them.
   * Default: none.
   */
  except?: readonly string[] | undefined;
  /** Further conditions, all of which must hold. Default: none. */
  when?: AuthorizationConditions | undefined;
  /**
   * Whether the rule denies what it matches. A denial outweighs every rule that permits. Default:
   * false.
   */
  deny?: boolean | undefined;
}

/** The further conditions of a rule. */
export interface AuthorizationConditions {
  /**
   * Metadata that the request must carry, with exactly these values. The caller states its
   * metadata; nothing proves it.
   */
  metadata: Record<string, string>;
}

/** How the calls of a service are spread over its instances. */
export interface BalancingConfig {
  /**
   * The choice of an instance. `'p2c'` compares two instances, drawn by their weights, and takes
   * the one with the lower latency × (calls in flight + 1); one that fails costs more.
   * `'round-robin'` takes them in turn, `'random'` draws one; both observe weights as well.
   * Default: `'p2c'`.
   */
  policy?: 'p2c' | 'round-robin' | 'random' | undefined;
  /**
   * The zone of this service. Instances of the same `zone` are preferred; calls spill over to
   * others when those are away, or take more than twice as long. Default: none: all instances are
   * alike.
   */
  zone?: string | undefined;
  /**
   * The time in which a new instance, or one that was ejected, grows from a tenth of its share of
   * the calls to the whole, 0 to 1 h. Default: 10 s.
   */
  slowStartMs?: Duration | undefined;
  /**
   * When an instance that fails more than the others is left out; `false` for never. Default: with
   * the defaults below.
   */
  ejection?: EjectionConfig | false | undefined;
  caller?: CallerConfig | undefined;
  /**
   * The most instances of one service that this service connects to, 1…1,000. Services choose
   * different ones; the others stand in when none of them can be used. Default: 32.
   */
  subset?: number | undefined;
}

/**
 * When an instance is ejected, that is, left out for a time. At most half of the instances of a
 * service are.
 */
export interface EjectionConfig {
  /** Failed calls in a row that eject an instance, 1…1,000. Default: 5. */
  consecutiveFailures?: number | undefined;
  /**
   * The share of failed calls, 0 to 1, by which an instance must exceed the other instances
   * together. Default: 0.1.
   */
  failureGap?: number | undefined;
  /** The window in which these shares are compared, 100 ms to 1 h. Default: 10 s. */
  windowMs?: Duration | undefined;
  /**
   * Calls that an instance and the others must each have had in the window for that, 1…1,000,000.
   * Default: 20.
   */
  minCalls?: number | undefined;
  /**
   * The time of a first ejection. The second one lasts twice as long, and so on. 1 ms to 1 h.
   * Default: 30 s.
   */
  baseMs?: Duration | undefined;
  /** The longest ejection, 1 ms to 1 day. Default: 300 s. */
  maxMs?: Duration | undefined;
  /** The share of usable instances, 0 to 1, below which ejections do not count. Default: 0.5. */
  panicThreshold?: number | undefined;
}

/**
 * The admin port: health, metrics and the state of the mesh over HTTP, for people, probes and
 * Prometheus. Without `port` there is none.
 */
export interface AdminConfig {
  /**
   * The port to listen on; 0 lets the system choose one. Environment: `SECURE_MESH_ADMIN_PORT`.
   * Default: no admin port.
   */
  port?: number | undefined;
  /**
   * The address to listen on. Any other than a loopback address needs a `token`. Default:
   * `'127.0.0.1'`.
   */
  host?: string | undefined;
  /**
   * The token that requests show, 16 to 256 printable characters: `Authorization: Bearer …`, or
   * once at the page. `/livez` and `/readyz` need none. Environment: `SECURE_MESH_ADMIN_TOKEN`.
   * Default: none: everybody on this machine may read.
   */
  token?: string | undefined;
  /**
   * Names by which browsers reach the port beside `localhost`, at most 32. Another `Host` is
   * refused, unless the request shows the token. Default: none.
   */
  hosts?: string[] | undefined;
  /** The directory that keeps the history over a restart. Default: an hour in memory. */
  history?: string | undefined;
}

/** Directories. */
export interface PathsConfig {
  /** @deprecated The protocol is built in: this is ignored, with a warning to the logger. */
  protoFile?: string | undefined;
  /**
   * The directory for this service's key pair, the embedded secret and the keys of known peers.
   * Environment: `SECURE_MESH_KEYS_DIR`. Default: `secure-stack-mesh` in the user's state directory
   * (`XDG_STATE_HOME`, `~/.local/state`).
   */
  keysDir?: string | undefined;
  /** The directory for the audit log, where `monitoring` has no adapters. */
  logsDir?: string | undefined;
  /** The directory for metrics beside that log. Default: they are not kept. */
  metricsDir?: string | undefined;
}

/** Bounds on what one mesh holds and accepts: on everything that a peer can make grow. */
export interface MeshLimits {
  /** The largest payload, either way, in bytes. Default: 4 MiB. */
  maxMessageBytes?: number | undefined;
  /**
   * The most that is held for peers and calls in all, in bytes: frames, requests, items, answers,
   * and what their JSON takes as values. One peer has half of it at most. At least 16 times
   * `maxMessageBytes`, and 4 MiB. Beyond it: `MEMORY_LIMIT`. Default: 256 MiB, or 16 times
   * `maxMessageBytes` if that is more.
   */
  maxMemoryBytes?: number | undefined;
  /** The most calls in flight on one session, each way. Default: 1,024. */
  maxConcurrentCalls?: number | undefined;
  /** The most calls this mesh has in flight in all. Default: 16,384. */
  maxPendingCalls?: number | undefined;
  /**
   * The most calls in a chain, each made by the handler of the previous one, 1…254. It ends a
   * circle of services that call one another: `CALL_DEPTH`, with the path. Default: 64.
   */
  maxCallDepth?: number | undefined;
  /** The most sessions accepted in all. Default: 10,000. */
  maxSessions?: number | undefined;
  /** The most sessions accepted from one service. Default: 64. */
  maxSessionsPerPeer?: number | undefined;
  /**
   * The most handshakes in progress. Four times as many streams may wait for their first message.
   * Default: 256.
   */
  maxPendingHandshakes?: number | undefined;
  /** The most handshakes in progress from one address. Default: 64. */
  maxPendingHandshakesPerAddress?: number | undefined;
  /**
   * The most TCP connections accepted. A quarter, at most 2,048, may have no session, and are
   * evicted for newcomers. Default: 12,000.
   */
  maxConnections?: number | undefined;
  /** The time a connection has for its handshake, or for a health check, in ms. Default: 10 s. */
  handshakeTimeoutMs?: number | undefined;
  /** The time a call has unless it says otherwise, in ms. Default: 10 s. */
  callTimeoutMs?: number | undefined;
}

/** A source of instances of the package, with its options. */
export type BuiltInProvider = FileProviderConfig | DnsProviderConfig | EtcdProviderConfig | ConsulProviderConfig | KubernetesProviderConfig;

/** The options of discovery. With a source of instances of the package, its options are among them. */
export type DiscoveryOptions =
  DiscoveryConfig | (Omit<DiscoveryConfig, 'provider' | 'providers'> & BuiltInProvider);

/** The limits without configuration. */
export const LIMITS = {
  maxMessageBytes: 4194304,
  maxConcurrentCalls: 1024,
  maxPendingCalls: 16384,
  maxCallDepth: 64,
  maxSessions: 10000,
  maxSessionsPerPeer: 64,
  maxPendingHandshakes: 256,
  maxPendingHandshakesPerAddress: 64,
  maxConnections: 12000,
  handshakeTimeoutMs: 10000,
  callTimeoutMs: 10000,
} as const;

/** The sections whose options JavaScript declares. */
export const OWN_SECTIONS = [
  'logger',
  'observe',
  'resilience',
  'monitoring',
  'rotation',
  'tracing',
] as const;
