// Places and curves of the topology are computed in a worker: with hundreds of services they take up to a second.
// The worker is the page's own script, so that there is one file to serve and to allow.
import { place, type Placed, type Plan } from './layers';
import { paint, type Sheet } from './strokes';

type Job =
  | { type: 'place'; id: number; plan: Plan }
  | { type: 'take'; id: number; canvas: OffscreenCanvas }
  | { type: 'paint'; id: number; sheet: Sheet }
  | { type: 'drop'; id: number };

/** Does jobs. Called where the script finds itself in a worker. */
export function serveJobs(): void {
  const canvases = new Map<number, OffscreenCanvas>();
  self.addEventListener('message', ({ data: job }: MessageEvent<Job>) => {
    if (job.type === 'place') self.postMessage({ id: job.id, placed: place(job.plan) });
    else if (job.type === 'take') canvases.set(job.id, job.canvas);
    else if (job.type === 'drop') canvases.delete(job.id);
    else {
      const canvas = canvases.get(job.id);
      if (canvas !== undefined) paint(canvas, job.sheet);
    }
  });
}

let worker: Worker | undefined;
let lastId = 0;
const waiting = new Map<number, (placed: Placed) => void>();

/** Computes places. */
export function placeAside(plan: Plan): Promise<Placed> {
  const id = ++lastId;
  return new Promise((resolve) => {
    waiting.set(id, resolve);
    send({ type: 'place', id, plan });
  });
}

/** A canvas that the worker draws. */
export class Canvas {
  readonly #id = ++lastId;

  /** Takes an element over; it can be taken once. */
  constructor(element: HTMLCanvasElement) {
    const canvas = element.transferControlToOffscreen();
    send({ type: 'take', id: this.#id, canvas }, [canvas]);
  }

  /** Draws a picture in place of the one before. */
  paint(sheet: Sheet): void {
    send({ type: 'paint', id: this.#id, sheet });
  }

  /** Forgets the element. */
  drop(): void {
    send({ type: 'drop', id: this.#id });
  }
}

function send(job: Job, transfer: Transferable[] = []): void {
  worker ??= spawn();
  worker.postMessage(job, transfer);
}

function spawn(): Worker {
  const made = new Worker(import.meta.url, { type: 'module' });
  made.addEventListener('message', (message: MessageEvent<{ id: number; placed: Placed }>) => {
    waiting.get(message.data.id)?.(message.data.placed);
    waiting.delete(message.data.id);
  });
  return made;
}
