// The picture with its figures of now: the form in which the views read it.
import type { Edge, MeshNode, MeshPicture, Problem, Report } from '../contract/types';
import { byHealth, type Health, ofSeverity, ofSuccess, worst } from './health';
import { percentile, perSecond, type Span, success, sum, type Window } from './window';

/** Figures of now; undefined where there is nothing to compute them from. */
export interface Now {
  rate: number | undefined;
  success: number | undefined;
  p50: number | undefined;
  p95: number | undefined;
  p99: number | undefined;
  inFlight: number;
}

export interface MeshEdge {
  edge: Edge;
  now: Now;
  span: Span | undefined;
  health: Health;
}

export interface Service {
  name: string;
  node: MeshNode;
  /** Of the calls that it answers; where nothing calls it, of the calls that it makes. */
  now: Now;
  basis: 'in' | 'out' | 'none';
  health: Health;
  problems: Problem[];
  callers: MeshEdge[];
  callees: MeshEdge[];
}

export interface Mesh {
  picture: MeshPicture;
  services: Map<string, Service>;
  edges: MeshEdge[];
  total: Now;
}

/** Returns the figures of a span. */
export function figuresOf(span: Span | undefined): Now {
  return {
    rate: perSecond(span),
    success: success(span),
    p50: percentile(span, 0.5),
    p95: percentile(span, 0.95),
    p99: percentile(span, 0.99),
    inFlight: span?.inFlight ?? 0,
  };
}

/** Puts a picture and the figures of its window together. */
export function assemble(picture: MeshPicture, window: Window): Mesh {
  const edges = picture.edges.map((edge): MeshEdge => {
    const span = window.edge(edge.from, edge.to);
    const now = figuresOf(span);
    return { edge, now, span, health: ofSuccess(now.success) };
  });
  const callers = grouped(edges, (e) => e.edge.to);
  const callees = grouped(edges, (e) => e.edge.from);
  const problems = grouped(picture.problems, subjects(picture));
  const services = new Map<string, Service>();
  for (const node of picture.nodes) {
    const name = node.service;
    const [into, out] = [callers.get(name) ?? [], callees.get(name) ?? []];
    const basis = into.length > 0 ? 'in' : out.length > 0 ? 'out' : 'none';
    const now = figuresOf(sum((basis === 'in' ? into : out).map((e) => e.span)));
    const own = problems.get(name) ?? [];
    const states = own.map((problem) => ofSeverity(problem.severity));
    // A caller is not broken because what it calls is.
    if (basis === 'in') states.push(ofSuccess(now.success));
    else states.push(node.report === 'hearsay' ? 'unknown' : 'ok');
    services.set(name, {
      name,
      node,
      now,
      basis,
      health: worst(states),
      problems: own,
      callers: into,
      callees: out,
    });
  }
  return { picture, services, edges, total: figuresOf(sum(edges.map((e) => e.span))) };
}

function grouped<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const name = key(item);
    const group = groups.get(name);
    if (group) group.push(item);
    else groups.set(name, [item]);
  }
  return groups;
}

/**
 * Returns a function that finds the service that a problem is about. The subject of a problem is a service,
 * an instance, an address, a peer or a method; a subject that the picture does not know is the reporter's.
 */
export function subjects(picture: MeshPicture): (problem: Problem) => string {
  const owner = new Map<string, string>();
  for (const { to, methods } of picture.edges) {
    for (const { method } of methods) {
      // A method that two services have identifies neither.
      const known = owner.get(method);
      owner.set(method, known === undefined || known === to ? to : '');
    }
  }
  for (const node of picture.nodes) {
    for (const report of node.instances) {
      for (const seen of report.instances) {
        owner.set(seen.address, seen.service);
        if (seen.instance !== undefined) owner.set(seen.instance, seen.service);
      }
      owner.set(report.instance, node.service);
      if (report.address !== undefined) owner.set(report.address, node.service);
    }
  }
  for (const node of picture.nodes) owner.set(node.service, node.service);
  return (problem) => {
    const { kind, subject, reporter } = problem;
    // A stranger chooses the name that it is refused under: the problem is the reporter's.
    if (kind === 'peer-refused') return reporter;
    const whole = owner.get(subject);
    if (whole) return whole;
    for (const word of subject.split(/[\s/@,()]+/)) {
      const known = owner.get(word);
      if (known) return known;
    }
    return reporter;
  };
}

/** The processes of a service that have reported, the newest first. */
export function reports(service: Service): Report[] {
  return service.node.instances.toSorted((a, b) => b.startedAt - a.startedAt);
}

/** Compares services: the worse first, then the busier. */
export function byTrouble(a: Service, b: Service): number {
  return byHealth(a.health, b.health) || (b.now.rate ?? 0) - (a.now.rate ?? 0);
}
