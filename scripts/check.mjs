// npm run check: all static checks. Every step runs, even if previous ones failed;
// `npm run check -- clippy tsc` runs only those.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  capture,
  FEATURES_OF_TESTS,
  hasCargo,
  main,
  progress,
  root,
  run,
  StepFailed,
  targetDirectory,
  tool,
} from './lib.mjs';
import { build } from './build.mjs';
import { checkDashboard } from './dashboard.mjs';
import { checkDocs } from './docs.mjs';
import { canValidate, checkManifests } from './manifests.mjs';

const node = (...args) => run(process.execPath, args);
const cargo = (...args) => run('cargo', args);
const npx = (packageName, ...args) => node(tool(packageName), ...args);

/**
 * The checks. A step whose `available` returns false is skipped with a note: such a tool is not part of a
 * Rust or Node installation.
 */
const steps = [
  { name: 'fmt', run: () => cargo('fmt', '--all', '--check') },
  {
    name: 'clippy',
    run: () => cargo('clippy', '--workspace', '--all-targets', '--locked', '--', '-D', 'warnings'),
  },
  {
    name: 'deny',
    available: () => hasCargo('deny'),
    run: () => cargo('deny', '--workspace', 'check'),
  },
  {
    name: 'typos',
    available: async () => (await capture('typos', ['--version'])).code === 0,
    run: () => run('typos', []),
  },
  { name: 'prettier', run: () => npx('prettier', '--check', '--log-level=warn', '.') },
  {
    name: 'tsc',
    run: async () => {
      await node(tool('typescript', 'tsc'));
      // The page has the browser's types, which the package must not see.
      await node(tool('typescript', 'tsc'), '--project', 'dashboard');
    },
  },
  { name: 'eslint', run: () => npx('eslint', 'js', 'dashboard/src', '__test__') },
  // Rooms, circles of files, and names in documents. This step is also among the tests.
  {
    name: 'layering',
    run: () => npx('vitest', 'run', '--reporter=dot', '__test__/layering.test.ts'),
  },
  { name: 'publint', run: () => npx('publint', '--strict', '--pack', 'npm') },
  { name: 'attw', run: () => node(tool('@arethetypeswrong/cli', 'attw'), '--pack', '.') },
  { name: 'generated', run: generatedFiles },
  { name: 'docs', run: checkDocs },
  { name: 'dashboard', run: checkDashboard },
  {
    name: 'workflows',
    // It is among the packages that `build()` installs.
    run: async () => (await import('./workflows.mjs')).checkWorkflows(),
  },
  { name: 'manifests', available: canValidate, run: checkManifests },
];

await main(async () => {
  const only = process.argv.slice(2);
  const unknown = only.filter((name) => !steps.some((step) => step.name === name));
  if (unknown.length > 0) {
    throw new StepFailed(
      `no such step: ${unknown.join(', ')}; there are ${steps.map((s) => s.name).join(', ')}`,
    );
  }
  await build();
  const failed = [];
  for (const step of steps) {
    if (only.length > 0 && !only.includes(step.name)) continue;
    if (step.available && !(await step.available())) {
      progress(`${step.name}: skipped, the tool is not installed`);
      continue;
    }
    progress(step.name);
    try {
      await step.run();
    } catch (error) {
      progress(`${step.name}: FAILED: ${error.message}`);
      failed.push(step.name);
    }
  }
  if (failed.length > 0) throw new StepFailed(`failed: ${failed.join(', ')}`);
  progress('all checks passed');
});

/** Checks that committed generated files match their sources. */
async function generatedFiles() {
  // From proto/ and from tables in Rust: js/base/boundary.ts, js/mesh/options.ts, pages in docs/.
  await cargo('build', '--quiet', '--bins', ...FEATURES_OF_TESTS);
  await run(join(await targetDirectory(), 'debug', 'xtask'), ['codegen', '--check']);
  const { generateTypes } = await import('./types.mjs');
  const { platformManifests } = await import('./npm-dirs.mjs');
  const { BINARIES, binariesSource } = await import('./binaries.mjs');
  const files = {
    'index.d.ts': await generateTypes(),
    ...platformManifests(),
    [BINARIES]: binariesSource(),
    // The build has just written this one.
    'js/addon.d.ts': readFileSync(join(root, 'js', 'addon.d.ts'), 'utf8'),
  };
  const stale = [];
  for (const [file, wanted] of Object.entries(files)) {
    if ((await committed(file)) !== wanted) stale.push(file);
  }
  if (stale.length > 0) {
    throw new StepFailed(
      `${stale.join(', ')}: not what is generated now; run npm run build (for npm/: node scripts/npm-dirs.mjs, for binaries.ts: node scripts/binaries.mjs), then git add`,
    );
  }
}

/** Returns the staged content of a file, which will be committed; outside git, the content of the file. */
async function committed(file) {
  const staged = await capture('git', ['show', `:${file}`]);
  if (staged.code === 0) return staged.stdout;
  return existsSync(join(root, file)) ? readFileSync(join(root, file), 'utf8') : undefined;
}
