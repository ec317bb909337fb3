// A file of lines with one writer at a time, which is rotated when it is full.

import { constants } from 'node:fs';
import { mkdir, open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { MeshError } from '../base/errors.js';
import { Chain, type Occasion, type Signer } from './audit-chain.js';

/** Enough for the last lines of a file, which are cut far below. */
const TAIL = 256 * 1024;
/** Number, hash and end of a line at their longest. */
const LINK_SIZE = 80;

/** One file with one writer at a time. */
export class LogFile {
  #handle: FileHandle | undefined;
  #size = 0;
  #tail: Promise<unknown> = Promise.resolve();
  #batch: { lines: string[]; done: Promise<void> } | undefined;

  /** The signer of checkpoints, once there is one. */
  signer: Signer | undefined;
  readonly #chain: Chain | undefined;

  /** @param chained whether the lines are a chain */
  constructor(
    readonly path: string,
    readonly maxBytes: number,
    readonly maxFiles: number,
    chained = false,
  ) {
    this.#chain = chained ? new Chain() : undefined;
  }

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
    this.#batch.lines.push(line);
    return this.#batch.done;
  }

  /** Appends a signed checkpoint, if the lines are a chain and somebody signs. */
  checkpoint(occasion: Occasion): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#chain === undefined || this.signer === undefined) return;
      this.#handle ??= await this.#open();
      if (this.#size === 0) await this.#seal('begin', this.signer);
      await this.#seal(occasion, this.signer);
    });
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
        if (this.#size > 0 && this.#size + this.#sizeOf(lines[0] as string) > this.maxBytes) {
          await this.#rotate();
          continue;
        }
        if (this.#size === 0 && this.#chain !== undefined && this.signer !== undefined) {
          await this.#seal('begin', this.signer);
        }
        await this.#put(this.#take(lines));
      }
    } catch (error) {
      // The next turn opens the file again, and may succeed.
      await this.#letGo();
      throw error;
    }
  }

  async #seal(occasion: Occasion, signer: Signer): Promise<void> {
    await this.#put(`${await (this.#chain as Chain).checkpoint(occasion, signer)}\n`);
  }

  async #put(text: string): Promise<void> {
    const bytes = Buffer.from(text);
    await writeAll(this.#handle as FileHandle, bytes);
    this.#size += bytes.length;
  }

  /** Takes as many lines as fit, at least one. */
  #take(lines: string[]): string {
    let size = this.#size;
    let text = '';
    do {
      const line = lines.shift() as string;
      size += this.#sizeOf(line);
      text += `${this.#chain?.link(line) ?? line}\n`;
    } while (lines.length > 0 && size + this.#sizeOf(lines[0] as string) <= this.maxBytes);
    return text;
  }

  #sizeOf(line: string): number {
    return Buffer.byteLength(line) + (this.#chain === undefined ? 1 : LINK_SIZE);
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
      await this.#resume(handle);
      return handle;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Continues the chain of a file, or of the one that was rotated before it. */
  async #resume(handle: FileHandle): Promise<void> {
    if (this.#chain === undefined) return;
    if (this.#size > 0) {
      await continueChain(this.#chain, handle, this.#size);
      return;
    }
    const previous = await open(`${this.path}.1`).catch(ignoreMissing);
    if (previous === undefined) return;
    try {
      await continueChain(this.#chain, previous, (await previous.stat()).size);
    } finally {
      await previous.close();
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

/** Continues a chain after the last lines of a file, the last of which may be torn. */
async function continueChain(chain: Chain, handle: FileHandle, size: number): Promise<void> {
  const length = Math.min(size, TAIL);
  const { buffer } = await handle.read(Buffer.alloc(length), 0, length, size - length);
  const end = buffer.at(-1) === 0x0a ? length - 1 : length;
  const starts = [0];
  for (let at = buffer.indexOf(0x0a); at >= 0 && at < end; at = buffer.indexOf(0x0a, at + 1)) {
    starts.push(at + 1);
  }
  for (const [index, start] of starts.slice(-2).entries()) {
    const next = starts.slice(-2)[index + 1];
    chain.continueAfter(buffer.subarray(start, next === undefined ? end : next - 1));
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}
