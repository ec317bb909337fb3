// Closed and open loops of calls.
import { performance } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';
import { Times } from './stats.mjs';

/** Keeps `inFlight` calls in flight for `seconds`; `took` receives the latency of each in ms. */
export async function keepCalling(call, inFlight, seconds, took) {
  const end = performance.now() + seconds * 1000;
  const one = async () => {
    let now = performance.now();
    do {
      await call();
      const after = performance.now();
      took(after - now);
      now = after;
    } while (now < end);
  };
  await Promise.all(Array.from({ length: inFlight }, one));
}

/**
 * A closed loop: keeps `inFlight` calls in flight for `seconds`.
 *
 * @returns `calls`, `seconds`, and the latencies of the calls in ms
 */
export async function closedLoop(call, inFlight, seconds) {
  const times = new Times();
  const began = performance.now();
  await keepCalling(call, inFlight, seconds, (ms) => times.add(ms));
  const took = (performance.now() - began) / 1000;
  return { calls: times.count, seconds: took, ...times.summary() };
}

const BEAT_MS = 0.2;

/**
 * An open loop: `rate` calls a second, whether or not earlier ones are answered, in small bursts on a beat of
 * 0.2 ms. A call's latency counts from its due beat, so that a pause affects every call within it (this
 * avoids coordinated omission).
 */
export async function openLoop(call, rate, seconds) {
  const times = new Times();
  const total = Math.floor(rate * seconds);
  // Node's timers have a resolution of 1 ms; a sleeping thread has a finer one.
  const beat = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads');
     const cell = new Int32Array(new SharedArrayBuffer(4));
     parentPort.once('message', () => {
       let next = performance.now();
       for (;;) {
         next += workerData;
         const wait = next - performance.now();
         if (wait > 0) Atomics.wait(cell, 0, 0, wait);
         parentPort.postMessage(0);
       }
     });`,
    { eval: true, workerData: BEAT_MS },
  );
  await new Promise((resolve) => beat.once('online', resolve));
  const began = performance.now();
  let [sent, answered] = [0, 0];
  try {
    await new Promise((resolve, reject) => {
      const one = async (due) => {
        await call();
        times.add(performance.now() - due);
        answered += 1;
        if (answered === total) resolve();
      };
      beat.on('message', () => {
        const beats = Math.floor((performance.now() - began) / BEAT_MS);
        const due = Math.min(total, Math.floor((beats * BEAT_MS * rate) / 1000));
        for (; sent < due; sent += 1) {
          const beatOfCall = Math.ceil(((sent + 1) * 1000) / rate / BEAT_MS);
          one(began + beatOfCall * BEAT_MS).catch(reject);
        }
      });
      beat.postMessage('go');
    });
  } finally {
    await beat.terminate();
  }
  return { calls: total, seconds: (performance.now() - began) / 1000, ...times.summary() };
}
