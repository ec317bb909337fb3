// Inside a measured process: does what it is told, one message at a time.
import { monitorEventLoopDelay } from 'node:perf_hooks';

const role = await import(`../roles/${process.argv[2]}.mjs`);
let delay;

const common = {
  usage: () => {
    const { user, system } = process.cpuUsage();
    return { cpuUs: user + system, rss: process.memoryUsage.rss() };
  },
  /** Collects garbage, so that memory can be compared. */
  settle: async () => {
    for (let turn = 0; turn < 3; turn += 1) {
      globalThis.gc();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return process.memoryUsage.rss();
  },
  /** Does nothing for so long. */
  rest: (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000)),
  watchLoop: () => {
    delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
  },
  /** How late the loop was since `watchLoop`, in ms; a timer's own millisecond left out. */
  loopDelay: () => {
    delay.disable();
    const late = (ns) => Math.max(0, ns / 1e6 - 1);
    return {
      max: late(delay.max),
      p99: late(delay.percentile(99)),
      p50: late(delay.percentile(50)),
    };
  },
};

process.on('message', async ({ id, name, args }) => {
  try {
    const value = await (role[name] ?? common[name])(...args);
    process.send({ id, value });
  } catch (error) {
    process.send({ id, error: error?.stack ?? String(error) });
  }
});
process.on('disconnect', () => process.exit());
