// Audit entries in a file.

import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { checkKeys, invalidArgument, show } from '../base/arguments.js';
import { checkCount } from '../base/values.js';
import type { Occasion, Signer } from './audit-chain.js';
import {
  auditLine,
  metricsLine,
  type MeshAuditEvent,
  type MonitoringAdapter,
} from './audit-event.js';
import { LogFile } from './log-file.js';

/** Settings of a {@link FileAdapter}. */
export interface FileAdapterOptions {
  /** The size in bytes at which a file is rotated. Default: 10 MiB. */
  maxBytes?: number | undefined;
  /** The number of rotated files that are kept: `audit.log.1`, the newest, and so on. Default: 5. */
  maxFiles?: number | undefined;
  /**
   * Whether each entry carries its number (`seq`) and the hash of the line before (`prev`), so that
   * `secure-stack-mesh audit verify` finds what was changed, removed, moved or cut off. The mesh that has the adapter
   * in `monitoring.adapters` signs checkpoints with its key. Such a file has one writer. Default: false; true for the
   * file in `paths.logsDir`.
   */
  chain?: boolean | undefined;
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
    checkKeys('options', options, ['maxBytes', 'maxFiles', 'chain']);
    const { maxBytes = 10 * 1024 * 1024, maxFiles = 5, chain = false } = options;
    if (typeof chain !== 'boolean') {
      throw invalidArgument(`options.chain must be true or false, got ${show(chain)}`);
    }
    checkCount('options.maxBytes', maxBytes, 1_024);
    checkCount('options.maxFiles', maxFiles, 0);
    const file = (name: string, path: string, chained?: boolean): LogFile =>
      new LogFile(checkPath(name, path), maxBytes, maxFiles, chained);
    this.#events = file('filePath', filePath ?? join(defaultDirectory(), 'mesh-audit.log'), chain);
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

  /** @internal Names the signer of an adapter's checkpoints. */
  static sign(adapter: FileAdapter, signer: Signer | undefined): void {
    adapter.#events.signer = signer;
  }

  /** @internal Appends a checkpoint, if the adapter has a chain and a signer. */
  static checkpoint(adapter: FileAdapter, occasion: Occasion): Promise<void> {
    return adapter.#events.checkpoint(occasion);
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
