// The answers of the admin port for a world, at a moment.
import type {
  Edge,
  Flow,
  History,
  MeshNode,
  MeshPicture,
  Report,
} from '../../../dashboard/src/contract/types.js';
import {
  CALLS,
  type Call,
  DAY,
  FAULTS,
  HOUR,
  MINUTE,
  type Place,
  SERVICES,
  type ServiceSpec,
} from './shop.js';
import { added, figuresAt, percentileOf, rateAt } from './traffic.js';

/** The processes of the shop have run for so long when the server starts. */
const UPTIME_MS = 26 * HOUR;

const SUITE = 'X25519MLKEM768 · AES-256-GCM';
const thumbprint = (seed: string): string =>
  `SHA256:${Buffer.from(seed.repeat(9)).toString('base64url').slice(0, 43)}`;

/** Returns the picture of the shop. `began` is when its processes started. */
export function shopPicture(now: number, began: number): { v: 1 } & MeshPicture {
  const seconds = (now - began + UPTIME_MS) / 1000;
  const nodes = SERVICES.map((spec) => node(spec, now, began - UPTIME_MS, seconds));
  const problems = FAULTS.map(({ ago, ...fault }) => ({ ...fault, since: began - ago }));
  return {
    v: 1,
    at: now,
    observer: 'gateway',
    nodes,
    edges: CALLS.map((call) => edge(call, seconds, now)),
    problems,
    leftOut: [],
  };
}

function edge(call: Call, seconds: number, now: number): Edge {
  const methods = flows(call, seconds, now, call.from);
  return {
    from: call.from,
    to: call.to,
    figures: added(methods),
    methods,
    by: call.to === 'legacy-billing' ? 'caller' : 'both',
  };
}

function flows(call: Call, seconds: number, now: number, peer: string): Flow[] {
  return call.methods.map(({ name, kind, load }) => ({
    ...figuresAt(load, seconds),
    peer,
    method: name,
    kind: kind ?? 'unary',
    lastAt: now - 20,
  }));
}

function node(spec: ServiceSpec, now: number, started: number, seconds: number): MeshNode {
  const seenBy = CALLS.filter((call) => call.to === spec.name).map((call) => call.from);
  if (spec.hearsay !== undefined) {
    return {
      service: spec.name,
      report: 'hearsay',
      unreachable: spec.hearsay,
      repair: spec.hearsayRepair,
      instances: [],
      seenBy,
    };
  }
  return {
    service: spec.name,
    report: spec.name === 'gateway' ? 'self' : 'direct',
    instances: spec.places.map((place, i) => report(spec, place, i, now, started, seconds)),
    seenBy,
  };
}

function report(
  spec: ServiceSpec,
  place: Place,
  index: number,
  now: number,
  started: number,
  seconds: number,
): Report {
  const callees = CALLS.filter((call) => call.from === spec.name);
  const callers = CALLS.filter((call) => call.to === spec.name);
  const certificate =
    spec.certificateMs === undefined
      ? undefined
      : {
          subject: `CN=${spec.name}`,
          issuer: 'CN=Shop Mesh CA 2',
          serial: `4f:${index}a:9c:${spec.places.length}e`,
          spiffeId: `spiffe://shop.example/${spec.name}`,
          notBefore: now + spec.certificateMs - DAY,
          notAfter: now + spec.certificateMs,
        };
  return {
    service: spec.name,
    instance: place.instance,
    version: spec.version,
    zone: place.zone,
    at: now,
    startedAt: started + index * 4 * MINUTE,
    state: 'ready',
    address: place.address,
    mode: spec.mode,
    tls: spec.plaintext !== true,
    inbound: callers.flatMap((call) => flows(call, seconds / spec.places.length, now, call.from)),
    outbound: callees.flatMap((call) => flows(call, seconds / spec.places.length, now, call.to)),
    instances: callees.flatMap((call) => views(call.to)),
    sessions: [
      ...callers.map((c) => [c.from, 'in'] as const),
      ...callees.map((c) => [c.to, 'out'] as const),
    ].map(([peer, direction], i) => ({
      peer,
      direction,
      address: `10.20.${3 + i}.${11 + index}:${direction === 'in' ? 41022 + i * 97 : 50051}`,
      trust: peer === 'notifications' ? 'shared-secret' : 'certificate',
      suite: SUITE,
      resumed: i % 3 === 1,
      openedAt: now - (47 + i * 213) * MINUTE,
      epoch: 3 + i,
      streams: 4 + ((i * 7) % 11),
      unsentBytes: i === 1 ? 18_432 : 0,
      stalled: 0,
      spiffeId: `spiffe://shop.example/${peer}`,
      thumbprint: thumbprint(peer),
    })),
    identity: { thumbprint: thumbprint(spec.name), certificate },
    policy: spec.rules && {
      mode: spec.audit ? 'audit' : 'enforce',
      rules: spec.rules,
      file: '/etc/mesh/policy.json',
    },
    denials: index === 0 ? denials(spec.name, now) : [],
    limits: limits(spec.name, index),
    problems: [],
    errors: errors(spec.name, index, now),
    eventLoopDelayMs: place.address === '10.20.2.13:50051' ? 212 : 1.4 + index * 0.3,
  };
}

function views(service: string) {
  const spec = SERVICES.find((s) => s.name === service)!;
  return spec.places.map((place, i) => {
    const slow = place.address === '10.20.2.13:50051';
    const broken = place.address === '10.20.4.12:50051';
    const usual = service === 'orders' ? 21.6 + i * 0.9 : 6 + i * 1.3;
    return {
      service,
      address: place.address,
      instance: place.instance,
      zone: place.zone,
      weight: 1,
      source: 'dns',
      connected: !broken,
      ewmaMs: slow ? 486 : broken ? undefined : usual,
      inFlight: broken ? 0 : 2 + i,
      share: slow
        ? 0.03
        : broken
          ? 0
          : spec.places.length === 3
            ? 0.485
            : service === 'inventory'
              ? 1
              : 1 / spec.places.length,
      breaker: broken ? ('open' as const) : ('closed' as const),
      ejectedUntil: slow ? Date.now() + 22_000 : undefined,
      ageMs: 4200,
    };
  });
}

function denials(service: string, now: number) {
  if (service === 'payments') {
    return [
      {
        caller: 'reporting',
        method: 'payments.charge',
        rule: 'no-batch',
        count: 12,
        lastAt: now - 3 * MINUTE,
      },
    ];
  }
  if (service === 'users') {
    return [
      { caller: 'search', method: 'users.profile', rule: '', count: 3, lastAt: now - 5 * HOUR },
    ];
  }
  return [];
}

function limits(service: string, index: number) {
  const busy = service === 'orders' && index === 2;
  return [
    { name: 'sessions', used: 9 + index, max: 10_000, unit: 'count' as const },
    {
      name: 'calls in flight',
      used: busy ? 871 : 34 + index * 3,
      max: 1024,
      unit: 'count' as const,
    },
    {
      name: 'memory',
      used: (61 + index * 9) * 1024 * 1024,
      max: 512 * 1024 * 1024,
      unit: 'bytes' as const,
    },
    { name: 'streams', used: 41, max: 1000, unit: 'count' as const },
  ];
}

function errors(service: string, index: number, now: number) {
  const one = (
    ago: number,
    peer: string,
    method: string,
    code: string,
    reason: string,
    message: string,
    id: string,
  ) => ({
    at: now - ago * 1000 - index * 340,
    direction: 'in' as const,
    peer,
    method,
    code,
    reason,
    message,
    errorId: `err_${id}${index}`,
    traceId: `4bf92f3577b34da6a3ce929d${id}`,
  });
  if (service === 'payments') {
    return [
      one(
        1,
        'orders',
        'payments.refund',
        'UNAVAILABLE',
        'UPSTREAM_DOWN',
        'The card processor does not accept connections.',
        '0e4736a1',
      ),
      one(
        3,
        'orders',
        'payments.refund',
        'UNAVAILABLE',
        'UPSTREAM_DOWN',
        'The card processor does not accept connections.',
        '0e4736b2',
      ),
      one(
        9,
        'orders',
        'payments.refund',
        'DEADLINE_EXCEEDED',
        'HANDLER_TIMEOUT',
        'The handler did not answer within 800 ms.',
        '0e4736c3',
      ),
    ];
  }
  if (service === 'orders') {
    return [
      {
        ...one(
          2,
          'inventory',
          'inventory.reserve',
          'UNAVAILABLE',
          'CIRCUIT_OPEN',
          'The circuit for 10.20.4.12:50051 is open; another try in 8 s.',
          '77c0aa11',
        ),
        direction: 'out' as const,
      },
      one(
        41,
        'gateway',
        'orders.create',
        'FAILED_PRECONDITION',
        'OUT_OF_STOCK',
        'The item is out of stock.',
        '77c0aa12',
      ),
    ];
  }
  return [];
}

/** Returns the history of the shop. */
export function shopHistory(
  now: number,
  began: number,
  windowS: number,
  stepS: number,
): { v: 1 } & History {
  const last = Math.floor(now / (stepS * 1000)) * stepS * 1000;
  const at = Array.from(
    { length: Math.floor(windowS / stepS) },
    (_, i, n = Math.floor(windowS / stepS)) => last - (n - 1 - i) * stepS * 1000,
  );
  const series = CALLS.map((call) => {
    const p = (q: number, ms: number): number => {
      const loads = call.methods.map(({ load }) => load);
      const total = loads.reduce((sum, load) => sum + load.rate, 0);
      const before = ms < began - 32 * MINUTE;
      return (
        loads.reduce(
          (sum, load) =>
            sum + (percentileOf(before ? { ...load, slow: 0 } : load, q) * load.rate) / total,
          0,
        ) *
        (1 +
          0.05 * Math.sin(ms / 197_000 + q * 9) +
          0.05 * Math.sin(ms / 9300 + q * 4) * Math.sin(ms / 71_000))
      );
    };
    return {
      from: call.from,
      to: call.to,
      at,
      rate: at.map((ms) =>
        call.methods.reduce((sum, m) => sum + rateAt(m.load, (ms - began + UPTIME_MS) / 1000), 0),
      ),
      failures: at.map((ms) =>
        call.methods.reduce((sum, m) => {
          const since = m.load.failing > 0.1 ? 14 : 6;
          const failing = m.load.failing > 0.01 && ms < began - since * MINUTE ? 0 : m.load.failing;
          return (
            sum + (failing < 0.001 ? 0 : failing * rateAt(m.load, (ms - began + UPTIME_MS) / 1000))
          );
        }, 0),
      ),
      p50: at.map((ms) => p(0.5, ms)),
      p95: at.map((ms) => p(0.95, ms)),
      p99: at.map((ms) => p(0.99, ms)),
    };
  });
  return { v: 1, stepMs: stepS * 1000, spanMs: 7 * DAY, series, events: events(began) };
}

function events(began: number) {
  const event = (
    minutes: number,
    kind: string,
    service: string,
    subject: string,
    text: string,
  ) => ({
    at: began - minutes * MINUTE,
    kind,
    service,
    subject,
    text,
  });
  return [
    event(
      3,
      'refused',
      'payments',
      'reporting',
      'refused a peer at 10.20.77.3 that said it is reporting: the key is not the pinned one.',
    ),
    event(
      6,
      'breaker',
      'orders',
      'inventory',
      'opened the breaker for inventory at 10.20.4.12:50051 after 5 failures in a row.',
    ),
    event(
      14,
      'stall',
      'payments',
      'orders',
      'held back a stream of orders for 2.1 s: its window was full.',
    ),
    event(
      19,
      'rotation',
      'notifications',
      'secret',
      'took a new shared secret; the previous one is accepted for an hour.',
    ),
    event(
      32,
      'ejection',
      'gateway',
      '10.20.2.13:50051',
      'ejected orders at 10.20.2.13:50051 for 30 s: 22 times slower than the others.',
    ),
    event(
      44,
      'identity',
      'search',
      'certificate',
      'loaded a new certificate, valid until tomorrow.',
    ),
    event(
      51,
      'instance',
      'gateway',
      'search',
      'found a second instance of search at 10.20.6.12:50051.',
    ),
    event(52, 'start', 'search', '10.20.6.12:50051', 'version 2.1.0 started.'),
    event(
      1441,
      'drain',
      'search',
      '10.20.6.10:50051',
      'version 2.0.9 drained 14 calls in 0.4 s and ended.',
    ),
  ];
}
