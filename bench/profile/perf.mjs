// An interface to Linux's `perf`.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { capture } from '../../scripts/lib.mjs';

/** Samples per second and thread; a prime, so that they do not beat with timers. */
const FREQUENCY = 997;

/** Whether `perf` is installed and permitted. */
export async function hasPerf() {
  return (
    (await capture('perf', ['record', '-e', 'cpu-clock', '-o', '/dev/null', 'true'])).code === 0
  );
}

/** Begins to sample processes; returns the function that ends the sampling. */
export function record(pids, file) {
  const args = ['record', '-e', 'cpu-clock', '-F', String(FREQUENCY), '--call-graph', 'fp'];
  const child = spawn('perf', [...args, '-p', pids.join(','), '-o', file], { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.on('exit', resolve));
  return () => {
    child.kill('SIGINT');
    return ended;
  };
}

/** Calls back with each sample: `pid`, `weightUs`, and its frames from the inside out. */
export async function samples(file, body) {
  const fields = 'comm,pid,period,ip,sym,dso';
  const child = spawn('perf', ['script', '-i', file, '-F', fields], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let sample;
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === '') {
      if (sample !== undefined) body(sample);
      sample = undefined;
    } else if (line.startsWith('\t') && sample !== undefined) {
      const [, symbol, object] = /^\s*[0-9a-f]+ (.*?)(?: \(([^()]*)\))?$/.exec(line) ?? [];
      sample.frames.push({ symbol: symbol ?? '', object: object ?? '' });
    } else {
      const [, pid, period] = /\s(\d+)\s+(\d+)\s*:?\s*$/.exec(line) ?? [];
      // The period of cpu-clock is in nanoseconds.
      sample = { pid: Number(pid), weightUs: Number(period) / 1000, frames: [] };
    }
  }
  if (sample !== undefined) body(sample);
}
