// A service from its start to the exit code of its process.

import { constants } from 'node:os';
import { isMainThread } from 'node:worker_threads';
import { checkKeys, invalidArgument, show } from '../base/arguments.js';
import { wrapNative } from '../base/errors.js';
import { after, cancelTimer, nowMs, type Timer } from '../base/timers.js';
import { checkFunction, checkText } from '../base/values.js';
import { checkTimeout } from '../rpc/call-options.js';
import { DEFAULT_DRAIN_MS, type Engine } from './engine.js';
import { KeepAlive } from './keep-alive.js';
import { SecureMesh } from './mesh.js';

/** The options of {@link serve}. */
export interface ServeOptions {
  /**
   * The signals that stop the service; an empty array if something else does. Default: `SIGTERM` and `SIGINT`; in a
   * worker thread, which no signal reaches, none.
   */
  signals?: readonly NodeJS.Signals[] | undefined;
  /**
   * A port for the probes of Kubernetes, `/livez` and `/readyz`, and nothing else: it needs no token. A mesh with an
   * admin port (`admin`, `SECURE_MESH_ADMIN_PORT`) has both paths there, and needs no further port. Environment, for the port: `SECURE_MESH_PROBES_PORT`. Default: none.
   */
  probes?:
    | {
        /** The port to listen on; 0 lets the system choose one: `mesh.adminAddress()`. */
        port: number;
        /** The address to listen on. Default: `'0.0.0.0'`, since a kubelet connects from outside. */
        host?: string | undefined;
      }
    | undefined;
  /**
   * Called after the signal, when probes hear already that the process is not ready, and before the mesh drains: for what
   * calls the mesh from outside of its handlers, such as an HTTP server: `() => app.close()`. Its time counts as that of
   * the drain. If it throws, the service is stopped all the same, and then the promise is rejected. Default: nothing.
   */
  beforeDrain?: (() => unknown) | undefined;
  /** The time limit of running requests after the signal, in ms. Default: 10,000. */
  drainTimeoutMs?: number | undefined;
}

const KEYS = ['signals', 'probes', 'beforeDrain', 'drainTimeoutMs'] as const;
const SIGNALS: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT'];
/** The time that the application has for its own end, beside that of the drain. */
const GRACE_MS = 5_000;

/**
 * Runs a service until it is told to stop. The mesh is initialized, and the process then is ready. After the first
 * signal `/readyz` and the health service say that it is not, running requests are finished, and the mesh is cleaned
 * up. The promise is resolved after that, so that the application can close what is its own. The process exits by
 * itself, with 0; at the latest 5 s after the promise, even if something of the application still runs.
 *
 * | event | exit code |
 * |---|---|
 * | a signal, and all requests are finished in `drainTimeoutMs` | 0, or `process.exitCode` |
 * | a signal during the start, which is abandoned | 0, or `process.exitCode` |
 * | a signal, and requests still run after `drainTimeoutMs`: their `ctx.signal` is aborted | 1 |
 * | a signal, and the stop takes 5 s longer than `drainTimeoutMs` | 1, at once |
 * | a second signal | 128 and the number of the signal, at once: 143 for `SIGTERM`, 130 for `SIGINT` |
 *
 * It keeps the process alive until then, also for a mesh that only calls. If `drain()` or `cleanup()` of the mesh stops
 * the service, the promise is resolved and the exit code is left alone.
 *
 * @example
 * ```js
 * const mesh = new SecureMesh({ serviceId: 'orders', port: 50051 });
 * mesh.handle('orders.get', ({ id }) => find(id));
 * await serve(mesh, { probes: { port: 9901 } });
 * await pool.end();
 * ```
 * @throws MeshError what {@link SecureMesh.initialize} throws; `INVALID_ARGUMENT`, reason `ARGUMENT` or `CONFIG`, naming
 *   the option; `FAILED_PRECONDITION`, reason `LISTEN`, if the port of the probes is taken
 */
export async function serve(mesh: SecureMesh, options: ServeOptions = {}): Promise<void> {
  if (!(mesh instanceof SecureMesh)) {
    throw invalidArgument(`mesh must be a SecureMesh, got ${show(mesh)}`);
  }
  checkKeys('options', options, KEYS);
  const signals = signalsOf(options);
  const drainTimeoutMs = checkTimeout(options.drainTimeoutMs) || DEFAULT_DRAIN_MS;
  const engine = SecureMesh.engine(mesh);
  addProbes(engine, options.probes ?? probesOfEnvironment());
  const { beforeDrain = () => {} } = options;
  checkFunction('options.beforeDrain', beforeDrain);
  const stop = new Stop(engine, signals, beforeDrain, drainTimeoutMs);
  const alive = new KeepAlive();
  alive.set(true);
  try {
    const started = mesh.initialize();
    await Promise.race([started, stop.asked]);
    await Promise.race([engine.closed, stop.asked]);
    if (stop.isAsked) await stop.run(started);
    else stop.cancel();
  } catch (error) {
    stop.cancel();
    throw error;
  } finally {
    alive.end();
  }
}

/** The end of a service by signals. */
class Stop {
  readonly #engine: Engine;
  readonly #beforeDrain: () => unknown;
  readonly #drainTimeoutMs: number;
  readonly #listeners = new Map<NodeJS.Signals, () => void>();
  /** Resolves with the first signal. */
  readonly asked: Promise<void>;
  isAsked = false;

  constructor(
    engine: Engine,
    signals: readonly NodeJS.Signals[],
    beforeDrain: () => unknown,
    drainTimeoutMs: number,
  ) {
    this.#engine = engine;
    this.#beforeDrain = beforeDrain;
    this.#drainTimeoutMs = drainTimeoutMs;
    this.asked = new Promise((resolve) => {
      for (const signal of signals) {
        const listener = (): void => {
          // The process ends by itself and not by the signal, which has no effect on the first process of a container.
          if (this.isAsked) process.exit(128 + constants.signals[signal]);
          this.isAsked = true;
          resolve();
        };
        this.#listeners.set(signal, listener);
        process.on(signal, listener);
      }
    });
  }

  /** Drains the mesh and sets the exit code. A second signal still ends the process. */
  async run(started: Promise<void>): Promise<void> {
    const late = after(this.#drainTimeoutMs + GRACE_MS, () => process.exit(process.exitCode || 1));
    // Nobody waits for the start any more.
    const ready = this.#engine.isReady;
    started.catch(() => {});
    try {
      if (ready) await this.#drain();
    } finally {
      await this.#engine.cleanup();
      cancelTimer(late);
      if (this.#engine.router.abandoned > 0) process.exitCode ||= 1;
      else process.exitCode ??= 0;
      after(GRACE_MS, () => process.exit()).unref();
    }
  }

  async #drain(): Promise<void> {
    const begun = nowMs();
    // Probes hear of it now; those of a mesh that drains hear of that.
    this.#engine.native.setReadiness('serve', 'the service stops');
    let late: Timer | undefined;
    const tooLate = new Promise<void>((resolve) => {
      late = after(this.#drainTimeoutMs, resolve);
    });
    try {
      await Promise.race([Promise.resolve().then(this.#beforeDrain), tooLate]);
    } finally {
      cancelTimer(late);
      const left = this.#drainTimeoutMs - (nowMs() - begun);
      await this.#engine.drain({ timeoutMs: Math.max(left, 1) });
    }
  }

  /** Signals have the effect again that they had before. */
  cancel(): void {
    for (const [signal, listener] of this.#listeners) process.off(signal, listener);
  }
}

function signalsOf({ signals }: ServeOptions): readonly NodeJS.Signals[] {
  if (signals === undefined) return isMainThread ? SIGNALS : [];
  if (!Array.isArray(signals)) {
    throw invalidArgument(`options.signals must be an array of names, got ${show(signals)}`);
  }
  for (const signal of signals as unknown[]) {
    checkText('options.signals', signal);
    if (!Object.hasOwn(constants.signals, signal) || ['SIGKILL', 'SIGSTOP'].includes(signal)) {
      throw invalidArgument(
        `options.signals must name signals that a process can receive, such as 'SIGTERM', got ${show(signal)}`,
      );
    }
  }
  if (!isMainThread && signals.length > 0) {
    throw invalidArgument(
      'options.signals must be left out in a worker thread: no signal reaches it',
    );
  }
  return [...new Set(signals as NodeJS.Signals[])];
}

/** An empty variable is an unset one, and one with `tcp://` is that of a Service named `secure-mesh-probes`. */
function probesOfEnvironment(): ServeOptions['probes'] {
  const text = process.env['SECURE_MESH_PROBES_PORT']?.trim() ?? '';
  if (text === '' || text.startsWith('tcp://')) return undefined;
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return { port: Number(text) };
  throw invalidArgument(`SECURE_MESH_PROBES_PORT must be 0…65535, got ${show(text)}`);
}

function addProbes(engine: Engine, probes: ServeOptions['probes']): void {
  if (probes === undefined) return;
  checkKeys('probes', probes, ['port', 'host']);
  const { port, host = '0.0.0.0' } = probes;
  checkText('probes.host', host);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw invalidArgument(`probes.port must be 0…65535, got ${show(port)}`);
  }
  wrapNative(() => engine.native.addProbes(host, port));
}
