// The targets of the figures, each as a ratio within one run or as an absolute value. `must` is the required
// value; `reach` is the desired one. A missed target does not fail a run.

/** A rate or a time of one cell of the suite `calls`. */
function cell(results, peer, kind, size, inFlight) {
  return results.calls?.find(
    (one) =>
      one.peer === peer && one.kind === kind && one.size === size && one.inFlight === inFlight,
  );
}

function ratio(results, peer, field, kind, size, inFlight) {
  const [ours, theirs] = [
    cell(results, 'mesh', kind, size, inFlight),
    cell(results, peer, kind, size, inFlight),
  ];
  return ours && theirs ? ours[field] / theirs[field] : null;
}

/** The CPU of a call over TLS, of both sides, as a multiple of that of a call without. */
function overTls(results) {
  const [plain, tls] = ['mesh', 'mesh-tls'].map((peer) => cell(results, peer, 'json', 1024, 64));
  const cpu = ({ clientCpuUs, serverCpuUs }) => clientCpuUs + serverCpuUs;
  return plain && tls ? cpu(tls) / cpu(plain) : null;
}

const part = (results, name) => results.crypto?.find((one) => one.name === name);
const core = (name) => (results) => part(results, name)?.core ?? null;

const least = (must, reach) => ({ better: 'more', must, reach });
const most = (must, reach) => ({ better: 'less', must, reach });

/** The rows, in the order of the table. `value` is null for a figure that was not measured. */
export const targets = [
  {
    what: 'Calls/s, 1 KiB × 64, against Moleculer TCP',
    unit: '×',
    ...least(1.5, 2),
    value: (results) => ratio(results, 'moleculer', 'rate', 'json', 1024, 64),
  },
  {
    what: 'Calls/s, 1 KiB × 64, against grpc-js with mutual TLS',
    unit: '×',
    ...least(10, 15),
    value: (results) => ratio(results, 'grpc-mtls', 'rate', 'json', 1024, 64),
  },
  {
    what: 'Calls/s, 1 KiB × 64, against plain coalesced Node TCP',
    unit: '×',
    ...least(1, 1.3),
    value: (results) => ratio(results, 'tcp', 'rate', 'json', 1024, 64),
  },
  {
    what: 'p50, one call at a time, 1 KiB, against Moleculer',
    unit: '×',
    ...most(1.3, undefined),
    value: (results) => ratio(results, 'moleculer', 'p50', 'json', 1024, 1),
  },
  {
    what: 'p50, one call at a time, 1 KiB, against Node TLS',
    unit: '×',
    ...most(undefined, 1),
    value: (results) => ratio(results, 'tls', 'p50', 'json', 1024, 1),
  },
  {
    what: 'p99 at half of the peak rate, against p50',
    unit: '×',
    ...most(5, 3),
    value: ({ pace }) => {
      const ours = pace?.find(({ peer }) => peer === 'mesh');
      return ours ? ours.p99 / ours.p50 : null;
    },
  },
  {
    what: 'Calls/s, 64 KiB of bytes × 64, against Node TLS',
    unit: '×',
    ...least(0.7, 1),
    value: (results) => ratio(results, 'tls', 'rate', 'bytes', 65_536, 64),
  },
  {
    what: 'Full handshake, RSA-4096, hybrid: CPU of the costlier side',
    unit: 'ms',
    ...most(6, 3),
    value: ({ handshake }) =>
      handshake ? Math.max(handshake.full.clientMs, handshake.full.serverMs) : null,
  },
  {
    what: 'Calls over TLS, 1 KiB × 64: CPU of both sides, against without',
    unit: '×',
    ...most(1.1, undefined),
    value: overTls,
  },
  {
    what: 'Resumption: CPU of the costlier side, connection and call included',
    unit: 'ms',
    ...most(0.3, undefined),
    value: ({ handshake }) =>
      handshake?.resumption
        ? Math.max(handshake.resumption.clientMs, handshake.resumption.serverMs)
        : null,
  },
  {
    what: 'Resumption alone, both sides, in the core',
    unit: 'µs',
    ...most(600, undefined),
    value: core('handshake/resumption/hybrid'),
  },
  {
    what: 'Seal and open, 1 KiB',
    unit: 'µs',
    ...most(3, 1.5),
    value: core('record/seal+open/1024'),
  },
  {
    what: 'Token check, seen before',
    unit: 'µs',
    ...most(0.1, undefined),
    value: core('token/cached'),
  },
  { what: 'Token check, fresh', unit: 'µs', ...most(4, undefined), value: core('token/fresh') },
  {
    what: 'CryptoManager, encrypt and decrypt, 1 KiB, 4096 bits: node:crypto takes',
    unit: '×',
    ...least(2, 2.5),
    value: (results) => {
      const [seal, open] = ['seal', 'open'].map((way) => part(results, `envelope/${way}/4096`));
      return seal?.classes ? (seal.node + open.node) / (seal.classes + open.classes) : null;
    },
  },
  {
    what: 'Memory of an idle session, server',
    unit: 'KiB',
    ...most(24, 12),
    value: ({ sessions }) => {
      const bytes = sessions?.idle.at(-1).bytesPerSession;
      return bytes === undefined || bytes === null ? null : bytes / 1024;
    },
  },
  {
    what: 'CPU of a call with the API of OpenTelemetry and no SDK, against tracing off',
    unit: '×',
    ...most(1.005, undefined),
    value: ({ tracing }) => tracing?.find(({ variant }) => variant === 'api')?.ratio ?? null,
  },
  {
    what: 'CPU of a call with an SDK that samples 1 %, against tracing off',
    unit: '×',
    ...most(undefined, 1.05),
    value: ({ tracing }) => tracing?.find(({ variant }) => variant === 'sampled')?.ratio ?? null,
  },
  ...[
    ['metrics recorded, against nothing recorded', 'off', 1.01],
    ['the core’s spans at 1 %, against none', 'core', 1.01],
    ['metrics, admin port read and 1 % of spans, against nothing recorded', 'everything', 1.05],
  ].map(([what, variant, bound]) => ({
    what: `CPU of a call with ${what}`,
    unit: '×',
    ...most(bound, undefined),
    value: ({ tracing }) => tracing?.find((one) => one.variant === variant)?.ratio ?? null,
  })),
  {
    what: 'Event loop held at full load, at most',
    unit: 'ms',
    ...most(5, 2),
    value: ({ loop }) => {
      const ours = loop?.load.find(({ peer }) => peer === 'mesh');
      return ours ? Math.max(ours.client.held, ours.server.held) : null;
    },
  },
  {
    what: 'Event loop held while an RSA-4096 key is made, at most',
    unit: 'ms',
    ...most(5, 2),
    value: ({ loop }) => loop?.keys.held ?? null,
  },
  {
    what: 'Calls/s with 100 connected peers, against 1',
    unit: '×',
    ...least(0.9, 1),
    value: ({ sessions }) =>
      sessions ? sessions.growth.at(-1).rate / sessions.growth[0].rate : null,
  },
  {
    what: 'CPU of a call, server, beside many idle sessions, against none',
    unit: '×',
    ...most(1.1, 1),
    value: ({ sessions }) => {
      const most = sessions?.idle.at(-1);
      return most ? most.serverCpuUs / most.aloneCpuUs : null;
    },
  },
  {
    what: 'Reconnecting storm: calls refused or lost',
    unit: 'calls',
    ...most(0, 0),
    value: ({ sessions }) => (sessions ? sessions.storm.opened - sessions.storm.answered : null),
  },
  {
    what: 'p99 of an idle service beside a saturated one, against alone',
    unit: '×',
    ...most(3, 1.5),
    value: ({ saturation }) => (saturation ? saturation.beside.p99 / saturation.alone.p99 : null),
  },
  {
    what: 'The same, called by the process that saturates the other',
    unit: '×',
    ...most(3, 1.5),
    value: ({ saturation }) => (saturation ? saturation.within.p99 / saturation.alone.p99 : null),
  },
  {
    what: 'Memory grown under saturation, the larger of both sides',
    unit: 'MiB',
    ...most(32, 8),
    value: ({ saturation }) =>
      saturation ? Math.max(0, saturation.clientGrown, saturation.serverGrown) / 1024 / 1024 : null,
  },
  {
    what: 'Calls past the limit refused with a hint when to retry',
    unit: '%',
    ...least(100, 100),
    value: ({ saturation }) =>
      saturation?.refused.count
        ? (100 * saturation.refused.withHint) / saturation.refused.count
        : null,
  },
];

/**
 * Returns the rows with their values and states: `reached`, `met`, `short` (of the desired value, where none
 * is required), `missed` or `not measured`.
 */
export function judge(results) {
  return targets.map(({ value, ...row }) => {
    const measured = value(results);
    const holds = (bound) =>
      bound !== undefined && (row.better === 'more' ? measured >= bound : measured <= bound);
    let state = 'missed';
    if (measured === null || Number.isNaN(measured)) state = 'not measured';
    else if (holds(row.reach)) state = 'reached';
    else if (row.must === undefined) state = 'short';
    else if (holds(row.must)) state = 'met';
    return { ...row, value: measured, state };
  });
}
