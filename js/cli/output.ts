// The output of commands: results on stdout, faults and progress on stderr.

import { MeshError } from '../index.js';
import { CommandError, USAGE } from './exits.js';
import { repairOf } from './repairs.js';
import { oneLine, printable, toJson } from './text.js';

type Colour = 'red' | 'yellow' | 'green' | 'grey' | 'bold';

const CODES: Readonly<Record<Colour, number>> = {
  red: 31,
  yellow: 33,
  green: 32,
  grey: 90,
  bold: 1,
};

/** An error in the form of `--json`. */
interface ErrorDocument {
  code: string;
  reason: string;
  message: string;
  repair: string;
  retryable: boolean;
  remote: boolean;
  [further: string]: unknown;
}

/** Writes the output of one command. */
export class Output {
  /** @param json whether stdout gets one JSON document instead of text */
  constructor(readonly json: boolean) {}

  /** Writes a line of text to stdout, without `--json`. */
  line(text = ''): void {
    if (!this.json) process.stdout.write(`${text}\n`);
  }

  /** Writes the document to stdout, with `--json`. */
  document(value: unknown): void {
    if (this.json) process.stdout.write(`${toJson(value, 2)}\n`);
  }

  /** Writes a line of JSON to stdout, with any options. */
  item(value: unknown): void {
    process.stdout.write(`${toJson(value)}\n`);
  }

  /** Writes progress to stderr, if that is a terminal. */
  progress(text: string): void {
    if (process.stderr.isTTY) process.stderr.write(`${printable(text)}\n`);
  }

  /** Writes a remark to stderr. */
  remark(text: string): void {
    process.stderr.write(`${printable(text)}\n`);
  }

  /** Colours a string for stdout, if that is a terminal and colours are permitted. */
  paint(colour: Colour, text: string, stream: NodeJS.WriteStream = process.stdout): string {
    const { NO_COLOR, TERM } = process.env;
    const plain = !stream.isTTY || (NO_COLOR !== undefined && NO_COLOR !== '') || TERM === 'dumb';
    return plain ? text : `\u001b[${CODES[colour]}m${text}\u001b[0m`;
  }

  /** Reports the error that ends the command. */
  failed(error: unknown): void {
    const document = errorDocument(error);
    const { code, reason, message, repair, remote, errorId, data } = document;
    this.document({ error: document });
    const head = this.paint('red', 'error', process.stderr);
    const kind = reason === code ? code : `${code} ${reason}`;
    const lines = [`${head}: ${oneLine(kind)}: ${remote ? oneLine(message) : printable(message)}`];
    if (data !== undefined) lines.push(`  data: ${toJson(data)}`);
    if (errorId !== undefined) lines.push(`  error id: ${oneLine(String(errorId))}`);
    if (repair !== '') lines.push(`  repair: ${printable(repair)}`);
    process.stderr.write(`${lines.join('\n')}\n`);
  }
}

/** The members of an error, with its repair. */
export function errorDocument(error: unknown): ErrorDocument {
  if (error instanceof MeshError) {
    const { name: _, ...members } = error.toJSON();
    return {
      ...(members as Omit<ErrorDocument, 'repair'>),
      repair: repairOf(error),
    } as ErrorDocument;
  }
  const own = { retryable: false, remote: false };
  if (error instanceof CommandError) {
    const { message, repair, exitCode } = error;
    const code = exitCode === USAGE ? 'INVALID_ARGUMENT' : 'FAILED_PRECONDITION';
    return { code, reason: 'ARGUMENT', message, repair, ...own };
  }
  const message = error instanceof Error ? error.message : String(error);
  const repair = 'Please report it, with the command and its output.';
  return { code: 'INTERNAL', reason: 'INTERNAL', message, repair, ...own };
}
