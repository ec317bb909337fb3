// The configuration of a command.

import { readFileSync } from 'node:fs';
import { extname, resolve } from 'node:path';
import type { MeshConfig } from '../index.js';
import { importConfig } from './config-module.js';
import { CommandError } from './exits.js';

/** A configuration of the library, in which each option may be missing. */
export type Config = Partial<MeshConfig>;

/** The options of all commands. */
export interface GlobalOptions {
  config?: string;
  as?: string;
  keysDir?: string;
  json?: boolean;
}

/**
 * Reads the configuration of `--config`. Without it the configuration is empty, and the environment variables
 * apply.
 */
export async function readConfig({ config: given }: GlobalOptions): Promise<Config> {
  if (given === undefined) return {};
  const file = resolve(given);
  const config = extname(file) === '.json' ? readJson(file, given) : await readModule(file, given);
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    throw new CommandError(
      `--config ${given} holds no configuration, but ${Array.isArray(config) ? 'an array' : typeof config}`,
      'Have it hold the object that new SecureMesh() takes; a module exports it as default.',
    );
  }
  return config;
}

function readJson(file: string, given: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw unreadable(given, error);
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    // The parser's message is not shown, because it may quote the file, which can contain a secret.
    const place = /position \d+|line \d+ column \d+/.exec((error as Error).message)?.[0];
    throw new CommandError(
      `--config ${given} is not JSON${place === undefined ? '' : `: the fault is at ${place}`}`,
      'Correct the file. A configuration with comments or code can be a module: --config mesh.config.mjs.',
    );
  }
}

async function readModule(file: string, given: string): Promise<unknown> {
  try {
    return await importConfig(file);
  } catch (error) {
    throw unreadable(given, error);
  }
}

function unreadable(given: string, error: unknown): CommandError {
  const { code, message } = error as NodeJS.ErrnoException;
  const typed = code === 'ERR_UNKNOWN_FILE_EXTENSION';
  return new CommandError(
    `--config ${given} cannot be read: ${message}`,
    typed
      ? 'This Node does not run TypeScript: compile the module, or give JSON or JavaScript.'
      : 'Correct the path or the file: a .json file, or a JavaScript module that exports the configuration.',
  );
}
