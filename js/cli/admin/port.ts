// The admin port of a process, as commands read it.

import { readConfig, type GlobalOptions } from '../config.js';
import { CommandError, ofCode, USAGE } from '../exits.js';

/** The options of commands that read an admin port. */
export interface AdminOptions extends GlobalOptions {
  admin?: string;
}

/** The text of `--admin` for the help. */
export const ADMIN_OPTION = [
  '--admin <host:port>',
  'the admin port to read, or its URL (default: that of the configuration, else 127.0.0.1:9901)',
] as const;

const DEFAULT_PORT = 9901;
const TIMEOUT_MS = 10_000;
/** The largest answer that is read. */
const MAX_BYTES = 32 * 1024 * 1024;

/** An answer of the admin port. */
export interface Answer {
  status: number;
  text: string;
}

/** Reads an admin port. */
export class AdminPort {
  readonly #base: URL;
  readonly #token: string | undefined;

  constructor(base: URL, token: string | undefined) {
    this.#base = base;
    this.#token = token;
  }

  /** The address, for people. */
  get url(): string {
    return this.#base.href;
  }

  /** Reads a path, whatever its status. Throws `CommandError` where there is no answer, or a refusal. */
  async read(path: string): Promise<Answer> {
    let response: Response;
    let text: string;
    try {
      response = await fetch(new URL(path, this.#base), {
        headers: this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` },
        // A redirect leads elsewhere than to the port that was named.
        redirect: 'error',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      text = await bounded(response);
    } catch (error) {
      if (error instanceof CommandError) throw error;
      throw new CommandError(
        `no admin port answers at ${this.url}: ${whyOf(error)}`,
        'Start the process with admin: { port: 9901 }, or name its port: --admin host:port.',
        ofCode('UNAVAILABLE'),
      );
    }
    if (response.status === 401 || response.status === 403 || response.status === 429) {
      throw new CommandError(
        `the admin port at ${this.url} refuses: ${text.trim()}`,
        'Set SECURE_MESH_ADMIN_TOKEN to its admin.token, or give the configuration that has it: --config mesh.json.',
        ofCode('UNAUTHENTICATED'),
      );
    }
    return { status: response.status, text };
  }

  /** Reads a JSON document of version 1. */
  async document<T>(path: string): Promise<T> {
    const { status, text } = await this.read(path);
    const value = status === 200 ? parsed(text) : undefined;
    if (typeof value === 'object' && value !== null && (value as { v?: unknown }).v === 1) {
      return value as T;
    }
    throw new CommandError(
      status === 200
        ? `what answers at ${this.url} is no admin port of this version`
        : `the admin port at ${this.url} answers ${status}: ${text.trim().slice(0, 300)}`,
      status === 503
        ? 'Try again: the process starts or ends, or has too much to do.'
        : 'Name the admin port of a mesh: --admin host:port.',
      ofCode('UNAVAILABLE'),
    );
  }
}

/** The admin port that the options or the configuration name. */
export async function adminPort(options: AdminOptions): Promise<AdminPort> {
  const { admin } = await readConfig(options);
  const { SECURE_MESH_ADMIN_PORT: variable, SECURE_MESH_ADMIN_TOKEN: token } = process.env;
  const port = admin?.port ?? (variable ? Number(variable) : 0);
  // A process that listens everywhere is reached on this machine too.
  const host = [undefined, '0.0.0.0', '::'].includes(admin?.host) ? '127.0.0.1' : admin?.host;
  const literal = host?.includes(':') ? `[${host}]` : host;
  const given = options.admin ?? `${literal}:${port || DEFAULT_PORT}`;
  return new AdminPort(baseOf(given), admin?.token ?? (token || undefined));
}

function baseOf(given: string): URL {
  const text = /^https?:\/\//.test(given) ? given : `http://${given}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  // A port that is missing or 80 is a slip of the pen, unless it is a whole URL.
  if (url === undefined || (text !== given && !/:\d+$/.test(given)) || url.username !== '') {
    throw new CommandError(
      `--admin must be host:port or a URL, got ${JSON.stringify(given)}`,
      'Write it as in --admin 10.0.0.7:9901 or --admin https://mesh.example/admin/.',
      USAGE,
    );
  }
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

async function bounded(response: Response): Promise<string> {
  if (response.body === null) return '';
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = response.body.getReader();
  for (;;) {
    const { done, value: chunk } = await reader.read();
    if (done) break;
    size += chunk.byteLength;
    if (size > MAX_BYTES) throw new Error(`its answer is larger than ${MAX_BYTES / 1024 ** 2} MiB`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function whyOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `no answer within ${TIMEOUT_MS / 1000} s`;
  const { cause } = error;
  return cause instanceof Error && cause.message !== '' ? cause.message : error.message;
}
