// Installs the development tools when they are missing or not the ones the
// lock file names. Runs before anything is installed: Node's own modules only.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { manifest, progress, root, run, StepFailed } from './lib.mjs';

/** Makes node_modules what package-lock.json says it should be. */
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

/** Why node_modules has to be made anew, or undefined when it need not be. */
function staleness() {
  const wanted = packages(join(root, 'package-lock.json'));
  if (wanted === undefined) throw new StepFailed('package-lock.json is missing or damaged');
  const installed = packages(join(root, 'node_modules', '.package-lock.json'));
  if (installed === undefined) return 'none installed yet';
  for (const [path, entry] of Object.entries(wanted)) {
    // Optional ones of other platforms are rightly absent.
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
