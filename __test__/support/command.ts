// The command line, as a process of its own.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { root } from '../../scripts/lib.mjs';
import type { MeshConfig } from '../../js/index.js';

/** The outcome of a command. */
export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** The settings of a process. */
export interface Settings {
  /** Variables beside PATH and an empty home. */
  env?: Record<string, string>;
  cwd?: string;
  /** The text of stdin, which then ends. */
  stdin?: string;
  /** A program before Node, such as `sh -c`. */
  around?: (command: string[]) => string[];
  /** The file of the command. */
  file?: string;
}

/** The built command. */
export const COMMAND = join(root, 'dist', 'cli.js');

/** An empty directory, removed after the test. */
export function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-cli-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }));
  return directory;
}

/** Starts the command. */
export function start(args: readonly string[], settings: Settings = {}): ChildProcess {
  const { env = {}, cwd, around = (command) => command, file = COMMAND } = settings;
  const [program = '', ...rest] = around([process.execPath, file, ...args]);
  const child = spawn(program, rest, {
    cwd: cwd ?? scratch(),
    // Nothing of this machine's own configuration.
    env: { PATH: process.env['PATH'] ?? '', HOME: scratch(), ...env },
    stdio: 'pipe',
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

/** Runs the command to its end. */
export function command(args: readonly string[], settings: Settings = {}): Promise<Outcome> {
  const child = start(args, settings);
  return new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
    // A command that fails early does not read it.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(settings.stdin ?? '');
  });
}

/** Writes a configuration file. */
export function configFile(config: Partial<MeshConfig>): string {
  const file = join(scratch(), 'mesh.json');
  writeFileSync(file, JSON.stringify(config));
  return file;
}
