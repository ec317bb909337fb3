// Figures from counts, and strings from strangers: the parts of the page that need no browser.
import { describe, expect, it } from 'vitest';
import { parsePicture } from '../../dashboard/src/contract/picture.js';
import { figures } from '../../dashboard/src/contract/report.js';
import { shown } from '../../dashboard/src/contract/text.js';
import type { MeshPicture } from '../../dashboard/src/contract/types.js';
import { parseRoute, serviceHref } from '../../dashboard/src/data/route.js';
import { count, duration, percent, plain, rate, span } from '../../dashboard/src/figures/format.js';
import { ofExpiry } from '../../dashboard/src/figures/health.js';
import { instances } from '../../dashboard/src/figures/instances.js';
import { assemble, subjects } from '../../dashboard/src/figures/mesh.js';
import { combine } from '../../dashboard/src/figures/past.js';
import { percentile, perSecond, success, sum, Window } from '../../dashboard/src/figures/window.js';
import { place } from '../../dashboard/src/layout/layers.js';
import { large } from './support/large.js';
import { shopPicture } from './support/picture.js';

/** A picture of one edge with so many calls, of which a tenth took 30 ms and the others 3 ms. */
function picture(at: number, total: number, process = 'b1', failed = 0): MeshPicture {
  const nine = Math.floor(total * 0.9);
  const buckets = [0, 0, 0, 0, 0, nine, nine, nine, total];
  return parsePicture({
    v: 1,
    at,
    observer: 'a',
    nodes: ['a', 'b'].map((service) => ({
      service,
      report: 'direct',
      instances: [{ instance: process.startsWith(service) ? process : `${service}1` }],
    })),
    edges: [{ from: 'a', to: 'b', figures: { total, failed, buckets } }],
    problems: [],
  });
}

describe('figures of now', () => {
  it('are differences of counts', () => {
    const window = new Window();
    window.add(picture(1000, 100));
    expect(window.edge('a', 'b')).toBeUndefined();
    window.add(picture(3000, 300, 'b1', 20));
    const now = window.edge('a', 'b');
    expect(perSecond(now)).toBe(100);
    expect(success(now)).toBe(0.9);
    expect(percentile(now, 0.5)).toBeCloseTo(2.5 + 2.5 * (0.5 / 0.9), 5);
    expect(percentile(now, 0.95)).toBeGreaterThan(25);
    expect(percentile(now, 0.95)).toBeLessThan(50);
  });

  it('reach back ten seconds', () => {
    const window = new Window();
    for (let i = 0; i <= 20; i++) window.add(picture(1000 + i * 2000, i < 10 ? 0 : (i - 9) * 100));
    expect(window.edge('a', 'b')!.ms).toBe(10_000);
    expect(perSecond(window.edge('a', 'b'))).toBe(50);
  });

  it.each([
    ['a process that restarts', picture(3000, 40)],
    ['a called process that joins with counts of days', picture(3000, 1_000_000, 'b2')],
    ['a calling process that joins with counts of days', picture(3000, 1_000_000, 'a2')],
  ])('do not jump with %s', (_, next) => {
    const window = new Window();
    window.add(picture(1000, 100));
    window.add(next);
    expect(window.edge('a', 'b')).toBeUndefined();
  });

  it('add up, those of a shorter time in proportion', () => {
    const buckets = Array<number>(17).fill(0);
    const one = { ms: 2000, calls: 10, failed: 1, buckets, inFlight: 1 };
    const all = sum([one, undefined, { ...one, ms: 1000 }])!;
    expect(all.calls).toBe(30);
    expect(perSecond(all)).toBe(15);
    expect(sum([undefined])).toBeUndefined();
  });

  it('are beyond the last bound where most calls are', () => {
    const buckets = [...Array<number>(16).fill(0), 10];
    const all = { ms: 1000, calls: 10, failed: 0, buckets, inFlight: 0 };
    expect(percentile(all, 0.5)).toBe(Infinity);
    expect(plain(duration(Infinity))).toBe('> 10 s');
  });
});

describe('instances that listen on every interface', () => {
  /** The rows of a service whose processes report these addresses, and whose caller sees those. */
  const rows = (reported: string[], seen: string[]): string[] => {
    const views = seen.map((address) => ({ service: 'b', address }));
    const found = parsePicture({
      v: 1,
      at: 1000,
      nodes: [
        { service: 'a', report: 'self', instances: [{ instance: 'a1', instances: views }] },
        {
          service: 'b',
          report: 'direct',
          instances: reported.map((address, i) => ({ instance: `b${i}`, address })),
        },
      ],
    });
    const mesh = assemble(found, new Window());
    return instances(mesh, mesh.services.get('b')!, 1000).map(
      (row) => `${row.address} ${row.report?.instance ?? 'seen'} ${row.seen.length}`,
    );
  };

  it('are those at which callers see their port', () => {
    expect(rows(['[::]:81', '0.0.0.0:82'], ['10.0.0.1:81', '10.0.0.2:82'])).toEqual([
      '10.0.0.1:81 b0 1',
      '10.0.0.2:82 b1 1',
    ]);
  });

  it('stay apart where several have the port', () => {
    const seen = ['10.0.0.1:81', '10.0.0.2:81'];
    expect(rows(['[::]:81', '[::]:81'], seen)).toHaveLength(4);
    expect(rows(['[::]:81'], seen)).toHaveLength(3);
    expect(rows(['[::]:8'], seen)).toHaveLength(3);
  });
});

describe('numbers', () => {
  it.each([
    [plain(rate(undefined)), '–'],
    [plain(rate(0)), '0 /s'],
    [plain(rate(0.2)), '12 /min'],
    [plain(rate(1284.4)), '1,284 /s'],
    [plain(duration(0.42)), '0.42 ms'],
    [plain(duration(1240)), '1.24 s'],
    [plain(percent(1)), '100 %'],
    [plain(percent(0.999999)), '99.99 %'],
    [plain(percent(0.62)), '62.0 %'],
    [count(1_234_567), '1.2 M'],
    [span(8 * 3_600_000 + 40 * 60_000), '8 h 40 min'],
    [span(49 * 3_600_000), '2 d 1 h'],
  ])('%s', (found, wanted) => expect(found).toBe(wanted));

  it('of a certificate warn by its own length', () => {
    const hour = 3_600_000;
    expect(ofExpiry(0, 24 * hour, 4 * hour)).toBe('ok');
    expect(ofExpiry(0, 24 * hour, 16 * hour)).toBe('warning');
    expect(ofExpiry(0, 24 * hour, 23 * hour)).toBe('critical');
    expect(ofExpiry(0, 365 * 24 * hour, 360 * 24 * hour)).toBe('warning');
  });
});

describe('strings', () => {
  it.each([
    ['orders', 'orders'],
    ['a\u202eb', 'a\\u{202e}b'],
    ['a\nb\u0000', 'a\\u{a}b\\u{0}'],
    ['\u200b', '\\u{200b}'],
    ['\ud800', '\\u{d800}'],
    ['e\u0301\u0301\u0301\u0301', 'e\u0301\u0301'],
    ['größe 漢字 🙂', 'größe 漢字 🙂'],
  ])('%j', (text, wanted) => expect(shown(text)).toBe(wanted));

  it('are clipped, however long they are', () => {
    expect([...shown('x'.repeat(10_000_000), 50)]).toHaveLength(51);
    expect([...shown('\u202e'.repeat(1000), 50)]).toHaveLength(51);
  });

  it('name a service in an address', () => {
    for (const name of ['orders', 'a/b', '%', '<img>', '..', '漢 字']) {
      expect(parseRoute(new URL(serviceHref(name), 'http://x/').hash)).toEqual({
        view: 'service',
        service: name,
      });
    }
    expect(parseRoute('#/service/%')).toEqual({ view: 'overview' });
  });
});

describe('the parser', () => {
  it('refuses another document', () => {
    for (const value of [null, [], 'x', {}, { v: 2 }]) expect(() => parsePicture(value)).toThrow();
  });

  it('bounds every list', () => {
    const many = Array.from({ length: 50_000 }, (_, i) => ({
      service: `s${i}`,
      from: `a${i}`,
      to: 'b',
    }));
    const parsed = parsePicture({ v: 1, nodes: many, edges: many, problems: many });
    expect(parsed.nodes).toHaveLength(1000);
    expect(parsed.edges).toHaveLength(5000);
    expect(parsed.problems).toHaveLength(500);
    expect(parsed.leftOut).toHaveLength(3);
  });

  it('makes counts of anything', () => {
    const { buckets, ...rest } = figures({
      total: 5,
      failed: 9,
      buckets: [3, null, 1, Infinity, 'x'],
      sumMs: NaN,
    });
    expect(rest).toEqual({ total: 5, failed: 5, codes: {}, sumMs: 0, inFlight: 0 });
    expect(buckets).toEqual(Array<number>(17).fill(3));
  });

  it('takes no member from the prototype', () => {
    const parsed = parsePicture(JSON.parse('{"v":1,"__proto__":{"nodes":[{"service":"x"}]}}'));
    expect(parsed.nodes).toEqual([]);
  });
});

describe('a problem', () => {
  const about = subjects(parsePicture(shopPicture(Date.now(), Date.now())));
  const problem = (kind: string, subject: string, reporter: string) =>
    about({ severity: 'critical', kind, subject, reporter, text: '', repair: '', since: 0 });

  it.each([
    ['users', 'users'],
    ['10.20.4.12:50051', 'inventory'],
    ['inventory at 10.20.4.12:50051', 'inventory'],
    ['payments.refund', 'payments'],
    ['something else', 'gateway'],
  ])('about %s belongs to %s', (subject, service) =>
    expect(problem('x', subject, 'gateway')).toBe(service),
  );

  it('of a refused peer belongs to the service that refused it', () => {
    expect(problem('peer-refused', 'reporting', 'payments')).toBe('payments');
  });
});

describe('the mesh', () => {
  it('takes no time to put together', () => {
    const { mesh } = large();
    const text = JSON.stringify(mesh());
    const began = performance.now();
    const parsed = parsePicture(JSON.parse(text));
    const window = new Window();
    window.add(parsed);
    expect(assemble(parsed, window).services.size).toBe(200);
    // Some 40 ms on an idle processor.
    expect(performance.now() - began).toBeLessThan(1500);
  });

  it('has its callers on the left', () => {
    const placed = place({
      nodes: ['a', 'b', 'c'],
      edges: [
        [0, 1, 1],
        [1, 2, 1],
        [2, 0, 1],
        [1, 1, 1],
      ],
      nodeWidth: 100,
      nodeHeight: 40,
      width: 900,
    });
    const [a, b, c] = placed.places.map(([x]) => x);
    expect(a).toBeLessThan(b!);
    expect(b).toBeLessThan(c!);
    expect(placed.paths.every((path) => /^M[-\d.]/.test(path))).toBe(true);
    expect(placed.width).toBeLessThanOrEqual(900);
  });

  it('has a past in which percentiles are weighted by calls', () => {
    const one = { from: 'a', to: 'b', at: [0, 10_000], failures: [0, 0], p95: [0, 0], p99: [0, 0] };
    const past = combine(
      [
        { ...one, rate: [30, 0], p50: [10, 0] },
        { ...one, rate: [10, 0], p50: [50, 0] },
      ],
      10_000,
    );
    expect(past.rate).toEqual([40, 0]);
    expect(past.p50).toEqual([20, null]);
  });
});
