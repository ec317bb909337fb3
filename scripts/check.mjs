// npm run check: all that can be told without running the product. Every step
// runs, whatever the ones before it found; `npm run check -- clippy tsc` runs
// only those.
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
import { checkDocs } from './docs.mjs';

const node = (...args) => run(process.execPath, args);
const cargo = (...args) => run('cargo', args);
const npx = (packageName, ...args) => node(tool(packageName), ...args);

/**
 * What is checked. A step whose `available` says no is skipped with a note:
 * those tools are not part of a Rust or Node installation.
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
  { name: 'tsc', run: () => node(tool('typescript', 'tsc')) },
  { name: 'eslint', run: () => npx('eslint', 'js', '__test__') },
  // Rooms, circles of files, and names in documents. It is among the tests as well.
  {
    name: 'layering',
    run: () => npx('vitest', 'run', '--reporter=dot', '__test__/layering.test.ts'),
  },
  { name: 'publint', run: () => npx('publint', '--strict', '--pack', 'npm') },
  { name: 'attw', run: () => node(tool('@arethetypeswrong/cli', 'attw'), '--pack', '.') },
  { name: 'generated', run: generatedFiles },
  { name: 'docs', run: checkDocs },
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

/** Generated files that are committed must be what their source makes now. */
async function generatedFiles() {
  // From proto/ and from tables in Rust: js/base/boundary.ts, js/mesh/options.ts, pages in docs/.
  await cargo('build', '--quiet', '--bins', ...FEATURES_OF_TESTS);
  await run(join(await targetDirectory(), 'debug', 'xtask'), ['codegen', '--check']);
  const { generateTypes } = await import('./types.mjs');
  const { platformManifests } = await import('./npm-dirs.mjs');
  const files = {
    'index.d.ts': await generateTypes(),
    ...platformManifests(),
    // The build has just written this one.
    'js/addon.d.ts': readFileSync(join(root, 'js', 'addon.d.ts'), 'utf8'),
  };
  const stale = [];
  for (const [file, wanted] of Object.entries(files)) {
    if ((await committed(file)) !== wanted) stale.push(file);
  }
  if (stale.length > 0) {
    throw new StepFailed(
      `${stale.join(', ')}: not what is generated now; run npm run build (for npm/: node scripts/npm-dirs.mjs), then git add`,
    );
  }
}

/** The staged text of a file, which is what will be committed; outside of git, the file's. */
async function committed(file) {
  const staged = await capture('git', ['show', `:${file}`]);
  if (staged.code === 0) return staged.stdout;
  return existsSync(join(root, file)) ? readFileSync(join(root, file), 'utf8') : undefined;
}
