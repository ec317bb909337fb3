// Reads the picture every two seconds and the history every half minute, while the tab is visible.
import { parseHistory, parsePicture, NotUnderstood } from '../contract/picture';
import { assemble } from '../figures/mesh';
import { Pasts } from '../figures/past';
import { type Reach, REACHES } from '../figures/reach';
import { Window } from '../figures/window';
import { Denied, getJson, NoAnswer } from './http';
import { current, update } from './store';

const PICTURE_MS = 2000;
const HISTORY_MS = 30_000;
/** Reading a picture may take this share of the page's time: a large mesh is read less often, but often enough. */
const BUSY_SHARE = 0.08;
const SLOWEST_MS = 8000;
/** A mesh with more edges gets its history in wider steps. */
const MANY_EDGES = 200;

let window_ = new Window();
let timer: number | undefined;
let historyAt = 0;
let running = false;

/** Begins to read. */
export function start(): void {
  document.addEventListener('visibilitychange', pollNow);
  pollNow();
}

/** Reads at once, as after a login, and then regularly. A hidden tab reads nothing. */
export function pollNow(): void {
  clearTimeout(timer);
  if (!running && !document.hidden) void poll();
}

/** Looks so far back from now on. */
export function chooseReach(reach: Reach): void {
  update({ reach });
  historyAt = 0;
  pollNow();
}

async function poll(): Promise<void> {
  running = true;
  const first = current().mesh === undefined;
  let busyMs = 0;
  try {
    busyMs = await readPicture();
    if (Date.now() - historyAt >= HISTORY_MS) await readHistory();
  } catch (error) {
    failed(error);
  } finally {
    running = false;
    if (!document.hidden) {
      const pause = Math.min(SLOWEST_MS, Math.max(PICTURE_MS, busyMs / BUSY_SHARE));
      // The second picture is the first with figures.
      timer = window.setTimeout(() => void poll(), first ? PICTURE_MS : pause);
    }
  }
}

async function readPicture(): Promise<number> {
  const { value, busyMs } = await getJson('api/v1/mesh');
  const began = performance.now();
  const picture = parsePicture(value);
  // After a pause the old pictures would make a "now" of many minutes.
  const last = current().mesh?.picture.at ?? 0;
  if (picture.at - last > 30_000) window_ = new Window();
  window_.add(picture);
  const readAt = Date.now();
  update({
    link: { phase: 'ok' },
    mesh: assemble(picture, window_),
    window: window_,
    readAt,
    clockAheadMs: picture.at > 0 ? picture.at - readAt : 0,
  });
  return busyMs + performance.now() - began;
}

async function readHistory(): Promise<void> {
  const edges = current().mesh?.edges.length ?? 0;
  const { reach } = current();
  const step = edges > MANY_EDGES ? reach.wideStep : reach.step;
  historyAt = Date.now();
  try {
    const { value } = await getJson(`api/v1/history?window=${reach.seconds}&step=${step}`);
    // The reader may have chosen another time meanwhile.
    if (current().reach !== reach) return void (historyAt = 0);
    const history = parseHistory(value);
    update({
      spanMs: history.spanMs,
      // A process that started anew may keep less.
      reach: reach.seconds * 1000 <= history.spanMs ? reach : REACHES[0],
      pasts: new Pasts(history),
      pastProblem: '',
      events: history.events.toSorted((a, b) => b.at - a.at),
    });
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    // The picture is there; only the past is not.
    update({ pastProblem: error.message });
  }
}

function failed(error: unknown): void {
  if (error instanceof Denied) {
    update({ link: { phase: 'denied' } });
    return;
  }
  const why =
    error instanceof NoAnswer || error instanceof NotUnderstood
      ? error.message
      : `The page could not read the answer: ${String(error)}`;
  const { link } = current();
  const since = link.phase === 'lost' ? link.since : Date.now();
  update({ link: { phase: 'lost', since, why } });
}
