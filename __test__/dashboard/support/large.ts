// A mesh of 200 services and 2,000 edges.
import type { Edge, Flow, MeshNode, MeshPicture } from '../../../dashboard/src/contract/types.js';
import type { Answers } from './server.js';
import { added, figuresAt, load, type Load, rateAt } from './traffic.js';

interface Link {
  from: string;
  to: string;
  method: string;
  load: Load;
}

/** Returns answers about a large mesh, which began now. */
export function large(services = 200, edges = 2000): Answers {
  const began = Date.now();
  const names = Array.from({ length: services }, (_, i) => `service-${String(i).padStart(3, '0')}`);
  const links = between(names, edges);
  return {
    mesh: () => picture(names, links, Date.now(), began),
    history: (windowS, stepS) => {
      const steps = Math.floor(windowS / stepS);
      const at = Array.from({ length: steps }, (_, i) => began - (steps - i) * stepS * 1000);
      const flat = (value: number): number[] => at.map(() => value);
      return {
        v: 1,
        stepMs: stepS * 1000,
        spanMs: 3_600_000,
        series: links.map(({ from, to, load: l }) => ({
          from,
          to,
          at,
          rate: at.map((ms) => Math.round(rateAt(l, ms / 1000) * 10) / 10),
          failures: flat(0),
          p50: flat(l.medianMs),
          p95: flat(l.medianMs * 3),
          p99: flat(l.medianMs * 5),
        })),
        events: [],
      };
    },
  };
}

/** Calls go from lower numbers to higher ones; the same on every run. */
function between(names: readonly string[], edges: number): Link[] {
  const links = new Map<string, Link>();
  let seed = 7;
  const random = (): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed / 2_147_483_648;
  };
  while (links.size < edges) {
    const from = Math.floor(random() * names.length * 0.8);
    const to = Math.min(names.length - 1, from + 1 + Math.floor(random() * names.length * 0.3));
    const failing = random() < 0.01 ? 0.12 : 0.0002;
    const rate = 10 ** (random() * 3 - 0.5);
    links.set(`${from} ${to}`, {
      from: names[from]!,
      to: names[to]!,
      method: `method${Math.floor(random() * 3)}.run`,
      load: load(rate, 2 + random() * 60, { failing }),
    });
  }
  return [...links.values()];
}

function picture(
  names: readonly string[],
  links: readonly Link[],
  now: number,
  began: number,
): { v: 1 } & MeshPicture {
  const seconds = (now - began) / 1000 + 7200;
  const edges = links.map(({ from, to, method, load: l }): Edge => {
    const flow: Flow = {
      ...figuresAt(l, seconds),
      peer: from,
      method,
      kind: 'unary',
      lastAt: now,
    };
    return { from, to, figures: added([flow]), methods: [flow], by: 'both' };
  });
  const nodes = names.map((service): MeshNode => ({
    service,
    report: 'direct',
    instances: [],
    seenBy: ['service-000'],
  }));
  return { v: 1, at: now, observer: 'service-000', nodes, edges, problems: [], leftOut: [] };
}
