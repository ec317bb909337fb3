// The figures of each suite as tables for both reports: a heading, columns, rows of cells.
import { cellName } from '../suites/calls.mjs';
import { VARIANTS } from '../suites/tracing.mjs';
import { figure, mib } from './numbers.mjs';

const spread = ({ p50, p99, p999 }) => [p50, p99, p999].map(figure);

const delays = ({ p50, p99, max, held }) => [p50, p99, max, held].map(figure);

const makers = {
  calls(list, titles) {
    const names = [...new Set(list.map(cellName))];
    return names.map((name) => ({
      heading: `Calls, ${name} in flight`,
      columns: [
        'peer',
        'calls/s',
        'p50 ms',
        'p99 ms',
        'p99.9 ms',
        'CPU µs client',
        'server',
        'MiB client',
        'server',
        'grown MiB client',
        'server',
      ],
      rows: list
        .filter((one) => cellName(one) === name)
        .map((one) => [
          titles[one.peer],
          figure(one.rate),
          ...spread(one),
          figure(one.clientCpuUs),
          figure(one.serverCpuUs),
          ...[one.clientRss, one.serverRss].map((bytes) => String(Math.round(mib(bytes)))),
          ...[one.clientGrown, one.serverGrown].map((bytes) => mib(bytes).toFixed(1)),
        ]),
    }));
  },
  pace: (list, titles) => [
    {
      heading: 'At half of the peak rate, 1 KiB of JSON, open loop',
      columns: ['peer', 'peak calls/s', 'p50 ms', 'p99 ms', 'p99.9 ms', 'p99 / p50'],
      rows: list.map((one) => [
        titles[one.peer],
        figure(one.peak),
        ...spread(one),
        figure(one.p99 / one.p50),
      ]),
    },
  ],
  streams: (list, titles) => [
    {
      heading: 'Streams, 1 KiB of JSON an item',
      columns: ['peer', 'direction', 'items/s', 'CPU µs client', 'server'],
      rows: list.map((one) => [
        titles[one.peer],
        one.kind === 'down' ? 'from the server' : 'to the server',
        figure(one.rate),
        figure(one.clientCpuUs),
        figure(one.serverCpuUs),
      ]),
    },
  ],
  loop: ({ load, keys, nothing }, titles) => [
    {
      heading: 'How late the event loop is, ms',
      columns: ['what', 'client p50', 'p99', 'max', 'held', 'server p50', 'p99', 'max', 'held'],
      rows: [
        ...load.map(({ peer, client, server }) => [
          `${titles[peer]}, 1 KiB × 256`,
          ...delays(client),
          ...delays(server),
        ]),
        ['an RSA-4096 key is made', ...delays(keys), '', '', '', ''],
        ['nothing is done', ...delays(nothing), '', '', '', ''],
      ],
    },
  ],
  tracing: (list) => [
    {
      heading: 'Metrics, tracing, admin port: 1 KiB of JSON × 64',
      columns: ['', 'calls/s', 'CPU µs client', 'server', 'CPU in comparison'],
      rows: list.map((one) => [
        VARIANTS[one.variant],
        ...[one.rate, one.clientCpuUs, one.serverCpuUs].map(figure),
        `${one.ratio.toFixed(3)} ×`,
      ]),
    },
  ],
  handshake: ({ full, resumption, certificate, tls }) => [
    {
      heading: 'A client’s first call: connection, handshake and the call',
      columns: ['', 'CPU ms client', 'server', 'elapsed ms'],
      rows: [
        ['RSA-4096, hybrid', ...[full.clientMs, full.serverMs, full.wallMs].map(figure)],
        resumption
          ? [
              'resumed',
              ...[resumption.clientMs, resumption.serverMs, resumption.wallMs].map(figure),
            ]
          : ['resumed', 'not measured', '', ''],
        // Reports of earlier versions have none.
        ...[
          ['with certificates of P-256, verified anew', certificate],
          ['with certificates, over TLS 1.3', tls],
        ]
          .filter(([, one]) => one)
          .map(([name, one]) => [name, ...[one.clientMs, one.serverMs, one.wallMs].map(figure)]),
      ],
    },
  ],
  crypto: (list) => [
    {
      heading: 'The parts, µs',
      columns: ['what', 'core (Rust)', 'exported class', 'node:crypto'],
      rows: list.map((one) => [one.name, ...[one.core, one.classes, one.node].map(figure)]),
    },
  ],
  sessions: (result) =>
    result === null
      ? []
      : [
          {
            heading: 'Idle sessions with one server',
            columns: [
              'sessions',
              'KiB each, server',
              'CPU µs of a call, server',
              'of a server without',
              'CPU idle, server',
            ],
            rows: result.idle.map((one) => [
              figure(one.sessions),
              figure(one.bytesPerSession === null ? null : one.bytesPerSession / 1024),
              figure(one.serverCpuUs),
              figure(one.aloneCpuUs),
              `${figure(one.idleCpuShare * 100)} %`,
            ]),
          },
          {
            heading: 'Connected peers, 64 calls in flight each',
            columns: ['peers', 'calls/s', 'CPU µs client', 'server'],
            rows: result.growth.map((one) =>
              [one.peers, one.rate, one.clientCpuUs, one.serverCpuUs].map(figure),
            ),
          },
          {
            heading: 'All sessions lost with their server, and used again at once',
            columns: [
              'sessions',
              'answered',
              'otherwise',
              'resumed',
              'half done ms',
              'all done ms',
            ],
            rows: [
              [
                figure(result.storm.opened),
                figure(result.storm.answered),
                Object.entries(result.storm.failures)
                  .map(([what, count]) => `${count} ${what}`)
                  .join(', ') || 'none',
                figure(result.storm.resumed),
                figure(result.storm.p50),
                figure(result.storm.max),
              ],
            ],
          },
        ],
  saturation: ({ answered, failed, refused, clientGrown, serverGrown, alone, beside, within }) => [
    {
      heading: '10,000 calls in flight to a slow handler',
      columns: [
        'answered',
        'failed',
        'refused past the limit',
        'with a hint',
        'grown MiB client',
        'server',
        'p99 of another service ms: alone',
        'beside it',
        'by the same client',
      ],
      rows: [
        [
          ...[answered, failed, refused.count, refused.withHint].map(figure),
          ...[clientGrown, serverGrown].map((bytes) => mib(bytes).toFixed(1)),
          ...[alone, beside, within].map(({ p99 }) => figure(p99)),
        ],
      ],
    },
  ],
};

/** The tables of the suites that ran. */
export function tables(suites, titles) {
  return Object.entries(suites).flatMap(([name, result]) => makers[name](result, titles));
}
