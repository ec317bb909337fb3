// The honest side of an attack: a process with the published package, and the system's figures about that
// process.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../../scripts/lib.mjs';

const MIB = 1024 * 1024;
/** Figures that only ever grow, by the last word of their names. */
const TOTALS = /(Failed|Succeeded|Operations|Discarded|Resumed|Total)$/;

/** An error of the package, as data. */
export interface PlainError {
  name: string;
  message: string;
  code: string;
  reason: string;
  retryable: boolean;
  remote: boolean;
  service?: string;
  attempts?: number;
  data?: unknown;
}

/** The outcome of an operation that can fail. */
export interface Outcome {
  result?: any;
  error?: PlainError;
  found?: unknown[];
  sent?: number;
}

export class Honest {
  #next = 1;
  readonly #waiting = new Map<
    number,
    { resolve: (result: any) => void; reject: (error: Error) => void }
  >();
  /** The output of the process. */
  output = '';
  /** Set when the process is over. */
  ended: { code: number | null; signal: string | null } | null = null;
  port = 0;

  private constructor(
    readonly child: ChildProcess,
    readonly id: string,
    readonly keysDir: string,
  ) {
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    }
    child.on('message', ({ id, result, error }: any) => {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(result);
      else waiting?.reject(new Error(error));
    });
    child.on('exit', (code, signal) => {
      this.ended = { code, signal };
      const error = new Error(`${id} ended with ${signal ?? code}: ${this.output}`);
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    });
  }

  /**
   * Starts a process whose mesh has the options `mesh`. It has a key directory of its own, unless one is given.
   */
  static async start(
    mesh: { serviceId: string; [option: string]: unknown },
    { keysDir, flags = [] }: { keysDir?: string; flags?: string[] } = {},
  ): Promise<Honest> {
    const dir = keysDir ?? mkdtempSync(join(tmpdir(), 'secure-stack-mesh-attack-'));
    const file = join(root, '__test__', 'fixtures', 'attacked.cjs');
    const settings = JSON.stringify({ keysDir: dir, mesh });
    const child = spawn(process.execPath, ['--expose-gc', ...flags, file, settings], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const honest = new Honest(child, mesh.serviceId, dir);
    const address = await honest.#wait(0, 20_000);
    honest.port = address?.port ?? 0;
    return honest;
  }

  #wait(id: number, ms: number): Promise<any> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Error(`${this.id} did not answer within ${ms} ms: ${this.output}`));
      }, ms);
      this.#waiting.set(id, {
        resolve: (result) => (clearTimeout(timer), resolve(result)),
        reject: (error) => (clearTimeout(timer), reject(error)),
      });
    });
  }

  ask(act: string, args: object = {}, ms = 15_000): Promise<any> {
    const id = this.#next++;
    const answer = this.#wait(id, ms);
    this.child.send({ id, act, args });
    return answer;
  }
  call(service: string, method: string, input?: unknown, options: object = {}): Promise<Outcome> {
    return this.ask('call', { service, method, input, options });
  }
  /** Makes a call, and measures its duration in the calling process, in ms. */
  async timed(
    service: string,
    method: string,
    input: unknown,
  ): Promise<Outcome & { took: number }> {
    return this.ask('call', { service, method, input });
  }
  /** The longest block of the event loop since the previous request, in ms. */
  held(): Promise<number> {
    return this.ask('held');
  }

  /**
   * The figures that must be at their baseline without clients: every figure of the mesh that is not a total,
   * and the number of running handlers.
   */
  async gauges(): Promise<Record<string, number>> {
    const { stats, details, running } = await this.ask('gauges');
    const gauges: Record<string, number> = {
      running,
      activeSessions: stats.activeSessions,
      peers: stats.peers.length,
      connections: stats.metrics.connections.active,
    };
    for (const [name, value] of Object.entries(details)) {
      if (typeof value === 'number' && !TOTALS.test(name)) gauges[name] = value;
    }
    return gauges;
  }

  get pid(): number {
    return this.child.pid!;
  }
  #status(name: string): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024;
  }
  /** Resident memory now, in MiB. */
  resident(): number {
    return this.#status('VmRSS');
  }
  /** The most resident memory since {@link resetPeak}, in MiB. */
  peak(): number {
    return this.#status('VmHWM');
  }
  resetPeak(): void {
    writeFileSync(`/proc/${this.pid}/clear_refs`, '5');
  }
  /** Open file descriptors. */
  descriptors(): number {
    return readdirSync(`/proc/${this.pid}/fd`).length;
  }

  kill(): void {
    this.child.kill('SIGKILL');
    rmSync(this.keysDir, { recursive: true, force: true });
  }
}

export { MIB };
