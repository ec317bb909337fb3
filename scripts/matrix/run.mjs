// npm run matrix [-- NAMES] [--no-addon]: the packed package in every environment that it is said to run in, or in
// those that are named. The tools are installed from the registry, in the versions that
// environments.mjs names; the results go to docs/environments.md. --no-addon leaves the addon as it is.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from '../build.mjs';
import { capture, main, progress, root, StepFailed } from '../lib.mjs';
import { pack } from '../pack-local.mjs';
import { environments } from './environments.mjs';
import { Folder } from './folder.mjs';
import { page, readRows } from './table.mjs';

const FILE = join(root, 'docs/environments.md');

/** Installs a package manager beside the project; the path of its program by name. */
async function install(folder, tools) {
  const path = join(folder.path, '..', 'managers');
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'package.json'), '{ "private": true }');
  const names = Object.entries(tools).map(([name, version]) => `${name}@${version}`);
  const options = ['install', '--no-audit', '--no-fund', '--loglevel=error'];
  const { code, stderr } = await capture('npm', [...options, ...names], { cwd: path });
  if (code !== 0) throw new StepFailed(stderr);
  return (name) => join(path, 'node_modules/.bin', name);
}

/** Tries an environment; its row in the table. */
async function attempt(environment, directory, tarballs) {
  const { name, title, tools = {}, manager, inProcess } = environment;
  const folder = new Folder(join(directory, name), tarballs);
  const versions = Object.entries({ ...tools, ...manager }).map(
    ([tool, version]) => `${tool} ${version}`,
  );
  const row = { name, title, versions: versions.join(', '), worker: !inProcess, result: 'works' };
  if (versions.length === 0) row.versions = `node ${process.versions.node}`;
  try {
    if (manager === undefined) await folder.install(tools);
    const run = manager === undefined ? undefined : await install(folder, manager);
    await environment.run(folder, run);
    progress(`${name}: works`);
  } catch (error) {
    row.result = 'fails';
    progress(`${name}: FAILS\n${error instanceof StepFailed ? error.message : error.stack}`);
  } finally {
    folder.remove();
  }
  return row;
}

await main(async () => {
  const { values, positionals: names } = parseArgs({
    allowPositionals: true,
    allowNegative: true,
    options: { addon: { type: 'boolean' } },
  });
  const unknown = names.filter((name) => !environments.some((one) => one.name === name));
  if (unknown.length > 0) {
    const known = environments.map(({ name }) => name).join(', ');
    throw new StepFailed(`no such environment: ${unknown.join(', ')}; there are ${known}`);
  }
  await build({ addon: values.addon ?? true });
  const directory = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-matrix-'));
  const rows = new Map(existsSync(FILE) ? readRows(readFileSync(FILE, 'utf8')) : []);
  const failed = [];
  try {
    const tarballs = await pack(join(directory, 'tarballs'));
    for (const environment of environments) {
      if (names.length > 0 && !names.includes(environment.name)) continue;
      const row = await attempt(environment, directory, tarballs);
      rows.set(row.name, row);
      if (row.result !== 'works') failed.push(row.name);
      writeFileSync(FILE, page(environments.flatMap(({ name }) => rows.get(name) ?? [])));
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  if (failed.length > 0) throw new StepFailed(`failed: ${failed.join(', ')}`);
});
