// Runs crates/mesh-core/benches/parts.rs and reads criterion's results.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { capture, root, run } from '../../scripts/lib.mjs';

const BENCH = ['bench', '--workspace', '--locked', '--bench', 'parts'];

/** Builds the benchmark in advance, so that no compiler disturbs the measurements. */
export function buildCriterion() {
  return run('cargo', [...BENCH, '--no-run']);
}

/** Returns a list of `{ name, us }`: medians, as criterion estimates them. */
export async function criterion(quick) {
  const metadata = await capture('cargo', ['metadata', '--no-deps', '--format-version=1']);
  const directory = join(JSON.parse(metadata.stdout).target_directory, 'criterion');
  rmSync(directory, { recursive: true, force: true });
  const brief = ['--warm-up-time', '0.1', '--measurement-time', '0.2', '--sample-size', '10'];
  const options = ['--noplot', ...(quick ? brief : ['--measurement-time', '2'])];
  const { code, stderr } = await capture('cargo', [...BENCH, '--', ...options], { cwd: root });
  if (code !== 0 || !existsSync(directory)) throw new Error(`cargo bench failed\n${stderr}`);
  return readdirSync(directory, { recursive: true })
    .filter((file) => file.endsWith(join('new', 'estimates.json')))
    .map((file) => ({
      name: nameOf(join(directory, dirname(file), 'benchmark.json')),
      us: JSON.parse(readFileSync(join(directory, file), 'utf8')).median.point_estimate / 1000,
    }))
    .toSorted((a, b) => a.name.localeCompare(b.name));
}

/** The full name; the directories have it only in a form that file systems allow. */
function nameOf(file) {
  return JSON.parse(readFileSync(file, 'utf8')).full_id;
}
