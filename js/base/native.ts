// Finds and loads the addon: a binary beside this code, the working copy's own, or the platform package's.

import { closeSync, existsSync, openSync, readFileSync, readSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BINARIES, codeFile, requireFile, requirePackage } from './binaries.js';
import { MeshError } from './errors.js';
import { version } from './version.js';

/** The exports of the addon; generated from `src/`. */
export type Addon = typeof import('../addon.js');

const PACKAGE = '@lemur-bookstores/secure-stack-mesh';

let loaded: Addon | undefined;

/**
 * Returns the addon, and loads it at the first use.
 *
 * @throws MeshError `FAILED_PRECONDITION`, reason `ADDON`: there is no binary for this platform, or it does
 *   not load. The message names the searched paths and the repair.
 */
export function native(): Addon {
  return (loaded ??= load());
}

interface Attempt {
  path: string;
  problem: string;
}

/** The facts that the error of a failed load reports, beside the attempts. */
interface Surroundings {
  /** The C library of the process, on Linux. */
  libc?: string | undefined;
  /** The file of the bundle, if this code is in one. */
  bundle?: string | undefined;
  /** Other platforms whose packages are installed. */
  others?: readonly string[];
  /** The version of Deno that runs this. */
  deno?: string | undefined;
}

function load(): Addon {
  const libc = process.platform === 'linux' ? detectLibc() : undefined;
  const platform = platformName(process.platform, process.arch, libc);
  const attempts: Attempt[] = [];

  const code = codeFile();
  const root = code === undefined ? undefined : packageRoot(dirname(code));
  // A bundle may have the binary beside it; the working copy has it at its root.
  const folder = root ?? (code === undefined ? undefined : dirname(code));
  const binary = BINARIES[platform];
  if (folder !== undefined && binary !== undefined) {
    const file = join(folder, binary);
    if (existsSync(file)) {
      try {
        return requireFile(file) as Addon;
      } catch (error) {
        attempts.push({ path: file, problem: problemOf(error) });
      }
    } else {
      attempts.push({ path: file, problem: 'no such file' });
    }
  }

  const name = `${PACKAGE}-${platform}`;
  try {
    return requirePackage(platform, checkVersion) as Addon;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const missing = code === 'MODULE_NOT_FOUND' && message.includes(name);
    attempts.push({ path: name, problem: missing ? 'not installed' : problemOf(error) });
  }
  const text = explain(platform, attempts, {
    libc,
    bundle: root === undefined ? code : undefined,
    others: Object.keys(BINARIES).filter((other) => other !== platform && isInstalled(other)),
    deno: process.versions['deno'],
  });
  throw new MeshError('FAILED_PRECONDITION', text, { reason: 'ADDON' });
}

/** An error with its code, which says more than some texts of Node's. */
function problemOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code?.startsWith('ERR_') ? `${code}: ${message}` : message;
}

function checkVersion(manifest: unknown): void {
  const { version: found } = manifest as { version: string };
  if (found !== version) throw new Error(`is version ${found}, but ${version} is needed`);
}

/** Whether the package of a platform is there. Its binary is not loaded. */
function isInstalled(platform: string): boolean {
  const found = new Error('found');
  try {
    requirePackage(platform, () => {
      throw found;
    });
  } catch (error) {
    return error === found;
  }
  return false;
}

/** The package's root: dist/ is one level below it, js/base/ and dist/esm/ are two. A bundle has none. */
function packageRoot(folder: string): string | undefined {
  const above = join(folder, '..');
  return [above, join(above, '..')].find((path) => {
    try {
      const manifest = readFileSync(join(path, 'package.json'), 'utf8');
      return (JSON.parse(manifest) as { name?: unknown }).name === PACKAGE;
    } catch {
      return false;
    }
  });
}

/** Returns the name of the package with the binary for a platform. */
export function platformName(os: string, arch: string, libc: string | undefined): string {
  if (os === 'linux') return `${os}-${arch}-${libc === 'musl' ? 'musl' : 'gnu'}`;
  return os === 'win32' ? `${os}-${arch}-msvc` : `${os}-${arch}`;
}

/** Writes the error message for an addon that does not load. */
export function explain(
  platform: string,
  attempts: readonly Attempt[],
  surroundings: Surroundings = {},
): string {
  const { libc, deno } = surroundings;
  const here = libc === undefined ? platform : `${platform} (${libc})`;
  const runtime = deno === undefined ? `Node ${process.version}` : `Deno ${deno}`;
  const tried = attempts.map(({ path, problem }) => `\n  ${path}: ${problem}`).join('');
  return (
    `cannot load the native part of ${PACKAGE} ${version} for ${here}, ${runtime}. Tried:` +
    `${tried}\n${advice(platform, attempts, surroundings)}`
  );
}

/** The repair that fits the cause. */
function advice(
  platform: string,
  attempts: readonly Attempt[],
  { bundle, others = [], deno }: Surroundings,
): string {
  const binary = BINARIES[platform];
  if (binary === undefined) {
    return `Binaries exist for ${Object.keys(BINARIES).join(', ')}. Elsewhere, build from source: npm run build in a clone.`;
  }
  const name = `${PACKAGE}-${platform}`;
  const says = (pattern: RegExp) => attempts.some(({ problem }) => pattern.test(problem));
  if (deno !== undefined && says(/NotCapable|PermissionDenied|Requires \w+ access|--allow-/)) {
    return 'Deno lacks a permission: run it with --allow-ffi --allow-read --allow-env --allow-net --allow-sys --allow-write.';
  }
  if (says(/ERR_DLOPEN_DISABLED/)) {
    return 'This process may not load addons: start Node with --allow-addons beside --permission, and without --no-addons.';
  }
  if (says(/ERR_ACCESS_DENIED/)) {
    return `This process may not read the binary: start Node with --allow-fs-read for the folder of ${name}.`;
  }
  if (says(/GLIBC|GLIBCXX/)) {
    return 'The C library of this system is older than the binary needs: use a newer system image, or build from source.';
  }
  if (others.length > 0) {
    return (
      `Installed is the binary for ${others.join(', ')}, not for ${platform}: node_modules comes from another system. ` +
      'Run npm ci on this one, in the image that the program runs in.'
    );
  }
  if (bundle !== undefined) {
    return (
      `This code is in the bundle ${bundle}, and a bundle has no binary in it. Ship ${name} in a node_modules that ` +
      `the bundle can see, or copy ${binary} into the folder of the bundle.`
    );
  }
  return (
    `Install it with: npm install ${name}@${version}. If npm left it out, look for --omit=optional or ` +
    'a package-lock.json made on another platform: remove node_modules and package-lock.json, then run npm install. ' +
    'In a clone of the source: npm run build.'
  );
}

/** Detects the C library of this process from its ELF interpreter. */
function detectLibc(): 'glibc' | 'musl' {
  try {
    const head = Buffer.alloc(4096);
    const file = openSync(process.execPath, 'r');
    try {
      readSync(file, head, 0, head.length, 0);
    } finally {
      closeSync(file);
    }
    if (head.includes('/ld-musl-')) return 'musl';
    if (head.includes('/ld-linux')) return 'glibc';
  } catch {
    // The executable is not readable, so Node's own report must serve.
  }
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } };
  return report?.header?.glibcVersionRuntime === undefined ? 'musl' : 'glibc';
}
