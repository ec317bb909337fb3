// Installs the development tools if they are missing or differ from the lock file. It uses only Node's own
// modules, because it runs before anything is installed.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { manifest, progress, root, run, StepFailed } from './lib.mjs';

/** Installs node_modules according to package-lock.json. */
export async function setup() {
  checkNode();
  const stale = staleness();
  if (stale === undefined) return;
  progress(`installing the development tools (${stale})`);
  await run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const [wantedMajor, wantedMinor] = manifest.engines.node.replace('>=', '').split('.').map(Number);
  if (major < wantedMajor || (major === wantedMajor && minor < wantedMinor)) {
    throw new StepFailed(`Node ${manifest.engines.node} is needed, this is ${process.version}`);
  }
}

/** Returns the cause for an installation of node_modules, or undefined if it is up to date. */
function staleness() {
  const wanted = packages(join(root, 'package-lock.json'));
  if (wanted === undefined) throw new StepFailed('package-lock.json is missing or damaged');
  const installed = packages(join(root, 'node_modules', '.package-lock.json'));
  if (installed === undefined) return 'none installed yet';
  for (const [path, entry] of Object.entries(wanted)) {
    // Optional packages of other platforms are absent on purpose.
    if (path === '' || (entry.optional && installed[path] === undefined)) continue;
    if (installed[path]?.version !== entry.version) return `${path} is not ${entry.version}`;
  }
  return undefined;
}

function packages(lockFile) {
  try {
    return JSON.parse(readFileSync(lockFile, 'utf8')).packages;
  } catch {
    return undefined;
  }
}
