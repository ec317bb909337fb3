// The delay of the event loop.
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';

/**
 * The time in ms for which this thread was ready to run and had no core; 0 if the system does not report it.
 */
function waitedForCoreMs() {
  try {
    return Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[1]) / 1e6;
  } catch {
    return 0;
  }
}

/**
 * Observes the event loop and returns a function that ends the observation. That function returns, in ms and
 * without the timer's own millisecond, `p50`, `p99` and `max` of `monitorEventLoopDelay`, and `held`: the
 * longest block by this process itself, without its waits for a core.
 */
export function watchLoop() {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  let held = 0;
  let [last, lastWaited] = [performance.now(), waitedForCoreMs()];
  const sampler = setInterval(() => {
    const [now, waited] = [performance.now(), waitedForCoreMs()];
    held = Math.max(held, now - last - (waited - lastWaited));
    [last, lastWaited] = [now, waited];
  }, 1);
  delay.enable();
  return () => {
    delay.disable();
    clearInterval(sampler);
    const late = (ms) => Math.max(0, ms - 1);
    return {
      p50: late(delay.percentile(50) / 1e6),
      p99: late(delay.percentile(99) / 1e6),
      max: late(delay.max / 1e6),
      held: late(held),
    };
  };
}
