// The machine: Node, the platform's binary, file descriptors.

import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { MeshError, StaticDiscovery, version } from '../../index.js';
import { engines } from '../../../package.json';
import { bad, failure, ok, skipped, type Finding } from './finding.js';

/** Fewer descriptors than this do not suffice even for the checks and a few sessions. */
const FEWEST_LEFT = 64;
/** The descriptors that the binary and its threads need. Without them loading the binary ends the process. */
const FEWEST_FOR_BINARY = 16;
/** With fewer descriptors than this, a service with many peers runs out of them. */
const FEWEST = 1024;

export function checkNode(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = engines.node.replace('>=', '').split('.').map(Number);
  const old = major < wantedMajor || (major === wantedMajor && minor < wantedMinor);
  return old
    ? bad(
        'fail',
        'node',
        process.version,
        `Node ${process.version} is too old for version ${version} of the package`,
        `Install Node ${engines.node}.`,
      )
    : ok('node', process.version, `Node ${process.version}, package ${version}`);
}

/**
 * Loads the addon.
 *
 * @param descriptors the finding about file descriptors; with too few, the addon is not loaded
 */
export function checkPlatform({ details }: Finding): Finding {
  const platform = `${process.platform}-${process.arch}`;
  if (Number(details?.['left'] ?? Infinity) < FEWEST_FOR_BINARY) {
    return skipped('platform', platform, 'the binary is not loaded without file descriptors');
  }
  try {
    new StaticDiscovery();
    return ok('platform', platform, `the binary for ${platform} loads`);
  } catch (error) {
    const finding = failure('platform', platform, error);
    // The last line of the loader's error is its advice.
    const lines = MeshError.from(error).message.split('\n');
    if (finding.reason !== 'ADDON' || lines.length < 2) return finding;
    return { ...finding, text: lines.slice(0, -1).join('\n'), repair: lines.at(-1) ?? '' };
  }
}

export function checkDescriptors(): Finding {
  const raise =
    'Raise the limit: ulimit -n 65536 in the shell, LimitNOFILE=65536 in a unit of systemd, --ulimit nofile=65536 of docker.';
  const limit = descriptorLimit();
  if (limit === undefined) {
    return ok('descriptors', '', 'this system does not report a limit of file descriptors');
  }
  const used = usedDescriptors();
  const left = limit - (typeof used === 'number' ? used : 0);
  const details = { limit, used: used ?? null, left };
  if (used === 'none') {
    const text = `this process has no file descriptor left of its limit of ${limit}`;
    return bad('fail', 'descriptors', '', text, raise, { limit, used: limit, left: 0 });
  }
  if (left < FEWEST_LEFT) {
    const text = `a process has ${limit} file descriptors here, of which ${left} are left; a session needs one`;
    return bad('fail', 'descriptors', '', text, raise, details);
  }
  if (limit < FEWEST) {
    const text = `a process has only ${limit} file descriptors here; each session takes one`;
    return bad('warn', 'descriptors', '', text, raise, details);
  }
  return ok('descriptors', '', `a process has ${limit} file descriptors here`, details);
}

/** The limit of this process; undefined if the system has none. */
function descriptorLimit(): number | undefined {
  if (process.platform === 'win32') return undefined;
  try {
    const soft = /^Max open files\s+(\d+|unlimited)/m.exec(
      readFileSync('/proc/self/limits', 'utf8'),
    )?.[1];
    if (soft !== undefined) return soft === 'unlimited' ? undefined : Number(soft);
  } catch {
    // There is no /proc, or no free descriptor to read it.
  }
  const report = process.report.getReport() as {
    userLimits?: { open_files?: { soft?: number | string } };
  };
  const soft = report.userLimits?.open_files?.soft;
  return typeof soft === 'number' ? soft : undefined;
}

/** The descriptors in use; `'none'` if no descriptor is free, undefined if the number is unknown. */
function usedDescriptors(): number | 'none' | undefined {
  try {
    closeSync(openSync(process.execPath, 'r'));
    return readdirSync('/proc/self/fd').length;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'EMFILE' || code === 'ENFILE' ? 'none' : undefined;
  }
}
