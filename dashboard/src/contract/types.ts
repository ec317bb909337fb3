// The JSON of the admin port. Times named `…At`, `at`, `since`, `ejectedUntil` and `not…` are Unix epoch
// milliseconds; `…Ms` are durations in milliseconds. Strings are escaped and clipped when they are parsed.

/** The upper bounds of the buckets of every duration histogram, in milliseconds; a last bucket has no bound. */
export const BOUNDS_MS: readonly number[] = [
  0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000,
];

export type Severity = 'critical' | 'warning' | 'info';
export type Kind = 'unary' | 'server-stream' | 'client-stream' | 'bidi';
export type State = 'starting' | 'ready' | 'draining' | 'closed';
export type Breaker = 'closed' | 'open' | 'half-open';
export type Direction = 'in' | 'out';

/** Counts since the start of a process; they only grow, except `inFlight`. */
export interface Figures {
  total: number;
  /** Calls with any code but OK. */
  failed: number;
  codes: Record<string, number>;
  /** Calls that took at most as long as each of `BOUNDS_MS`, and then all of them. */
  buckets: number[];
  sumMs: number;
  inFlight: number;
}

/** The calls of one method with one peer. */
export interface Flow extends Figures {
  peer: string;
  method: string;
  kind: Kind;
  lastAt: number;
}

/** An instance of another service, as one process sees it. */
export interface InstanceView {
  service: string;
  address: string;
  instance?: string | undefined;
  zone?: string | undefined;
  weight: number;
  source: string;
  connected: boolean;
  ewmaMs?: number | undefined;
  inFlight: number;
  /** The share of picks in the last minute, 0 to 1. */
  share: number;
  breaker: Breaker;
  ejectedUntil?: number | undefined;
  ageMs?: number | undefined;
}

export interface CertificateView {
  subject: string;
  issuer: string;
  serial: string;
  spiffeId?: string | undefined;
  notBefore: number;
  notAfter: number;
}

export interface SessionView {
  peer: string;
  direction: Direction;
  address: string;
  trust: string;
  suite: string;
  resumed: boolean;
  openedAt: number;
  epoch: number;
  streams: number;
  unsentBytes: number;
  stalled: number;
  spiffeId?: string | undefined;
  thumbprint: string;
  certificate?: CertificateView | undefined;
}

export interface Rule {
  name: string;
  from: string[];
  to: string[];
  deny: boolean;
}

export interface Policy {
  mode: 'enforce' | 'audit';
  rules: Rule[];
  file?: string | undefined;
  problem?: string | undefined;
}

export interface Denial {
  caller: string;
  method: string;
  rule: string;
  count: number;
  lastAt: number;
}

export interface Limit {
  name: string;
  used: number;
  max: number;
  unit: 'count' | 'bytes';
}

export interface Problem {
  severity: Severity;
  kind: string;
  subject: string;
  text: string;
  repair: string;
  since: number;
  /** The service that reports it; '' in a service's own report. */
  reporter: string;
}

export interface CallError {
  at: number;
  direction: Direction;
  peer: string;
  method: string;
  code: string;
  reason?: string | undefined;
  message: string;
  errorId?: string | undefined;
  traceId?: string | undefined;
}

/** One process, in its own words. */
export interface Report {
  service: string;
  instance: string;
  version: string;
  zone?: string | undefined;
  at: number;
  startedAt: number;
  state: State;
  address?: string | undefined;
  mode: string;
  tls: boolean;
  inbound: Flow[];
  outbound: Flow[];
  instances: InstanceView[];
  sessions: SessionView[];
  identity: { thumbprint: string; certificate?: CertificateView | undefined };
  policy?: Policy | undefined;
  denials: Denial[];
  limits: Limit[];
  problems: Problem[];
  errors: CallError[];
  eventLoopDelayMs?: number | undefined;
}

export interface MeshNode {
  service: string;
  report: 'self' | 'direct' | 'hearsay';
  /** Says why the service could not be asked. */
  unreachable?: string | undefined;
  /** What to do about that. */
  repair?: string | undefined;
  instances: Report[];
  seenBy: string[];
}

export interface Edge {
  from: string;
  to: string;
  figures: Figures;
  methods: Flow[];
  by: 'caller' | 'callee' | 'both';
}

/** GET /api/v1/mesh: what every process that answers has reported, merged. */
export interface MeshPicture {
  at: number;
  observer: string;
  nodes: MeshNode[];
  edges: Edge[];
  problems: Problem[];
  /** Sentences about members of the answer that were left out because there were too many. */
  leftOut: string[];
}

export interface Series {
  from: string;
  to: string;
  at: number[];
  rate: number[];
  failures: number[];
  p50: number[];
  p95: number[];
  p99: number[];
}

export interface MeshEvent {
  at: number;
  kind: string;
  service: string;
  subject: string;
  text: string;
}

/** GET /api/v1/history: one point for each step, oldest first. */
export interface History {
  stepMs: number;
  /** How much is kept, in milliseconds. */
  spanMs: number;
  series: Series[];
  events: MeshEvent[];
}

export interface LiveCall {
  at: number;
  direction: Direction;
  peer: string;
  method: string;
  code: string;
  reason?: string | undefined;
  ms: number;
  traceId?: string | undefined;
}
