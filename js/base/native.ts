// Finds and loads the addon: the one of the working copy, or the one of the platform package.

import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { MeshError } from './errors.js';
import { version } from './version.js';

/** The exports of the addon; generated from `src/`. */
export type Addon = typeof import('../addon.js');

const PACKAGE = '@lemur-bookstores/secure-stack-mesh';
const SUPPORTED = [
  'linux-x64-gnu',
  'linux-x64-musl',
  'linux-arm64-gnu',
  'linux-arm64-musl',
  'darwin-x64',
  'darwin-arm64',
  'win32-x64-msvc',
  'win32-arm64-msvc',
];

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

function load(): Addon {
  const root = packageRoot(__dirname);
  const require = createRequire(join(root, 'package.json'));
  const libc = process.platform === 'linux' ? detectLibc() : undefined;
  const platform = platformName(process.platform, process.arch, libc);
  const attempts: Attempt[] = [];

  const file = join(root, `secure-stack-mesh.${platform}.node`);
  if (existsSync(file)) {
    try {
      return require(file) as Addon;
    } catch (error) {
      attempts.push({ path: file, problem: (error as Error).message });
    }
  } else {
    attempts.push({ path: file, problem: 'no such file' });
  }

  const name = `${PACKAGE}-${platform}`;
  try {
    const found = (require(`${name}/package.json`) as { version: string }).version;
    if (found === version) return require(name) as Addon;
    attempts.push({ path: name, problem: `is version ${found}, but ${version} is needed` });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const missing = code === 'MODULE_NOT_FOUND' && message.includes(name);
    attempts.push({ path: name, problem: missing ? 'not installed' : message });
  }
  throw new MeshError('FAILED_PRECONDITION', explain(platform, libc, attempts), {
    reason: 'ADDON',
  });
}

/** Returns the package's root: dist/ is one level below it, js/base/ is two. */
function packageRoot(folder: string): string {
  const above = join(folder, '..');
  const further = join(above, '..');
  const known = [above, further].find((path) => existsSync(join(path, 'package.json')));
  return known ?? above;
}

/** Returns the name of the package with the binary for a platform. */
export function platformName(os: string, arch: string, libc: string | undefined): string {
  if (os === 'linux') return `${os}-${arch}-${libc === 'musl' ? 'musl' : 'gnu'}`;
  return os === 'win32' ? `${os}-${arch}-msvc` : `${os}-${arch}`;
}

/** Writes the error message for an addon that does not load. */
export function explain(
  platform: string,
  libc: string | undefined,
  attempts: readonly Attempt[],
): string {
  const here = libc === undefined ? platform : `${platform} (${libc})`;
  const tried = attempts.map(({ path, problem }) => `\n  ${path}: ${problem}`).join('');
  return (
    `cannot load the native part of ${PACKAGE} ${version} for ${here}, Node ${process.version}. Tried:` +
    `${tried}\n${advice(platform, attempts)}`
  );
}

function advice(platform: string, attempts: readonly Attempt[]): string {
  if (!SUPPORTED.includes(platform)) {
    return `Binaries exist for ${SUPPORTED.join(', ')}. Elsewhere, build from source: npm run build in a clone.`;
  }
  const name = `${PACKAGE}-${platform}`;
  if (attempts.some(({ problem }) => /GLIBC|GLIBCXX/.test(problem))) {
    return 'The C library of this system is older than the binary needs: use a newer system image, or build from source.';
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
