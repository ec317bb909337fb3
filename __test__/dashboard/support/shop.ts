// A shop with nine services and five faults: what the tests and the screenshots show.
import { load, type Load } from './traffic.js';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

export interface Method {
  name: string;
  kind?: 'unary' | 'server-stream' | 'client-stream' | 'bidi';
  load: Load;
}

export interface Call {
  from: string;
  to: string;
  methods: Method[];
}

export interface Place {
  address: string;
  instance: string;
  zone: string;
}

export interface ServiceSpec {
  name: string;
  version: string;
  mode: string;
  places: Place[];
  /** Milliseconds that the certificate is still valid for. */
  certificateMs?: number;
  rules?: { name: string; from: string[]; to: string[]; deny: boolean }[];
  audit?: boolean;
  plaintext?: boolean;
  hearsay?: string;
  hearsayRepair?: string;
}

export const SERVICES: ServiceSpec[] = [
  service('gateway', '2.14.0', 2, 1, { certificateMs: 19 * HOUR + 12 * MINUTE }),
  service('orders', '5.3.1', 3, 2, {
    certificateMs: 21 * HOUR,
    rules: [
      rule('storefront', ['gateway'], ['orders.*']),
      rule('reports', ['reporting'], ['orders.export']),
    ],
  }),
  service('payments', '3.9.4', 2, 3, {
    certificateMs: 20 * HOUR,
    rules: [
      rule('checkout', ['orders'], ['payments.charge', 'payments.refund']),
      rule('no-batch', ['reporting'], ['*'], true),
    ],
  }),
  service('inventory', '1.22.0', 2, 4, {
    certificateMs: 22 * HOUR,
    rules: [rule('stock', ['orders', 'search', 'shipping', 'reporting'], ['inventory.*'])],
  }),
  service('users', '4.0.7', 2, 5, {
    certificateMs: 8 * HOUR + 40 * MINUTE,
    rules: [rule('login', ['gateway', 'orders'], ['users.*'])],
    audit: true,
  }),
  service('search', '2.1.0', 2, 6, { certificateMs: 18 * HOUR }),
  service('shipping', '1.8.2', 1, 7, {
    certificateMs: 23 * HOUR,
    rules: [rule('dispatch', ['orders'], ['shipping.*'])],
  }),
  service('notifications', '0.9.3', 1, 8, { mode: 'shared-secret', plaintext: true }),
  service('reporting', '1.0.2', 1, 9, { certificateMs: 21 * HOUR }),
  service('legacy-billing', '–', 1, 10, {
    hearsay: 'it does not permit this service to observe it',
    hearsayRepair: 'Set its option observe, as in observe: { from: [this service] }.',
  }),
];

export const CALLS: Call[] = [
  call('gateway', 'orders', [
    { name: 'orders.create', load: load(84, 31, { slow: 0.09, slowMs: 620 }) },
    { name: 'orders.get', load: load(212, 9, { slow: 0.07, slowMs: 480 }) },
    { name: 'orders.watch', kind: 'server-stream', load: load(6, 900) },
  ]),
  call('gateway', 'users', [
    { name: 'users.session', load: load(388, 2.4) },
    { name: 'users.profile', load: load(96, 5.1) },
  ]),
  call('gateway', 'search', [{ name: 'search.query', load: load(147, 24) }]),
  call('orders', 'payments', [
    { name: 'payments.charge', load: load(71, 46) },
    { name: 'payments.refund', load: load(9.4, 118, { failing: 0.38, code: 'UNAVAILABLE' }) },
  ]),
  call('orders', 'inventory', [
    { name: 'inventory.reserve', load: load(83, 7.2, { failing: 0.021, code: 'UNAVAILABLE' }) },
    { name: 'inventory.release', load: load(12, 6.5, { failing: 0.018 }) },
  ]),
  call('orders', 'users', [{ name: 'users.profile', load: load(84, 4.8) }]),
  call('orders', 'shipping', [{ name: 'shipping.quote', load: load(62, 38) }]),
  call('orders', 'legacy-billing', [{ name: 'invoice.issue', load: load(31, 74) }]),
  call('search', 'inventory', [{ name: 'inventory.levels', load: load(133, 5.6) }]),
  call('shipping', 'inventory', [{ name: 'inventory.levels', load: load(18, 5.9) }]),
  call('payments', 'notifications', [{ name: 'mail.send', load: load(44, 12) }]),
  call('shipping', 'notifications', [{ name: 'mail.send', load: load(21, 13) }]),
  call('reporting', 'orders', [
    { name: 'orders.export', kind: 'server-stream', load: load(0.2, 1900) },
  ]),
];

/** The five faults, as the mesh reports them. `ago` is how long each has lasted. */
export const FAULTS = [
  {
    severity: 'critical',
    kind: 'method-failing',
    subject: 'payments.refund',
    reporter: 'payments',
    text: '38 % of the calls to payments.refund fail with UNAVAILABLE, 3.6 a second; the other methods succeed.',
    repair:
      'Read the recent errors of payments for the reason, and restore the card processor that refund calls.',
    ago: 14 * MINUTE,
  },
  {
    severity: 'critical',
    kind: 'breaker-open',
    subject: '10.20.4.12:50051',
    reporter: 'orders',
    text: 'The circuit breaker for inventory at 10.20.4.12:50051 is open after 5 failures in a row; calls go to the other instance.',
    repair: 'Restart the process at 10.20.4.12:50051, or take it out of discovery.',
    ago: 6 * MINUTE,
  },
  {
    severity: 'critical',
    kind: 'peer-refused',
    subject: 'reporting',
    reporter: 'payments',
    text: 'A peer at 10.20.77.3 said that it is reporting and proved another key; it was refused 12 times.',
    repair:
      'If reporting has a new key, pin it at payments; if not, find out what runs at 10.20.77.3.',
    ago: 3 * MINUTE,
  },
  {
    severity: 'warning',
    kind: 'instance-slow',
    subject: '10.20.2.13:50051',
    reporter: 'gateway',
    text: 'The instance of orders at 10.20.2.13:50051 answers in 486 ms on average; the other two in 22 ms.',
    repair:
      'Look at the CPU and the event loop of that process; it stays ejected until it is fast again.',
    ago: 32 * MINUTE,
  },
  {
    severity: 'warning',
    kind: 'certificate-expiring',
    subject: 'users',
    reporter: 'users',
    text: 'The certificate of users ends in 8 h 40 min, and the file that it comes from has not changed for 39 h.',
    repair: 'Start the renewal of users, then run reload-identity or wait until the file changes.',
    ago: 2 * HOUR,
  },
  {
    severity: 'warning',
    kind: 'plaintext-listener',
    subject: 'notifications',
    reporter: 'notifications',
    text: 'The listener of notifications at 0.0.0.0:50051 speaks no TLS; payloads are encrypted, names of methods are not.',
    repair: 'Set security.certificate.tls, or bind the listener to a private address.',
    ago: 26 * HOUR,
  },
  {
    severity: 'info',
    kind: 'secret-in-grace',
    subject: 'notifications',
    reporter: 'notifications',
    text: 'The previous secret of notifications is accepted for another 41 min.',
    repair: 'Nothing to do, unless a service still uses the previous secret by then.',
    ago: 19 * MINUTE,
  },
] as const;

function service(
  name: string,
  version: string,
  count: number,
  net: number,
  more: Partial<ServiceSpec> = {},
): ServiceSpec {
  const places = Array.from({ length: count }, (_, i): Place => {
    const host = 11 + i;
    return {
      address: `10.20.${net}.${host}:50051`,
      instance: `${net.toString(16).padStart(2, '0')}${i}f6b1c09d47e2a`
        .slice(0, 16)
        .padEnd(16, '0'),
      zone: `eu-1${'abc'[i % 3]}`,
    };
  });
  return { name, version, mode: 'certificate', places, ...more };
}

function rule(name: string, from: string[], to: string[], deny = false) {
  return { name, from, to, deny };
}

function call(from: string, to: string, methods: Method[]): Call {
  return { from, to, methods };
}
