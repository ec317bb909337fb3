// The past, from the history that the admin port keeps.
import type { History, Series } from '../contract/types';

/** Steps without a point that are a gap; one may be missing because a picture came late. */
const GAP_STEPS = 3;

/** Points over time of a service: parallel arrays. */
export interface Past {
  /** Epoch milliseconds. */
  at: number[];
  rate: (number | null)[];
  failures: (number | null)[];
  p50: (number | null)[];
  p95: (number | null)[];
  p99: (number | null)[];
}

/**
 * Adds the series of several edges up. Percentiles cannot be added: each point is the mean of the edges',
 * weighted by their calls.
 */
export function combine(series: readonly Series[], stepMs: number): Past {
  const points = new Map<number, [number, number, number, number, number]>();
  for (const one of series) {
    for (let i = 0; i < one.at.length; i++) {
      const slot = Math.floor(one.at[i]! / stepMs) * stepMs;
      const point = points.get(slot) ?? [0, 0, 0, 0, 0];
      const rate = one.rate[i]!;
      point[0] += rate;
      point[1] += one.failures[i]!;
      point[2] += one.p50[i]! * rate;
      point[3] += one.p95[i]! * rate;
      point[4] += one.p99[i]! * rate;
      points.set(slot, point);
    }
  }
  const at = withGaps(
    [...points.keys()].sort((a, b) => a - b),
    stepMs,
  );
  const column = (i: 0 | 1): (number | null)[] => at.map((slot) => points.get(slot)?.[i] ?? null);
  const mean = (i: 2 | 3 | 4): (number | null)[] =>
    at.map((slot) => {
      const point = points.get(slot);
      return point !== undefined && point[0] > 0 ? point[i] / point[0] : null;
    });
  return { at, rate: column(0), failures: column(1), p50: mean(2), p95: mean(3), p99: mean(4) };
}

/** Adds a moment without values where nobody looked, so that no line leads over it. */
function withGaps(at: readonly number[], stepMs: number): number[] {
  return at.flatMap((slot, i) =>
    i > 0 && slot - at[i - 1]! > GAP_STEPS * stepMs ? [at[i - 1]! + stepMs, slot] : [slot],
  );
}

/** The past of each service: of the calls that it answers, or else of those that it makes. */
export class Pasts {
  readonly #history: History;
  readonly #into = new Map<string, Series[]>();
  readonly #out = new Map<string, Series[]>();
  readonly #made = new Map<string, Past>();

  constructor(history: History) {
    this.#history = history;
    for (const series of history.series) {
      push(this.#into, series.to, series);
      push(this.#out, series.from, series);
    }
  }

  /** Returns the past of a service; computed once. */
  of(service: string): Past {
    let past = this.#made.get(service);
    if (past === undefined) {
      const series = this.#into.get(service) ?? this.#out.get(service) ?? [];
      past = combine(series, this.#history.stepMs);
      this.#made.set(service, past);
    }
    return past;
  }
}

function push(map: Map<string, Series[]>, key: string, series: Series): void {
  const list = map.get(key);
  if (list) list.push(series);
  else map.set(key, [series]);
}
