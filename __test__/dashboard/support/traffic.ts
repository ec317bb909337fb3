// Counts of calls as functions of time, so that any two pictures of a world fit together.
import { BOUNDS_MS, type Figures } from '../../../dashboard/src/contract/types.js';

export interface Load {
  /** Calls in a second, on average. */
  rate: number;
  /** The median duration and the factor between it and the 84th percentile. */
  medianMs: number;
  spread: number;
  failing: number;
  code: string;
  /** A share of calls that take `slowMs` instead. */
  slow: number;
  slowMs: number;
  phase: number;
}

/** Returns a load with the usual shape. */
export function load(rate: number, medianMs: number, more: Partial<Load> = {}): Load {
  return {
    rate,
    medianMs,
    spread: 2.1,
    failing: 0.0004,
    code: 'UNAVAILABLE',
    slow: 0,
    slowMs: 500,
    phase: (rate * 7.3 + medianMs * 1.7) % 6.28,
    ...more,
  };
}

const PERIOD_S = 1500;

/** Returns the calls of a load in its first `seconds`; the rate swings by a seventh. */
function calls(l: Load, seconds: number): number {
  const w = (2 * Math.PI) / PERIOD_S;
  return Math.max(
    0,
    Math.floor(
      l.rate * (seconds - (0.14 / w) * (Math.cos(w * seconds + l.phase) - Math.cos(l.phase))),
    ),
  );
}

/** Returns the rate at a moment, with a little noise that depends on the moment only. */
export function rateAt(l: Load, seconds: number): number {
  const noise = Math.sin(seconds * 12.9898 + l.phase * 78.233) * 43758.5453;
  const swing = 0.14 * Math.sin(((2 * Math.PI) / PERIOD_S) * seconds + l.phase);
  return l.rate * (1 + swing + (noise - Math.floor(noise) - 0.5) * 0.07);
}

/** Returns the counts after so many seconds. */
export function figuresAt(l: Load, seconds: number): Figures {
  const total = calls(l, seconds);
  const failed = Math.floor(total * l.failing);
  const codes: Record<string, number> = { OK: total - failed };
  if (failed > 0) codes[l.code] = failed;
  return {
    total,
    failed,
    codes,
    buckets: [...BOUNDS_MS, Infinity].map((bound) => Math.floor(total * below(l, bound))),
    sumMs: total * mean(l),
    inFlight: Math.round(l.rate * (mean(l) / 1000)),
  };
}

/** Adds counts up. */
export function added(all: readonly Figures[]): Figures {
  const sum: Figures = { total: 0, failed: 0, codes: {}, buckets: [], sumMs: 0, inFlight: 0 };
  for (const one of all) {
    sum.total += one.total;
    sum.failed += one.failed;
    sum.sumMs += one.sumMs;
    sum.inFlight += one.inFlight;
    one.buckets.forEach((n, i) => (sum.buckets[i] = (sum.buckets[i] ?? 0) + n));
    for (const [code, n] of Object.entries(one.codes)) sum.codes[code] = (sum.codes[code] ?? 0) + n;
  }
  return sum;
}

/** Returns a percentile of the durations of a load, by bisection. */
export function percentileOf(l: Load, q: number): number {
  let [low, high] = [0.01, 20_000];
  for (let i = 0; i < 40; i++) {
    const mid = Math.sqrt(low * high);
    if (below(l, mid) < q) low = mid;
    else high = mid;
  }
  return high;
}

function mean(l: Load): number {
  return l.medianMs * 1.3 * (1 - l.slow) + l.slowMs * l.slow;
}

/** The share of calls that take at most `ms`: log-normal durations, and a slow part. */
function below(l: Load, ms: number): number {
  if (ms === Infinity) return 1;
  return (
    (1 - l.slow) * normal(Math.log(ms / l.medianMs) / Math.log(l.spread)) +
    l.slow * normal(Math.log(ms / l.slowMs) / Math.log(1.4))
  );
}

/** The normal distribution, by a logistic curve that is close enough. */
function normal(z: number): number {
  return 1 / (1 + Math.exp(-1.702 * z));
}
