// The program of an environment that is a process: in the main thread, then in a worker of it.
import { isMainThread, Worker } from 'node:worker_threads';
import { exercise } from './program.mjs';

async function worker() {
  const code = await new Promise((resolve, reject) => {
    new Worker(process.argv[1]).on('exit', resolve).on('error', reject);
  });
  if (code !== 0) throw new Error(`the worker ended with ${code}`);
}

exercise()
  .then(() => (isMainThread ? worker() : undefined))
  .then(
    () => console.log(isMainThread ? 'all well' : 'the worker is well'),
    (error) => {
      console.error(error);
      process.exitCode = 1;
    },
  );
