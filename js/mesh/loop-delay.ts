// The delay of the event loop, for those who read the metrics of the mesh.

import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks';
import { cancelTimer, every, type Timer } from '../base/timers.js';

/** How often the delay is measured: a coarse timer costs nothing that can be measured. */
const RESOLUTION_MS = 20;
const STEP_MS = 5_000;
const NS = 1e9;

/** The part of the core that keeps the delay. */
interface Figures {
  setEventLoopDelay(seconds: number): void;
}

/** Measures the longest delay of the event loop in each few seconds. */
export class LoopDelay {
  readonly #figures: Figures;
  #histogram: IntervalHistogram | undefined;
  #timer: Timer | undefined;

  constructor(figures: Figures) {
    this.#figures = figures;
  }

  /** Begins to measure. It does not keep the process alive. */
  begin(): void {
    if (this.#histogram !== undefined) return;
    // Other runtimes may not have it.
    if (typeof monitorEventLoopDelay !== 'function') return;
    const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    histogram.enable();
    this.#histogram = histogram;
    this.#timer = every(STEP_MS, () => {
      // The histogram has the time between two ticks; without one it is empty.
      const longest = histogram.count === 0 ? 0 : histogram.max / NS - RESOLUTION_MS / 1000;
      this.#figures.setEventLoopDelay(Math.max(0, longest));
      histogram.reset();
    }).unref();
  }

  /** Measures no more. */
  stop(): void {
    cancelTimer(this.#timer);
    this.#histogram?.disable();
    this.#histogram = undefined;
  }
}
