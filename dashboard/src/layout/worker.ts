// The layout runs in a worker: it takes up to a second for hundreds of services. The worker is the page's own
// script, so that there is one file to serve and to allow.
import { place, type Placed, type Plan } from './layers';

interface Job {
  id: number;
  plan: Plan;
}

/** Answers jobs. Called where the script finds itself in a worker. */
export function serveLayouts(): void {
  self.addEventListener('message', (message: MessageEvent<Job>) => {
    const { id, plan } = message.data;
    self.postMessage({ id, placed: place(plan) });
  });
}

let worker: Worker | undefined;
let lastId = 0;
const waiting = new Map<number, (placed: Placed) => void>();

/** Computes places off the thread that draws; without workers, on it. */
export function placeAside(plan: Plan): Promise<Placed> {
  try {
    worker ??= spawn();
  } catch {
    return Promise.resolve(place(plan));
  }
  const id = ++lastId;
  return new Promise((resolve) => {
    waiting.set(id, resolve);
    worker?.postMessage({ id, plan } satisfies Job);
  });
}

function spawn(): Worker {
  const made = new Worker(import.meta.url, { type: 'module' });
  made.addEventListener('message', (message: MessageEvent<{ id: number; placed: Placed }>) => {
    waiting.get(message.data.id)?.(message.data.placed);
    waiting.delete(message.data.id);
  });
  return made;
}
