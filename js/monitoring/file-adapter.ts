// Audit entries in a file.

import { constants } from 'node:fs';
import { mkdir, open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { checkKeys, invalidArgument } from '../base/arguments.js';
import { MeshError } from '../base/errors.js';
import { checkCount } from '../base/values.js';
import {
  auditLine,
  metricsLine,
  type MeshAuditEvent,
  type MonitoringAdapter,
} from './audit-event.js';

/** Settings of a {@link FileAdapter}. */
export interface FileAdapterOptions {
  /** The size in bytes at which a file is rotated. Default: 10 MiB. */
  maxBytes?: number | undefined;
  /** The number of rotated files that are kept: `audit.log.1`, the newest, and so on. Default: 5. */
  maxFiles?: number | undefined;
}

/**
 * Appends audit entries to a file, one line of JSON each, and metrics to a second file, if one is given. If
 * the process ends within a line, the next start terminates the partial line, so that the next entry has a
 * line of its own.
 *
 * Files are created for their owner only (0600, directories 0700). The adapter rejects a symbolic link, a
 * directory that everybody may write to, and a file of another user, since others could replace, read or
 * delete such files. A full file is rotated, and the oldest rotated file is deleted.
 */
export class FileAdapter implements MonitoringAdapter {
  readonly #events: LogFile;
  readonly #metrics: LogFile | undefined;

  /**
   * @param filePath the file for entries. Default: `mesh-audit.log` in `SECURE_MESH_LOGS_DIR`, or in
   *   `secure-stack-mesh/logs` of the user's state directory; never below the working directory
   * @param metricsFilePath the file for metrics. Default: metrics are not kept
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
   */
  constructor(filePath?: string, metricsFilePath?: string, options: FileAdapterOptions = {}) {
    checkKeys('options', options, ['maxBytes', 'maxFiles']);
    const { maxBytes = 10 * 1024 * 1024, maxFiles = 5 } = options;
    checkCount('options.maxBytes', maxBytes, 1_024);
    checkCount('options.maxFiles', maxFiles, 0);
    const file = (name: string, path: string): LogFile =>
      new LogFile(checkPath(name, path), maxBytes, maxFiles);
    this.#events = file('filePath', filePath ?? join(defaultDirectory(), 'mesh-audit.log'));
    this.#metrics =
      metricsFilePath === undefined ? undefined : file('metricsFilePath', metricsFilePath);
  }

  /**
   * Appends an entry.
   *
   * @throws MeshError (as a rejection) `FAILED_PRECONDITION`, reason `AUDIT_DELIVERY`: the file cannot be
   *   written; the message names the file and the cause
   */
  async logEvent(event: MeshAuditEvent): Promise<void> {
    await this.#events.append(auditLine(event));
  }

  /** Appends metrics, if there is a file for them. */
  async logMetrics(metrics: any): Promise<void> {
    await this.#metrics?.append(metricsLine(metrics));
  }

  /** Resolves when all entries are on the disk. */
  async flush(): Promise<void> {
    await Promise.all([this.#events.sync(), this.#metrics?.sync()]);
  }

  /** {@link flush}, then closes the files. The next entry opens them again. */
  async close(): Promise<void> {
    await Promise.all([this.#events.close(), this.#metrics?.close()]);
  }
}

/** One file with one writer at a time. */
class LogFile {
  #handle: FileHandle | undefined;
  #size = 0;
  #tail: Promise<unknown> = Promise.resolve();
  #batch: { lines: string[]; done: Promise<void> } | undefined;

  constructor(
    readonly path: string,
    readonly maxBytes: number,
    readonly maxFiles: number,
  ) {}

  /** Appends a line. Lines that arrive during a write are written together, and fail together. */
  append(line: string): Promise<void> {
    const lines: string[] = [];
    this.#batch ??= {
      lines,
      done: this.#inTurn(() => {
        this.#batch = undefined;
        return this.#write(lines);
      }),
    };
    this.#batch.lines.push(`${line}\n`);
    return this.#batch.done;
  }

  sync(): Promise<void> {
    return this.#inTurn(() => this.#handle?.datasync());
  }

  close(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#handle?.datasync();
      await this.#letGo();
    });
  }

  #inTurn(work: () => Promise<void> | undefined): Promise<void> {
    const turn = this.#tail.then(async () => {
      try {
        await work();
      } catch (error) {
        throw this.#failure(error);
      }
    });
    // The next turn begins even if this one fails.
    this.#tail = turn.catch(() => undefined);
    return turn;
  }

  async #write(lines: string[]): Promise<void> {
    try {
      while (lines.length > 0) {
        this.#handle ??= await this.#open();
        if (this.#size > 0 && this.#size + Buffer.byteLength(lines[0] as string) > this.maxBytes) {
          await this.#rotate();
          continue;
        }
        const bytes = Buffer.from(this.#take(lines));
        await writeAll(this.#handle, bytes);
        this.#size += bytes.length;
      }
    } catch (error) {
      // The next turn opens the file again, and may succeed.
      await this.#letGo();
      throw error;
    }
  }

  /** Takes as many lines as fit, at least one. */
  #take(lines: string[]): string {
    let text = lines.shift() as string;
    let size = this.#size + Buffer.byteLength(text);
    while (lines.length > 0) {
      size += Buffer.byteLength(lines[0] as string);
      if (size > this.maxBytes) break;
      text += lines.shift() as string;
    }
    return text;
  }

  async #open(): Promise<FileHandle> {
    const directory = dirname(this.path);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await checkDirectory(directory, this.path);
    // Windows does not have these flags and does not need them; undefined becomes 0.
    const { O_APPEND, O_CREAT, O_RDWR, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants;
    const flags = O_APPEND | O_CREAT | O_RDWR | O_NOFOLLOW | O_NONBLOCK;
    const handle = await open(this.path, flags, 0o600);
    try {
      const found = await handle.stat();
      if (!found.isFile()) throw new Error('it is not a regular file');
      const me = process.getuid?.();
      if (me !== undefined && found.uid !== me && found.uid !== 0) {
        throw new Error(
          `it belongs to another user (uid ${found.uid}), who could change it; name a file that this one (uid ${me}) makes itself`,
        );
      }
      if (process.platform !== 'win32' && (found.mode & 0o077) !== 0) await handle.chmod(0o600);
      this.#size = found.size;
      if (found.size > 0) {
        const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, found.size - 1);
        if (buffer[0] !== 0x0a) {
          await writeAll(handle, Buffer.from('\n'));
          this.#size += 1;
        }
      }
      return handle;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async #rotate(): Promise<void> {
    await this.#handle?.datasync();
    await this.#letGo();
    for (let number = this.maxFiles; number > 0; number -= 1) {
      const from = number === 1 ? this.path : `${this.path}.${number - 1}`;
      await rename(from, `${this.path}.${number}`).catch(ignoreMissing);
    }
    if (this.maxFiles === 0) await rm(this.path, { force: true });
  }

  async #letGo(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }

  #failure(error: unknown): MeshError {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'ELOOP' ? 'it is a symbolic link; name the file itself' : message;
    return new MeshError('FAILED_PRECONDITION', `${this.path} cannot be written: ${why}`, {
      reason: 'AUDIT_DELIVERY',
      cause: error,
    });
  }
}

/**
 * Rejects a directory that everybody may write to, because others could replace or delete its files. In a
 * sticky directory they could create the files first.
 */
async function checkDirectory(directory: string, path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const { mode } = await stat(directory);
  if ((mode & 0o002) === 0) return;
  throw new Error(
    `everybody may write to ${directory} (mode ${(mode & 0o7777).toString(8).padStart(4, '0')}); ` +
      `run \`chmod o-w ${directory}\`, or name a file in a directory of its own, ` +
      `such as ${join(directory, 'secure-stack-mesh', basename(path))}, which is made with mode 0700`,
  );
}

async function writeAll(handle: FileHandle, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    at += (await handle.write(bytes, at)).bytesWritten;
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}

function checkPath(name: string, path: unknown): string {
  if (typeof path === 'string' && path !== '' && !path.includes('\0')) return resolve(path);
  throw invalidArgument(`${name} must be the path of a file`);
}

function defaultDirectory(): string {
  const { SECURE_MESH_LOGS_DIR, XDG_STATE_HOME, LOCALAPPDATA } = process.env;
  if (SECURE_MESH_LOGS_DIR) return SECURE_MESH_LOGS_DIR;
  const state =
    process.platform === 'win32'
      ? LOCALAPPDATA || join(homedir(), 'AppData', 'Local')
      : XDG_STATE_HOME || join(homedir(), '.local', 'state');
  return join(state, 'secure-stack-mesh', 'logs');
}
