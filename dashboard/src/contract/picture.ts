// The answers of the admin port: parsed and bounded.
import { flow, figures, problem, report } from './report';
import { choice, list, maybeString, moment, number, object, string } from './read';
import type { Edge, History, LiveCall, MeshEvent, MeshNode, MeshPicture, Series } from './types';

/** The most of each that the page keeps. A mesh of 200 services has some 2,000 edges. */
export const MAX_NODES = 1000;
export const MAX_EDGES = 5000;
const MAX_PROBLEMS = 500;
const MAX_EVENTS = 2000;
const MAX_POINTS = 1000;

/** An answer that is no picture of a mesh. */
export class NotUnderstood extends Error {}

/** Reads `GET /api/v1/mesh`. Throws `NotUnderstood` for another document. */
export function parsePicture(value: unknown): MeshPicture {
  const raw = object(value);
  if (raw['v'] !== 1) {
    throw new NotUnderstood('The answer is not version 1 of the mesh picture.');
  }
  const leftOut: string[] = [];
  const nodes = unique(
    bounded(raw['nodes'], MAX_NODES, 'services', leftOut, node).filter((n) => n.service !== ''),
    (n) => n.service,
  );
  const edges = unique(
    bounded(raw['edges'], MAX_EDGES, 'edges', leftOut, edge).filter(
      (e) => e.from !== '' && e.to !== '',
    ),
    (e) => `${e.from}\n${e.to}`,
  );
  return {
    at: moment(raw['at']),
    observer: string(raw['observer'], '(unnamed)'),
    nodes: withEnds(nodes, edges),
    edges,
    problems: bounded(raw['problems'], MAX_PROBLEMS, 'problems', leftOut, problem),
    leftOut,
  };
}

function node(value: unknown): MeshNode {
  const raw = object(value);
  return {
    service: string(raw['service']),
    report: choice(raw['report'], ['hearsay', 'direct', 'self']),
    unreachable: maybeString(raw['unreachable']),
    repair: maybeString(raw['repair']),
    instances: list(raw['instances'], 100, report),
    seenBy: list(raw['seenBy'], 100, (x) => string(x)),
  };
}

function edge(value: unknown): Edge {
  const raw = object(value);
  return {
    from: string(raw['from']),
    to: string(raw['to']),
    figures: figures(raw['figures']),
    methods: list(raw['methods'], 500, flow),
    by: choice(raw['by'], ['caller', 'callee', 'both']),
  };
}

function bounded<T>(
  value: unknown,
  max: number,
  name: string,
  leftOut: string[],
  read: (element: unknown) => T,
): T[] {
  if (Array.isArray(value) && value.length > max) {
    const [claimed, kept] = [value.length, max].map((n) => n.toLocaleString('en'));
    leftOut.push(`The answer names ${claimed} ${name}; the page shows the first ${kept}.`);
  }
  return list(value, max, read);
}

function unique<T>(items: T[], key: (item: T) => string): T[] {
  return [...new Map(items.map((item) => [key(item), item])).values()];
}

/** Adds the services that only an edge names, up to the bound. */
function withEnds(nodes: MeshNode[], edges: readonly Edge[]): MeshNode[] {
  const known = new Set(nodes.map((n) => n.service));
  const all = [...nodes];
  for (const { from, to } of edges) {
    for (const [service, seenBy] of [
      [from, to],
      [to, from],
    ] as const) {
      if (known.has(service) || all.length >= MAX_NODES) continue;
      known.add(service);
      all.push({ service, report: 'hearsay', instances: [], seenBy: [seenBy] });
    }
  }
  return all;
}

/** Reads `GET /api/v1/history`. */
export function parseHistory(value: unknown): History {
  const raw = object(value);
  return {
    stepMs: number(raw['stepMs'], 10_000, 1),
    spanMs: number(raw['spanMs'], 3_600_000, 1),
    series: list(raw['series'], MAX_EDGES, series),
    events: list(raw['events'], MAX_EVENTS, parseEvent),
  };
}

function series(value: unknown): Series {
  const raw = object(value);
  const at = list(raw['at'], MAX_POINTS, moment);
  // Arrays of other lengths than `at` would draw points at no time.
  const column = (name: string): number[] => {
    const given = list(raw[name], at.length, (x) => number(x));
    return at.map((_, i) => given[i] ?? 0);
  };
  return {
    from: string(raw['from']),
    to: string(raw['to']),
    at,
    rate: column('rate'),
    failures: column('failures'),
    p50: column('p50'),
    p95: column('p95'),
    p99: column('p99'),
  };
}

/** Reads an event of the mesh. */
export function parseEvent(value: unknown): MeshEvent {
  const raw = object(value);
  return {
    at: moment(raw['at']),
    kind: string(raw['kind'], 'event', 40),
    service: string(raw['service']),
    subject: string(raw['subject']),
    text: string(raw['text'], '', 600),
  };
}

/** Reads a call of the live stream. */
export function parseCall(value: unknown): LiveCall {
  const raw = object(value);
  return {
    at: moment(raw['at']),
    direction: choice(raw['direction'], ['in', 'out']),
    peer: string(raw['peer'], '(unnamed)'),
    method: string(raw['method'], '(unnamed)'),
    code: string(raw['code'], 'UNKNOWN', 60),
    reason: maybeString(raw['reason']),
    ms: number(raw['ms']),
    traceId: maybeString(raw['traceId']),
  };
}

/** Reads how many events of the live stream were left out. */
export function parseGap(value: unknown): number {
  return number(object(value)['missed']);
}
