// Verifies the chain of an audit log over its files.

import { createReadStream } from 'node:fs';
import { hashOf, readLink, type Link } from './audit-chain.js';

/** The longest line; entries are cut far below. */
const MAX_LINE = 1024 * 1024;
/** A process that runs signs a checkpoint each minute. */
const FRESH_MS = 150_000;
const MAX_FAULTS = 100;

/** A fault of a log. */
export interface AuditFault {
  readonly file: string;
  /** The line, from 1. */
  readonly line: number;
  /** The fault in a sentence. */
  readonly text: string;
}

/** The result of a verification. */
export interface AuditReport {
  /** The lines of the chain. */
  readonly entries: number;
  readonly checkpoints: number;
  /** The numbers of the first and the last entry. */
  readonly first: number;
  readonly last: number;
  /** The last entry that a checkpoint covers. */
  readonly signedTo: number;
  /** The service and the key of the last checkpoint. */
  readonly service: string | undefined;
  readonly thumbprint: string | undefined;
  /** Whether the log ends with the end of its process; otherwise the process runs. */
  readonly ended: boolean;
  readonly faults: readonly AuditFault[];
  /** Observations that are no faults. */
  readonly notices: readonly string[];
}

/** The state of a verification. */
class Verification {
  readonly faults: AuditFault[] = [];
  readonly notices: string[] = [];
  entries = 0;
  checkpoints = 0;
  first = 0;
  signedTo = 0;
  last: Link | undefined;
  sealed: Link | undefined;
  #hash: string | undefined;
  #stray: { file: string; line: number } | undefined;

  take(file: string, line: number, bytes: Buffer): void {
    const fault = (text: string): void => {
      if (this.faults.length < MAX_FAULTS) this.faults.push({ file, line, text });
    };
    const link = readLink(bytes);
    const hash = hashOf(bytes);
    if (link === undefined) {
      // A crash within a line leaves one. The next line proves it.
      this.#settle();
      if (this.#hash === undefined)
        fault('the log begins with a line that is no entry of its chain');
      this.#stray = { file, line };
      this.#hash = hash;
      return;
    }
    if (this.#hash === undefined) this.#begin(link, fault);
    else if (link.previous !== this.#hash) fault(this.#gap(link));
    else if (this.last !== undefined && link.number !== this.last.number + 1) {
      fault(`the entry has the number ${link.number} after ${this.last.number}`);
    } else if (this.#stray !== undefined) {
      this.notices.push(
        `${this.#stray.file}:${this.#stray.line} is no entry: the process ended while it wrote it`,
      );
      this.#stray = undefined;
    }
    this.#settle();
    if (link.checkpoint?.valid === false) {
      fault(`the signature of checkpoint ${link.number} is not that of its key`);
    } else if (link.checkpoint !== undefined) {
      this.checkpoints += 1;
      this.signedTo = link.number;
      this.sealed = link;
    }
    this.entries += 1;
    this.last = link;
    this.#hash = hash;
  }

  /** Judges the end of the log. */
  finish(file: string, line: number, now: number): boolean {
    const fault = (text: string): void => void this.faults.push({ file, line, text });
    this.#settle();
    if (this.last === undefined) {
      fault('the log has no entry with a chain');
      return false;
    }
    if (this.sealed === undefined) {
      fault('no checkpoint is signed, so everything can have been written anew');
      return false;
    }
    if (this.sealed === this.last && this.last.checkpoint?.occasion === 'end') return true;
    // Of a checkpoint, since an application may give an entry any time.
    const { time } = this.sealed;
    const age = now - time;
    if (!(Math.abs(age) < FRESH_MS)) {
      fault(
        `the log ends at entry ${this.last.number} without the checkpoint of an end, and the last checkpoint is of ` +
          `${new Date(time || 0).toISOString()}: what followed was cut off, or the process was killed`,
      );
      return false;
    }
    this.notices.push(
      `the log is in use: entries after ${this.signedTo} are signed with the next checkpoint`,
    );
    return false;
  }

  #begin(link: Link, fault: (text: string) => void): void {
    this.first = link.number;
    if (link.number === 1 && link.previous === '') return;
    if (link.checkpoint?.occasion === 'begin' && link.checkpoint.valid) {
      this.notices.push(`the log begins with entry ${link.number}: earlier files are not here`);
      return;
    }
    fault(`the log begins with entry ${link.number}: what came before is missing`);
  }

  #gap(link: Link): string {
    const before = this.last?.number ?? 0;
    if (link.number === before + 1) {
      return `entry ${before} is not the one that was written: it was changed, or lines beside it were`;
    }
    if (link.number > before + 1) {
      const [from, to] = [before + 1, link.number - 1];
      return from === to ? `entry ${from} is missing` : `entries ${from} to ${to} are missing`;
    }
    return `entry ${link.number} follows entry ${before}: lines were moved or repeated`;
  }

  /** A stray line that no next line has proved. */
  #settle(): void {
    if (this.#stray === undefined) return;
    if (this.faults.length < MAX_FAULTS) {
      this.faults.push({
        ...this.#stray,
        text: 'the line is no entry of the chain: it was changed',
      });
    }
    this.#stray = undefined;
  }
}

/**
 * Verifies a log.
 *
 * @param files its files, the oldest first
 * @param now the current time, in milliseconds since 1970
 */
export async function verifyAudit(files: readonly string[], now: number): Promise<AuditReport> {
  const state = new Verification();
  let place = { file: files.at(-1) ?? '', line: 0 };
  for (const file of files) {
    let line = 0;
    for await (const bytes of linesOf(file)) {
      line += 1;
      place = { file, line };
      state.take(file, line, bytes);
    }
  }
  const ended = state.finish(place.file, place.line, now);
  return {
    entries: state.entries,
    checkpoints: state.checkpoints,
    first: state.first,
    last: state.last?.number ?? 0,
    signedTo: state.signedTo,
    service: state.sealed?.checkpoint?.service,
    thumbprint: state.sealed?.checkpoint?.thumbprint,
    ended,
    faults: state.faults,
    notices: state.notices,
  };
}

/** The lines of a file without their ends; the last one with whatever is there instead of an end. */
async function* linesOf(file: string): AsyncGenerator<Buffer> {
  let rest = Buffer.alloc(0);
  for await (const chunk of createReadStream(file)) {
    let bytes = Buffer.concat([rest, chunk as Buffer]);
    for (let at = bytes.indexOf(0x0a); at >= 0; at = bytes.indexOf(0x0a)) {
      yield bytes.subarray(0, at);
      bytes = bytes.subarray(at + 1);
    }
    if (bytes.length > MAX_LINE) {
      yield bytes;
      throw new Error(`${file} has a line of more than ${MAX_LINE} bytes: it is no audit log`);
    }
    rest = bytes;
  }
  // A last line without its end is not what was written.
  if (rest.length > 0) yield Buffer.concat([rest, Buffer.from('\0')]);
}
