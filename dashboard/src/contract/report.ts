// The report of one process: parsed, bounded, never refused as a whole.
import {
  choice,
  flag,
  list,
  maybeNumber,
  maybeString,
  moment,
  number,
  object,
  string,
} from './read';
import {
  BOUNDS_MS,
  type CallError,
  type CertificateView,
  type Denial,
  type Figures,
  type Flow,
  type InstanceView,
  type Limit,
  type Policy,
  type Problem,
  type Report,
  type Rule,
  type SessionView,
} from './types';

/** The most rows of each list of a report that the page keeps. */
export const MAX_ROWS = 1000;
const MAX_CODES = 32;
const MAX_NAMES = 100;

const strings = (value: unknown, max = MAX_NAMES): string[] => list(value, max, (x) => string(x));

/** Reads counts; buckets that are missing or shrink are raised to the one before. */
export function figures(value: unknown): Figures {
  const raw = object(value);
  const total = number(raw['total']);
  const given = Array.isArray(raw['buckets']) ? raw['buckets'] : [];
  const buckets: number[] = [];
  let least = 0;
  for (let i = 0; i <= BOUNDS_MS.length; i++) {
    least = Math.max(least, number(given[i], least));
    buckets.push(least);
  }
  const codes = Object.entries(object(raw['codes'])).slice(0, MAX_CODES);
  return {
    total,
    failed: Math.min(total, number(raw['failed'])),
    codes: Object.fromEntries(codes.map(([code, count]) => [string(code, '', 60), number(count)])),
    buckets,
    sumMs: number(raw['sumMs']),
    inFlight: number(raw['inFlight']),
  };
}

/** Reads the calls of one method with one peer. */
export function flow(value: unknown): Flow {
  const raw = object(value);
  return {
    ...figures(raw),
    peer: string(raw['peer']),
    method: string(raw['method'], '(unnamed)'),
    kind: choice(raw['kind'], ['unary', 'server-stream', 'client-stream', 'bidi']),
    lastAt: moment(raw['lastAt']),
  };
}

function certificate(value: unknown): CertificateView | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const raw = object(value);
  return {
    subject: string(raw['subject']),
    issuer: string(raw['issuer']),
    serial: string(raw['serial']),
    spiffeId: maybeString(raw['spiffeId']),
    notBefore: moment(raw['notBefore']),
    notAfter: moment(raw['notAfter']),
  };
}

function instanceView(value: unknown): InstanceView {
  const raw = object(value);
  return {
    service: string(raw['service']),
    address: string(raw['address'], '(no address)'),
    instance: maybeString(raw['instance']),
    zone: maybeString(raw['zone']),
    weight: number(raw['weight'], 1),
    source: string(raw['source'], '–'),
    connected: flag(raw['connected']),
    ewmaMs: maybeNumber(raw['ewmaMs']),
    inFlight: number(raw['inFlight']),
    share: number(raw['share'], 0, 0, 1),
    breaker: choice(raw['breaker'], ['closed', 'open', 'half-open']),
    ejectedUntil: maybeNumber(raw['ejectedUntil']),
    ageMs: maybeNumber(raw['ageMs']),
  };
}

function session(value: unknown): SessionView {
  const raw = object(value);
  return {
    peer: string(raw['peer'], '(unnamed)'),
    direction: choice(raw['direction'], ['in', 'out']),
    address: string(raw['address'], '–'),
    trust: string(raw['trust'], 'unknown'),
    suite: string(raw['suite'], '–'),
    resumed: flag(raw['resumed']),
    openedAt: moment(raw['openedAt']),
    epoch: number(raw['epoch']),
    streams: number(raw['streams']),
    unsentBytes: number(raw['unsentBytes']),
    stalled: number(raw['stalled']),
    spiffeId: maybeString(raw['spiffeId']),
    thumbprint: string(raw['thumbprint']),
    certificate: certificate(raw['certificate']),
  };
}

function rule(value: unknown): Rule {
  const raw = object(value);
  return {
    name: string(raw['name'], '(unnamed)'),
    from: strings(raw['from']),
    to: strings(raw['to']),
    deny: flag(raw['deny']),
  };
}

function policy(value: unknown): Policy | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const raw = object(value);
  return {
    mode: choice(raw['mode'], ['enforce', 'audit']),
    rules: list(raw['rules'], MAX_ROWS, rule),
    file: maybeString(raw['file']),
    problem: maybeString(raw['problem']),
  };
}

function denial(value: unknown): Denial {
  const raw = object(value);
  return {
    caller: string(raw['caller'], '(unnamed)'),
    method: string(raw['method'], '(unnamed)'),
    rule: string(raw['rule']),
    count: number(raw['count']),
    lastAt: moment(raw['lastAt']),
  };
}

function limit(value: unknown): Limit {
  const raw = object(value);
  return {
    name: string(raw['name'], '(unnamed)'),
    used: number(raw['used']),
    max: number(raw['max']),
    unit: choice(raw['unit'], ['count', 'bytes']),
  };
}

/** Reads a problem; one without a sentence gets the name of its kind. */
export function problem(value: unknown): Problem {
  const raw = object(value);
  const kind = string(raw['kind'], 'unknown', 60);
  return {
    severity: choice(raw['severity'], ['info', 'warning', 'critical']),
    kind,
    subject: string(raw['subject']),
    text: string(raw['text'], `A problem of the kind ${kind}, without a description.`, 600),
    repair: string(raw['repair'], '', 600),
    since: moment(raw['since']),
    reporter: string(raw['reporter']),
  };
}

function callError(value: unknown): CallError {
  const raw = object(value);
  return {
    at: moment(raw['at']),
    direction: choice(raw['direction'], ['in', 'out']),
    peer: string(raw['peer'], '(unnamed)'),
    method: string(raw['method'], '(unnamed)'),
    code: string(raw['code'], 'UNKNOWN', 60),
    reason: maybeString(raw['reason']),
    message: string(raw['message'], '', 600),
    errorId: maybeString(raw['errorId']),
    traceId: maybeString(raw['traceId']),
  };
}

/** Reads the report of one process. */
export function report(value: unknown): Report {
  const raw = object(value);
  const identity = object(raw['identity']);
  return {
    service: string(raw['service']),
    instance: string(raw['instance'], '–'),
    version: string(raw['version'], '–', 60),
    zone: maybeString(raw['zone']),
    at: moment(raw['at']),
    startedAt: moment(raw['startedAt']),
    state: choice(raw['state'], ['starting', 'ready', 'draining', 'closed']),
    address: maybeString(raw['address']),
    mode: string(raw['mode'], 'unknown', 60),
    // An absent member must not look like a listener without TLS.
    tls: raw['tls'] !== false,
    inbound: list(raw['inbound'], MAX_ROWS, flow),
    outbound: list(raw['outbound'], MAX_ROWS, flow),
    instances: list(raw['instances'], MAX_ROWS, instanceView),
    sessions: list(raw['sessions'], MAX_ROWS, session),
    identity: {
      thumbprint: string(identity['thumbprint'], '–'),
      certificate: certificate(identity['certificate']),
    },
    policy: policy(raw['policy']),
    denials: list(raw['denials'], MAX_ROWS, denial),
    limits: list(raw['limits'], MAX_NAMES, limit),
    problems: list(raw['problems'], MAX_NAMES, problem),
    errors: list(raw['errors'], MAX_NAMES, callError),
    eventLoopDelayMs: maybeNumber(raw['eventLoopDelayMs']),
  };
}
