// The options that the core reads. Generated from the tables in
// `crates/mesh-core/src/config` by `cargo run -p xtask -- codegen`. Do not edit.

import type { Duration } from '../base/values.js';
import type { AdvertisedAddress, ProviderOption } from '../discovery/provider.js';

/**
 * The options that the core reads: the name of the service, its address, and the sections about
 * trust, discovery and limits.
 */
export interface CoreConfig {
  /** The service's name: letters, digits, `.`, `_`, `-`; 128 characters at most. */
  serviceId: string;
  /**
   * The port to listen on; 0 lets the system choose one. Environment: `SECURE_MESH_PORT`. Default:
   * none: the mesh only calls and does not listen.
   */
  port?: number | undefined;
  /**
   * The address to listen on. Environment: `SECURE_MESH_HOST`. Default: loopback without security
   * options, all interfaces with a secret or a pinned key.
   */
  host?: string | undefined;
  /**
   * Whether several processes may listen on the port, such as the workers of `node:cluster`. The
   * system spreads connections over them (`SO_REUSEPORT`; on Linux, not on Windows). Each process
   * sets the option, and all share one key directory. Default: false.
   */
  reusePort?: boolean | undefined;
  /** Keys, tokens and sessions. */
  security?: SecurityConfig | undefined;
  /** The services that can be called. */
  discovery?: DiscoveryOptions | undefined;
  /** Rules that permit services to call methods of this one. */
  authorization?: AuthorizationConfig | undefined;
  /** The distribution of calls over the instances of a service. */
  balancing?: BalancingConfig | undefined;
  /** The admin port. */
  admin?: AdminConfig | undefined;
  /** Spans of calls, requests and handshakes. */
  tracing?: TracingConfig | undefined;
  /** Limits on everything that the mesh holds and accepts. */
  limits?: MeshLimits | undefined;
  /** Directories. */
  paths?: PathsConfig | undefined;
}

/** The options of keys, tokens and sessions. */
export interface SecurityConfig {
  /** The size of the RSA key in bits. Default: 4096. */
  rsaKeySize?: 2048 | 4096 | undefined;
  /** The size of the AES keys in bits. Default: 256. */
  aesKeySize?: 128 | 192 | 256 | undefined;
  /**
   * The secret that all services of the mesh share: at least 32 bytes, with at least 8 different
   * ones, and not a repetition of a short pattern. Environment: `SECURE_MESH_JWT_SECRET`. Default:
   * one that is made at the first use and kept in the key directory, which only services of the
   * same user on the same machine can read.
   */
  jwtSecret?: string | undefined;
  /**
   * This service's RSA key: PEM (PKCS#8 or PKCS#1), or the absolute path of a file with it. With
   * this option replicas share one key, and the service keeps its identity when it loses its disk.
   * The guide to containers lists the files that are accepted. The key is neither stored nor
   * logged, and `rotateKeys()` does not replace it. The variable may hold the PEM in one line, with
   * `\n` for the ends of lines. Environment: `SECURE_MESH_PRIVATE_KEY`. Default: one that is made
   * at the first use and kept in the key directory.
   */
  privateKey?: string | undefined;
  /**
   * The time for which a token is valid, 1 s to 1 day. Environment: `SECURE_MESH_JWT_EXPIRATION`.
   * Default: 1 hour.
   */
  jwtExpiration?: Duration | undefined;
  /**
   * The time for which an idle session stays open, 1 s to 30 days. Environment:
   * `SECURE_MESH_SESSION_TIMEOUT`. Default: 1 hour.
   */
  sessionTimeout?: Duration | undefined;
  /** The age at which a session is replaced, busy or not, 1 s to 30 days. Default: 1 day. */
  sessionLifetimeMs?: Duration | undefined;
  /**
   * The treatment of a peer whose key differs from its remembered key: `'enforce'` refuses it,
   * `'ignore'` accepts it if it knows the secret. Pins always hold. Default: `'enforce'`.
   */
  peerKeys?: 'enforce' | 'ignore' | undefined;
  /** @deprecated Use `paths.keysDir`. */
  keysDir?: string | undefined;
  /** Certificates as the only trust of this mesh. */
  certificate?: CertificateConfig | undefined;
  /**
   * For a migration: a weaker trust that is accepted beside certificates, and its end; one element
   * at most. A service that has once proved a certificate to this one needs a certificate from then
   * on. Default: none.
   */
  accept?: AcceptedTrustConfig[] | undefined;
  /**
   * TLS 1.3 beneath the streams. `'auto'` uses TLS if there is a `security.certificate`, with that
   * certificate; `'required'` is the same, and the start fails without a certificate; `'off'` is
   * plain HTTP/2. An object gives certificates that serve for TLS only. A service with TLS refuses
   * peers without it. Default: `'auto'`.
   */
  tls?: 'auto' | 'required' | 'off' | TlsConfig | undefined;
}

/**
 * The certificate of this service, and the authorities that it trusts. With it, certificates are
 * the only trust: neither a secret nor pinned keys count. Each option is the absolute path of a
 * file or PEM. Files are watched: the mesh uses a new content a moment after the change, and keeps
 * the previous one while the new one is invalid.
 */
export interface CertificateConfig {
  /** The certificate, and the intermediates behind it. Environment: `SECURE_MESH_CERT`. */
  cert?: string | undefined;
  /**
   * The private key of the certificate: ECDSA P-256 or P-384, Ed25519, or RSA of 2048 to 4096 bits,
   * not encrypted. The guide to containers lists the files that are accepted. Environment:
   * `SECURE_MESH_KEY`.
   */
  key?: string | undefined;
  /**
   * The trust anchors: the certificates of authorities. During a rotation, the previous and the
   * next ones together. Environment: `SECURE_MESH_CA`.
   */
  ca?: string | undefined;
  /**
   * Revocation lists of these authorities and of their intermediates. Default: none: revocation is
   * not checked.
   */
  crl?: string | undefined;
  /**
   * The treatment of a certificate whose issuer has no list, or an expired one: `'refuse'`, or
   * `'warn'`, which accepts it with a warning. Has no effect without `crl`. Default: `'refuse'`.
   */
  crlPolicy?: 'refuse' | 'warn' | undefined;
  /** The trust domain of the services, as in `shop.example`. Default: that of this certificate. */
  trustDomain?: string | undefined;
  /**
   * Whether certificates without a SPIFFE id name their service by a DNS name. Default: `'spiffe'`.
   */
  names?: 'spiffe' | 'dns' | undefined;
  /**
   * With `names: 'dns'`: the suffix of DNS names. The name of a service is then its id, `.` and
   * this suffix. Default: the id alone.
   */
  dnsSuffix?: string | undefined;
  /**
   * The form of SPIFFE ids, with the place of the service id, as in
   * `spiffe://shop.example/ns/prod/sa/{service}`. Default: the last segment of a path that
   * otherwise equals this certificate's.
   */
  id?: string | undefined;
  /**
   * The SPIFFE Workload API, from which this mesh gets its certificate by itself: instead of
   * `cert`, `key`, `ca` and `crl`. Either the socket of the agent, as in
   * `'unix:///run/spire/agent.sock'`, or `true` for the one that `SPIFFE_ENDPOINT_SOCKET` names.
   * Default: none.
   */
  workloadApi?: string | true | undefined;
  /**
   * The built-in authority, from which this mesh gets its certificate by itself: instead of `cert`,
   * `key`, `ca` and `crl`. Default: none.
   */
  authority?: EnrolmentConfig | undefined;
}

/**
 * Certificates for TLS beneath a mesh whose trust is a secret or pinned keys. All services of the
 * mesh need them, because a service with TLS refuses connections without it. Files are watched.
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

/**
 * Certificates that a mesh gets and renews by itself, from the built-in authority. They are kept in
 * the key directory. Neither files nor PEM are given beside it.
 */
export interface EnrolmentConfig {
  /**
   * The service that has mounted the authority (`certificateAuthority()`). It is one of
   * `discovery.services`, or a provider knows it. Default: none: `directory` has the authority.
   */
  service?: string | undefined;
  /**
   * A token of the authority for this service, for its first certificate. It is not used while the
   * key directory has a certificate that is valid. Environment: `SECURE_MESH_JOIN_TOKEN`. Default:
   * none.
   */
  joinToken?: string | undefined;
  /**
   * The directory of the authority itself, for the service that has mounted it. Default: none:
   * `service` has the authority.
   */
  directory?: string | undefined;
}

/** A weaker trust that is accepted beside certificates during a migration. */
export interface AcceptedTrustConfig {
  /**
   * The trust: the mesh secret (`security.jwtSecret`), or the keys that `discovery.services` pins.
   */
  trust: 'shared-secret' | 'pinned';
  /**
   * The end: the first day, in UTC, on which this trust is no longer accepted, as in
   * `'2027-03-01'`.
   */
  until: string;
}

/** The services, their addresses, and the sources that report them. */
export interface DiscoveryConfig {
  /**
   * The services that can be called, with their addresses. The variable has them as
   * `stock=stock:50052,orders=10.0.0.7:50051`, an IPv6 address in brackets. Environment:
   * `SECURE_MESH_SERVICES`. Default: none.
   */
  services?: ServiceConfig[] | undefined;
  /**
   * A source of instances for the services whose address is not in `services`: `'file'`, `'dns'`,
   * `'etcd'`, `'consul'` or `'kubernetes'` with its options beside it, an object with a function
   * `watch`, or a `StaticDiscovery`. The mesh watches a service from the first call to it. Pins in
   * `services` apply to the reported instances too. Default: none.
   */
  provider?: ProviderOption | undefined;
  /**
   * For how long the last list of a provider is used while its source is away, 1 s to 30 d. Then
   * calls of the service get `UNAVAILABLE`, reason `DISCOVERY_STALE`, until the source answers
   * again. Default: no limit.
   */
  maxStaleMs?: Duration | undefined;
  /**
   * Several providers, 8 at most. For each service the first provider that knows an instance
   * counts.
   */
  providers?: readonly (ProviderOption | BuiltInProvider)[] | undefined;
  /**
   * The address by which others reach this service, for providers that register it. Required if it
   * listens on all interfaces. Default: the address on which it listens.
   */
  advertise?: AdvertisedAddress | undefined;
}

/**
 * The address of a service, and its public key. A service that only calls, and does not listen, has
 * a `publicKey` and neither `host` nor `port`.
 */
export interface ServiceConfig {
  /** The service's id. Several entries with one id are several instances. */
  id: string;
  /** Host name or address. */
  host?: string | undefined;
  /** TCP port, 1…65535. */
  port?: number | undefined;
  /**
   * The service's RSA public key, PEM (SPKI). With it exactly this key is accepted; without it the
   * service proves itself by the shared or the embedded secret.
   */
  publicKey?: string | undefined;
  /** The zone of this instance: see `balancing.zone`. */
  zone?: string | undefined;
  /**
   * The share of the calls that this instance gets, relative to the weights of the others,
   * 1…65,535. Default: 1.
   */
  weight?: number | undefined;
  /** Further facts about the service. */
  metadata?: Record<string, string> | undefined;
  /** @deprecated Has no effect. */
  lastHealthCheck?: Date | undefined;
  /** @deprecated Has no effect. */
  status?: 'healthy' | 'unhealthy' | 'unknown' | undefined;
}

/**
 * A file as the source of instances, for `discovery.provider: 'file'`. The file is watched, and a
 * change takes effect without a restart. A broken or missing file leaves the last instances in
 * place and is logged.
 */
export interface FileProviderConfig {
  /** `'file'`. */
  provider: 'file';
  /** The file: a JSON array of `{ id, host, port, zone?, weight?, metadata? }`, at most 4 MiB. */
  path: string;
}

/**
 * DNS as the source of instances, for `discovery.provider: 'dns'`. Records are resolved again when
 * their time to live is over, at the earliest after a second. While no server answers, the last
 * instances stay.
 */
export interface DnsProviderConfig {
  /** `'dns'`. */
  provider: 'dns';
  /**
   * The domain of the services: `'shop.example'` stands for `<service id>.shop.example`. A value
   * with `{service}` is the whole name, as in `'_grpc._tcp.{service}.prod.svc.cluster.local'`.
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
  /** The members of the cluster, 16 at most. When one fails, the next is tried. */
  endpoints: string[];
  /**
   * The authorities behind the certificates of the members, a PEM file. For `https://`. Default:
   * those of the operating system.
   */
  ca?: string | undefined;
  /** The beginning of all keys. Default: `'/mesh/'`. */
  prefix?: string | undefined;
  /**
   * Whether this service registers itself, if it listens. The registration has a lease that is kept
   * alive; `drain()` revokes it before anything else. Default: false.
   */
  register?: boolean | undefined;
  /** The time after which a service that crashed is no longer listed, 5 s to 1 h. Default: 15 s. */
  ttlMs?: Duration | undefined;
  /** The user, if etcd requires one. Default: none. */
  user?: string | undefined;
  /** The password of `user`. Environment: `SECURE_MESH_ETCD_PASSWORD`. Default: none. */
  password?: string | undefined;
}

/**
 * Consul as the source of instances, for `discovery.provider: 'consul'`: the instances of the
 * Consul service with the service's id whose checks pass, followed by blocking queries. While
 * Consul is away, the last instances stay.
 */
export interface ConsulProviderConfig {
  /** `'consul'`. */
  provider: 'consul';
  /** The HTTP address of a Consul agent. Default: `'http://127.0.0.1:8500'`. */
  address?: string | undefined;
  /** The ACL token. Environment: `SECURE_MESH_CONSUL_TOKEN`. Default: none. */
  token?: string | undefined;
  /** The datacenter that is asked. Default: that of the agent. */
  datacenter?: string | undefined;
  /** The namespace (Consul Enterprise). Default: that of the token. */
  namespace?: string | undefined;
  /** Only instances with this tag count. Default: any. */
  tag?: string | undefined;
  /**
   * The authorities behind the agent's certificate, a PEM file. For `https://`. Default: those of
   * the operating system.
   */
  ca?: string | undefined;
  /**
   * Whether this service registers itself with the agent, if it listens: with a check that it keeps
   * passing, and deregistered first thing in `drain()`. Default: false.
   */
  register?: boolean | undefined;
  /** The time after which a service that crashed is no longer listed, 5 s to 1 h. Default: 15 s. */
  ttlMs?: Duration | undefined;
}

/**
 * Kubernetes as the source of instances, for `discovery.provider: 'kubernetes'`: the ready
 * endpoints of the `EndpointSlices` of the Kubernetes service with the service's id, watched
 * through the API server. The pod's service account needs `get`, `list` and `watch` of
 * `endpointslices` (`discovery.k8s.io`). While the API server is away, the last instances stay.
 */
export interface KubernetesProviderConfig {
  /** `'kubernetes'`. */
  provider: 'kubernetes';
  /** The namespace of the services. Default: that of the pod. */
  namespace?: string | undefined;
  /** The name of the port in the Kubernetes service. Default: its first port. */
  portName?: string | undefined;
  /** The address of the API server. Default: that in the variables of the pod. */
  address?: string | undefined;
  /**
   * The file with the token of the service account, which is read again before each question.
   * Default: that of the pod.
   */
  tokenFile?: string | undefined;
  /** The authorities behind the API server's certificate, a PEM file. Default: that of the pod. */
  ca?: string | undefined;
}

/**
 * The rules about which caller may call which method of this service. Without them every service
 * that has a session may call every method, as far as the handler's `allow` permits.
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

/** A rule about which callers may call which methods. */
export interface AuthorizationRule {
  /**
   * The name of the rule in logs, metrics and errors: letters, digits, spaces, `.`, `_`, `-` and
   * `/`; 128 characters at most. Default: its place, as in `rules[3]`.
   */
  name?: string | undefined;
  /**
   * The callers: service ids, SPIFFE ids, SPIFFE ids that end in `/*` for every id below, or `'*'`
   * for every caller.
   */
  from: readonly string[];
  /**
   * The methods: names, names that end in `.*` for every method below, or `'*'` for every method.
   */
  to: readonly string[];
  /**
   * Methods that this rule does not match, in the form of `to`. Other rules may still match them.
   * Default: none.
   */
  except?: readonly string[] | undefined;
  /** Further conditions, all of which must hold. Default: none. */
  when?: AuthorizationConditions | undefined;
  /**
   * Whether the rule denies the requests that it matches. A denial outweighs every rule that
   * permits. Default: false.
   */
  deny?: boolean | undefined;
}

/** The further conditions of a rule. */
export interface AuthorizationConditions {
  /**
   * Metadata that the request must carry, with exactly these values. The caller chooses its
   * metadata freely, so a condition proves nothing about the caller.
   */
  metadata: Record<string, string>;
}

/** The distribution of the calls of a service over its instances. */
export interface BalancingConfig {
  /**
   * The choice of an instance. `'p2c'` draws two instances by their weights and takes the one with
   * the lower latency × (calls in flight + 1); failures raise that cost. `'round-robin'` takes the
   * instances in turn, `'random'` draws one; both observe weights as well. Default: `'p2c'`.
   */
  policy?: 'p2c' | 'round-robin' | 'random' | undefined;
  /**
   * The zone of this service. Instances of the same `zone` are preferred. Calls spill over to other
   * zones when the instances of this zone are unavailable, or take more than twice as long.
   * Default: none: all instances are alike.
   */
  zone?: string | undefined;
  /**
   * The time in which a new instance, or one that was ejected, grows from a tenth of its share of
   * the calls to the whole, 0 to 1 h. Default: 10 s.
   */
  slowStartMs?: Duration | undefined;
  /**
   * The conditions under which an instance that fails more than the others is left out; `false` for
   * never. Default: with the defaults below.
   */
  ejection?: EjectionConfig | false | undefined;
  /**
   * The place of this process among the callers, where a service has more instances than `subset`.
   * Default: a place by chance.
   */
  caller?: CallerConfig | undefined;
  /**
   * The most instances of one service that this service connects to, 1…1,000. Each client draws
   * its own subset; the other instances are used when none of the subset can be. Default: 32.
   */
  subset?: number | undefined;
}

/**
 * The place of this process among the processes of its service, for `balancing.caller`: for example
 * the number of a pod of a `StatefulSet`, and its replicas. With it, the callers of a service with
 * more instances than `balancing.subset` spread over them evenly: each instance has the same number
 * of callers, or one more.
 */
export interface CallerConfig {
  /** The number of this process, from 0. */
  index: number;
  /** How many processes there are, 1…1,000,000. */
  of: number;
}

/**
 * The conditions under which an instance is ejected, that is, gets no calls for a time. At most
 * half of the instances of a service are ejected at once.
 */
export interface EjectionConfig {
  /** Failed calls in a row that eject an instance, 1…1,000. Default: 5. */
  consecutiveFailures?: number | undefined;
  /**
   * The difference, 0 to 1, by which the failure rate of an instance must exceed that of the other
   * instances together. Default: 0.1.
   */
  failureGap?: number | undefined;
  /** The window in which failure rates are compared, 100 ms to 1 h. Default: 10 s. */
  windowMs?: Duration | undefined;
  /**
   * The calls that the instance, and the others together, must each have had in the window before
   * rates are compared, 1…1,000,000. Default: 20.
   */
  minCalls?: number | undefined;
  /**
   * The duration of the first ejection, 1 ms to 1 h. Each further one is twice as long as the one
   * before it. Default: 30 s.
   */
  baseMs?: Duration | undefined;
  /** The longest ejection, 1 ms to 1 day. Default: 300 s. */
  maxMs?: Duration | undefined;
  /** The share of usable instances, 0 to 1, below which ejections are disregarded. Default: 0.5. */
  panicThreshold?: number | undefined;
}

/**
 * The most calls that this service has under way at each of the services that it calls, for
 * `resilience.bulkhead`: a slow service cannot take up the memory and the patience that the calls
 * of others need. Calls beyond wait in a queue, critical ones first and sheddable ones last. When
 * the queue is full, a sheddable call gives way to another one; else the newest gets
 * `RESOURCE_EXHAUSTED`, reason `CALL_LIMIT`.
 */
export interface BulkheadConfig {
  /** The most calls under way at one service, 1…1,000,000. */
  maxCalls: number;
  /** The most calls of one service that wait, 0…1,000,000. Default: 1,000. */
  maxQueue?: number | undefined;
}

/**
 * An adaptive limit on the requests that this service has under way, for `resilience.concurrency`.
 * It follows the gradient of latency: it grows while requests take no longer than without load, and
 * shrinks as they take longer. Requests beyond it are refused at once, with `RESOURCE_EXHAUSTED`,
 * reason `SHED`, and their callers ask another instance. Sheddable requests leave a fifth of it to
 * the others; critical ones have a quarter more.
 */
export interface ConcurrencyConfig {
  /** The least that the limit becomes, 1…1,000,000. Default: 4. */
  min?: number | undefined;
  /** The limit at the start. Default: 20, or the nearest to it between `min` and `max`. */
  initial?: number | undefined;
  /** The most that the limit becomes. Default: 1,000. */
  max?: number | undefined;
}

/**
 * The admin port: health, metrics and the state of the mesh over HTTP, for people, probes and
 * Prometheus. It is off without `port`.
 */
export interface AdminConfig {
  /**
   * The port to listen on; 0 lets the system choose one. Environment: `SECURE_MESH_ADMIN_PORT`.
   * Default: no admin port.
   */
  port?: number | undefined;
  /**
   * The address to listen on. An address other than loopback requires a `token`, or client
   * certificates (`tls.clientCa`). Default: `'127.0.0.1'`.
   */
  host?: string | undefined;
  /**
   * The token that requests must show, 16 to 256 printable characters, as `Authorization: Bearer
   * …`, or once in the sign-in of the page. `/livez` and `/readyz` need none. Environment:
   * `SECURE_MESH_ADMIN_TOKEN`. Default: none: everybody on this machine may read.
   */
  token?: string | undefined;
  /**
   * Names by which browsers reach the port beside `localhost`, at most 32. A request with another
   * `Host` is refused unless it shows the token. Default: none.
   */
  hosts?: string[] | undefined;
  /**
   * The directory in which the history of seven days, also survives a restart. Default: an hour in
   * memory.
   */
  history?: string | undefined;
  /** TLS on the port. Without it the port speaks plain HTTP. */
  tls?: AdminTlsConfig | undefined;
}

/** TLS 1.3 on the admin port, which reads changed files again. */
export interface AdminTlsConfig {
  /** The certificate, and the intermediates behind it: PEM, or the absolute path of a file. */
  cert: string;
  /**
   * The private key of the certificate. Nobody but root and the user of the process may read its
   * file.
   */
  key: string;
  /**
   * The authorities of client certificates: PEM, or the absolute path of a file. A client
   * certificate replaces the token, and a request without either is refused. `/livez` and `/readyz`
   * need neither. Default: no client certificates.
   */
  clientCa?: string | undefined;
}

/**
 * Spans of calls, requests and handshakes. Without `otlp` they are those of `@opentelemetry/api`,
 * if the application has it and registers an SDK. With `otlp` the mesh makes, samples and exports
 * them itself.
 */
export interface TracingConfig {
  /**
   * The collector that gets the spans by OTLP/HTTP (protobuf), for programs without an SDK of
   * OpenTelemetry: an `http://` or `https://` URL. `/v1/traces` is added unless the path ends with
   * it. Environment: `SECURE_MESH_OTLP`. Default: no export by the mesh.
   */
  otlp?: string | undefined;
  /**
   * The share of new traces that are exported by `otlp`, from 0 to 1. A call that continues a trace
   * follows the decision of that trace. Default: 1.
   */
  sample?: number | undefined;
  /** Headers of the requests to `otlp`, such as a token: at most 16. Never shown. Default: none. */
  headers?: Record<string, string> | undefined;
  /**
   * The trust anchors for an `https://` collector. A file is read at each connection. Default:
   * those of the system.
   */
  ca?: string | undefined;
  /**
   * Whether the mesh makes spans. `true` without `otlp` needs `@opentelemetry/api`. Default: true
   * with `otlp` or if that package is installed.
   */
  enabled?: boolean | undefined;
}

/** Directories. */
export interface PathsConfig {
  /** @deprecated Has no effect but a warning to the logger: the protocol is built in. */
  protoFile?: string | undefined;
  /**
   * The directory for this service's key pair, the embedded secret and the keys of known peers.
   * Environment: `SECURE_MESH_KEYS_DIR`. Default: `secure-stack-mesh` in the user's state directory
   * (`XDG_STATE_HOME`, `~/.local/state`).
   */
  keysDir?: string | undefined;
  /** The directory for the audit log, if `monitoring` has no adapters. */
  logsDir?: string | undefined;
  /** The directory for metrics beside that log. Default: metrics are not kept. */
  metricsDir?: string | undefined;
}

/** Limits on everything that one mesh holds and accepts, and that a peer can make grow. */
export interface MeshLimits {
  /** The largest payload in either direction, in bytes. Default: 4 MiB. */
  maxMessageBytes?: number | undefined;
  /**
   * The memory budget, in bytes: the most that is held for all peers and calls together. It counts
   * frames, requests, items and answers, and their JSON as values. One peer has half of it at most.
   * At least 4 MiB, and at least 16 times `maxMessageBytes`. Beyond it: `MEMORY_LIMIT`. Default:
   * 256 MiB, or 16 times `maxMessageBytes` if that is more.
   */
  maxMemoryBytes?: number | undefined;
  /** The most calls in flight on one session, in each direction. Default: 1,024. */
  maxConcurrentCalls?: number | undefined;
  /** The most calls this mesh has in flight in all. Default: 16,384. */
  maxPendingCalls?: number | undefined;
  /**
   * The most calls in a chain, each made by the handler of the previous one, 1…254. Beyond it:
   * `CALL_DEPTH`, with the path. The limit breaks a cycle of services that call one another.
   * Default: 64.
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
   * The most TCP connections accepted. A quarter of them, at most 2,048, may be without a session;
   * newcomers evict those. Default: 12,000.
   */
  maxConnections?: number | undefined;
  /**
   * The time that a connection has for its handshake, or for a health check, in ms. Default: 10 s.
   */
  handshakeTimeoutMs?: number | undefined;
  /** The time that a call has unless it sets its own `timeoutMs`, in ms. Default: 10 s. */
  callTimeoutMs?: number | undefined;
}

/** A source of instances of the package, with its options. */
export type BuiltInProvider =
  | FileProviderConfig
  | DnsProviderConfig
  | EtcdProviderConfig
  | ConsulProviderConfig
  | KubernetesProviderConfig;

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
export const OWN_SECTIONS = ['logger', 'observe', 'resilience', 'monitoring', 'rotation'] as const;
