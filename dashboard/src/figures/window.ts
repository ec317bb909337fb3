// Rates and percentiles of the last seconds, from the differences of two pictures of counts that only grow.
import { BOUNDS_MS, type Edge, type Figures, type Flow, type MeshPicture } from '../contract/types';

/** How far back the figures called "now" reach. Shorter windows make numbers jump. */
export const WINDOW_MS = 10_000;

/** The calls of a span of time. */
export interface Span {
  /** The length of the span, in milliseconds. */
  ms: number;
  calls: number;
  failed: number;
  /** Cumulative counts, as in `Figures`. */
  buckets: number[];
  inFlight: number;
}

/** One picture, with the places of its edges and the processes that it counts. */
interface Frame {
  picture: MeshPicture;
  edges: Map<string, Edge>;
  processes: Map<string, string>;
}

/** Returns the name of an edge in maps. */
export function edgeKey(from: string, to: string): string {
  return `${from}\n${to}`;
}

/** The pictures of the last seconds. */
export class Window {
  #frames: Frame[] = [];

  /** Adds a picture. One that is not newer than the last replaces all of them: the clock was set back. */
  add(picture: MeshPicture): void {
    const last = this.#frames.at(-1);
    if (last !== undefined && picture.at < last.picture.at) this.#frames = [];
    if (last !== undefined && picture.at === last.picture.at) this.#frames.pop();
    this.#frames.push({
      picture,
      edges: new Map(picture.edges.map((edge) => [edgeKey(edge.from, edge.to), edge])),
      processes: new Map(
        picture.nodes.map((node) => [
          node.service,
          node.instances
            .map((report) => report.instance)
            .sort()
            .join(),
        ]),
      ),
    });
    // One picture at or beyond the edge of the window stays, as the baseline.
    while (this.#frames.length > 2 && picture.at - this.#frames[1]!.picture.at >= WINDOW_MS) {
      this.#frames.shift();
    }
  }

  /** Returns the calls of an edge, or undefined where there is nothing yet to compare with. */
  edge(from: string, to: string): Span | undefined {
    return this.#span(from, to, (edge) => edge.figures);
  }

  /** Returns the calls of one method of an edge. */
  method(from: string, to: string, method: string): Span | undefined {
    return this.#span(from, to, (edge) =>
      edge.methods.find((flow: Flow) => flow.method === method),
    );
  }

  /**
   * Walks back while the counts are comparable: a process that starts, ends or stops answering changes the
   * sums of its edges by more than its calls.
   */
  #span(from: string, to: string, of: (edge: Edge) => Figures | undefined): Span | undefined {
    const key = edgeKey(from, to);
    const newest = this.#frames.at(-1);
    const edge = newest?.edges.get(key);
    const now = edge && of(edge);
    if (newest === undefined || now === undefined) return undefined;
    let base: { figures: Figures; at: number } | undefined;
    let later = now;
    for (let i = this.#frames.length - 2; i >= 0; i--) {
      const frame = this.#frames[i]!;
      const earlier = frame.edges.get(key);
      const figures = earlier && of(earlier);
      if (figures === undefined || figures.total > later.total) break;
      if (frame.processes.get(from) !== newest.processes.get(from)) break;
      if (frame.processes.get(to) !== newest.processes.get(to)) break;
      base = { figures, at: frame.picture.at };
      later = figures;
    }
    if (base === undefined) return undefined;
    return difference(now, base.figures, newest.picture.at - base.at);
  }
}

function difference(now: Figures, base: Figures, ms: number): Span {
  return {
    ms,
    calls: now.total - base.total,
    failed: Math.max(0, now.failed - base.failed),
    buckets: now.buckets.map((count, i) => Math.max(0, count - base.buckets[i]!)),
    inFlight: now.inFlight,
  };
}

/** Adds spans of about the same time up; undefined where there is none. */
export function sum(spans: readonly (Span | undefined)[]): Span | undefined {
  const known = spans.filter((span): span is Span => span !== undefined);
  if (known.length === 0) return undefined;
  const ms = Math.max(...known.map((span) => span.ms));
  const all: Span = {
    ms,
    calls: 0,
    failed: 0,
    buckets: BOUNDS_MS.map(() => 0).concat(0),
    inFlight: 0,
  };
  for (const span of known) {
    // A span that began later stands for as many calls as it would have had in the whole time.
    const scale = span.ms > 0 ? ms / span.ms : 1;
    all.calls += span.calls * scale;
    all.failed += span.failed * scale;
    all.inFlight += span.inFlight;
    for (let i = 0; i < all.buckets.length; i++) all.buckets[i]! += span.buckets[i]! * scale;
  }
  return all;
}

/** Returns the calls in a second. */
export function perSecond(span: Span | undefined): number | undefined {
  return span === undefined || span.ms <= 0 ? undefined : (span.calls * 1000) / span.ms;
}

/** Returns the share of calls that succeeded, 0 to 1; undefined where there was none. */
export function success(span: Span | undefined): number | undefined {
  if (span === undefined || span.calls <= 0) return undefined;
  return Math.max(0, 1 - span.failed / span.calls);
}

/**
 * Returns the duration that the share `q` of calls did not exceed, in milliseconds: by linear interpolation
 * within its bucket. Infinity stands for more than the last bound.
 */
export function percentile(span: Span | undefined, q: number): number | undefined {
  const buckets = span?.buckets ?? [];
  const all = buckets.at(-1) ?? 0;
  if (all <= 0) return undefined;
  const rank = q * all;
  const i = buckets.findIndex((count) => count >= rank && count > 0);
  if (i < 0 || i >= BOUNDS_MS.length) return Infinity;
  const [low, high] = [i === 0 ? 0 : BOUNDS_MS[i - 1]!, BOUNDS_MS[i]!];
  const below = i === 0 ? 0 : buckets[i - 1]!;
  const inside = buckets[i]! - below;
  return inside <= 0 ? high : low + (high - low) * ((rank - below) / inside);
}
