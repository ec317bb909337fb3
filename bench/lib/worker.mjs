// The loop of a measured process: runs one requested function after another.
import { watchLoop } from './event-loop.mjs';

const role = await import(`../roles/${process.argv[2]}.mjs`);
let stopWatching;

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
  /** Idles for some seconds. */
  rest: (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000)),
  watchLoop: () => {
    stopWatching = watchLoop();
  },
  /** The delay of the event loop since `watchLoop`. */
  loopDelay: () => stopWatching(),
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
