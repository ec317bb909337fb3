// The measured processes, as the measuring process controls them.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const WORKER = fileURLToPath(new URL('worker.mjs', import.meta.url));
const running = new Set();

/**
 * Starts a process that runs the functions of a file in roles/.
 *
 * @param role the file's name without its ending
 * @param options.execArgv additional options of Node
 * @param options.env additional variables
 * @returns `run(name, ...arguments)` for its functions, `usage()`, `stop()`
 */
export function start(role, { execArgv = [], env = {} } = {}) {
  const child = fork(WORKER, [role], {
    execArgv: ['--expose-gc', ...execArgv],
    env: { ...process.env, ...env },
    serialization: 'advanced',
  });
  running.add(child);
  const waiting = new Map();
  let last = 0;
  child.on('message', ({ id, value, error }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) resolve(value);
    else reject(new Error(`${role}: ${error}`));
  });
  child.on('exit', (code, signal) => {
    running.delete(child);
    for (const { reject } of waiting.values()) {
      reject(new Error(`${role}: the process ended (${signal ?? code})`));
    }
    waiting.clear();
  });
  const run = (name, ...args) =>
    new Promise((resolve, reject) => {
      last += 1;
      waiting.set(last, { resolve, reject });
      child.send({ id: last, name, args });
    });
  return {
    pid: child.pid,
    run,
    /** The usage of the process so far: `cpuUs`, `rss` in bytes. */
    usage: () => run('usage'),
    stop: () =>
      new Promise((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) return resolve();
        child.once('exit', resolve);
        child.kill('SIGKILL');
      }),
  };
}

/** Ends every remaining process. */
export function stopAll() {
  for (const child of running) child.kill('SIGKILL');
}
