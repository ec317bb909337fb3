// The parts of the documents of the admin port that commands show. Any of it may be a stranger's word: members are
// read one by one, and text is escaped where it is written.

/** Calls since the start. */
export interface Figures {
  total: number;
  failed: number;
  /** Calls that took at most each of `BOUNDS_MS`, and all. */
  buckets: number[];
  inFlight: number;
}

/** The calls of one method. */
export interface Flow extends Figures {
  method: string;
}

/** Calls of one service to another. */
export interface Edge {
  from: string;
  to: string;
  figures: Figures;
  methods: Flow[];
  /** The sides that report it. */
  by: string;
}

/** A service. */
export interface Node {
  service: string;
  /** `self`, `direct` or `hearsay`. */
  report: string;
  unreachable: string;
  instances: number;
}

/** Something wrong, and what to do about it. */
export interface Problem {
  severity: string;
  reporter: string;
  text: string;
  repair: string;
}

/** `GET /api/v1/mesh`. */
export interface Picture {
  at: number;
  observer: string;
  nodes: Node[];
  edges: Edge[];
  problems: Problem[];
}

/** The bounds of the histograms, in milliseconds. */
const BOUNDS_MS = [
  0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000,
] as const;

/** Reads the picture of the mesh. */
export function picture(value: unknown): Picture {
  const raw = object(value);
  return {
    at: number(raw['at']),
    observer: text(raw['observer']),
    nodes: list(raw['nodes']).map((node) => {
      const member = object(node);
      return {
        service: text(member['service']),
        report: text(member['report']),
        unreachable: text(member['unreachable']),
        instances: list(member['instances']).length,
      };
    }),
    edges: list(raw['edges']).map((edge) => {
      const member = object(edge);
      const methods = list(member['methods']).map((flow) => ({
        ...figures(flow),
        method: text(object(flow)['method']),
      }));
      return {
        from: text(member['from']),
        to: text(member['to']),
        figures: figures(member['figures']),
        methods,
        by: text(member['by']),
      };
    }),
    problems: problems(raw['problems']),
  };
}

/** Reads problems, of a picture or of a report. */
export function problems(value: unknown): Problem[] {
  return list(value).map((problem) => {
    const member = object(problem);
    return {
      severity: text(member['severity']),
      reporter: text(member['reporter']),
      text: text(member['text']),
      repair: text(member['repair']),
    };
  });
}

/** Reads figures. */
export function figures(value: unknown): Figures {
  const raw = object(value);
  return {
    total: number(raw['total']),
    failed: number(raw['failed']),
    buckets: list(raw['buckets']).map(number),
    inFlight: number(raw['inFlight']),
  };
}

/** The calls between two moments; those since the start where a process started anew between them. */
export function between(before: Figures | undefined, now: Figures): Figures {
  if (before === undefined || now.total < before.total) return now;
  return {
    total: now.total - before.total,
    failed: Math.max(0, now.failed - before.failed),
    buckets: now.buckets.map((count, i) => Math.max(0, count - (before.buckets[i] ?? 0))),
    inFlight: now.inFlight,
  };
}

/** A percentile in milliseconds, in proportion within its bucket; undefined without calls. */
export function percentile({ buckets }: Figures, share: number): number | undefined {
  const all = buckets.at(-1) ?? 0;
  if (all === 0) return undefined;
  const rank = share * all;
  const at = buckets.findIndex((count) => count >= rank);
  const bound = BOUNDS_MS[Math.min(at, BOUNDS_MS.length - 1)] ?? 0;
  const below = BOUNDS_MS[at - 1] ?? 0;
  const [under, upTo] = [buckets[at - 1] ?? 0, buckets[at] ?? 0];
  return below + Math.max(0, bound - below) * ((rank - under) / Math.max(1, upTo - under));
}

/** The members of an object; none of anything else. */
export function object(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

/** The elements of an array; none of anything else. */
export function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A string; empty for anything else. */
export function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** A number that is not below zero; 0 for anything else. */
export function number(value: unknown): number {
  return typeof value === 'number' && value >= 0 && Number.isFinite(value) ? value : 0;
}
