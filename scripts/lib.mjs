// What the scripts share. Only Node's own modules: some of them run before
// anything is installed.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The package's root directory. */
export const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** The root package.json, parsed. */
export const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

const started = performance.now();

/** Prints one line of progress with the seconds since the script began. */
export function progress(text) {
  const seconds = ((performance.now() - started) / 1000).toFixed(1).padStart(6);
  process.stdout.write(`[${seconds} s] ${text}\n`);
}

/** A failure that needs no stack trace to be understood. */
export class StepFailed extends Error {}

/**
 * Runs a command with the terminal it was started from, and rejects unless it
 * exits 0.
 */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio: 'inherit',
      shell: needsShell(command),
      ...options,
      env: { ...process.env, ...options.env },
    });
    child.on('error', (error) =>
      reject(
        new StepFailed(
          error.code === 'ENOENT'
            ? `${command} is not installed (${error.message})`
            : error.message,
        ),
      ),
    );
    child.on('exit', (code, signal) =>
      code === 0
        ? resolve()
        : reject(
            new StepFailed(`${[command, ...args].join(' ')}: ${signal ?? `exit code ${code}`}`),
          ),
    );
  });
}

/** Runs a command quietly; what it printed and its exit code, -1 when it is not there. */
export function capture(command, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      shell: needsShell(command),
      ...options,
      env: { ...process.env, ...options.env },
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
    child.on('error', (error) => resolve({ code: -1, stdout, stderr: error.message }));
    child.on('close', (code) => resolve({ code: code ?? 1, stdout, stderr }));
  });
}

// On Windows npm is a script, which only a shell can run.
const needsShell = (command) => process.platform === 'win32' && command === 'npm';

/** Whether `cargo <subcommand>` is installed. */
export async function hasCargo(subcommand) {
  return (await capture('cargo', [subcommand, '--version'])).code === 0;
}

/** Runs a script's `main`, with a failure told in one line and exit code 1. */
export async function main(body) {
  try {
    await body();
  } catch (error) {
    process.stderr.write(
      `\n${error instanceof StepFailed ? error.message : (error?.stack ?? error)}\n`,
    );
    process.exitCode = 1;
  }
}

/** A development tool of node_modules, as arguments of `node`. */
export function tool(packageName, binary = packageName.split('/').pop()) {
  const directory = join(root, 'node_modules', packageName);
  const file = join(directory, 'package.json');
  if (!existsSync(file)) throw new StepFailed(`${packageName} is not installed: run npm ci`);
  const { bin } = JSON.parse(readFileSync(file, 'utf8'));
  const path = typeof bin === 'string' ? bin : bin[binary];
  if (path === undefined) throw new StepFailed(`${packageName} has no program ${binary}`);
  return join(directory, path);
}

/**
 * Cargo resolves the features of dependencies for the packages and targets that it is asked to
 * build. With the whole workspace and one of its tests they are those of `cargo nextest run
 * --workspace`, so that no dependency is built a second time.
 */
export const FEATURES_OF_TESTS = ['--workspace', '--test', 'layering', '--locked'];

/** Where cargo puts its files. */
export async function targetDirectory() {
  const metadata = await capture('cargo', ['metadata', '--no-deps', '--format-version=1']);
  if (metadata.code !== 0) {
    throw new StepFailed(`cargo is needed; see https://rustup.rs\n${metadata.stderr}`);
  }
  return JSON.parse(metadata.stdout).target_directory;
}
