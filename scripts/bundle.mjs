// Bundles js/ to dist/index.cjs, and writes dist/index.mjs, which re-exports
// it: both kinds of import get the same instance, so there is one set of
// classes and one addon however the package is reached.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { manifest, progress, root } from './lib.mjs';

const options = {
  absWorkingDir: root,
  entryPoints: ['js/index.ts'],
  bundle: true,
  platform: 'node',
  target: `node${manifest.engines.node.replace('>=', '')}`,
  legalComments: 'none',
  logLevel: 'warning',
};

/** Writes the two entry points of the package. */
export async function buildBundle() {
  progress('bundling dist/index.cjs and dist/index.mjs');
  mkdirSync(join(root, 'dist'), { recursive: true });
  await build({ ...options, format: 'cjs', outfile: 'dist/index.cjs' });
  const names = await exportedNames();
  const lines = [
    "import implementation from './index.cjs';",
    ...names.map((name) => `export const ${name} = implementation.${name};`),
  ];
  writeFileSync(join(root, 'dist', 'index.mjs'), `${lines.join('\n')}\n`);
}

/** What js/index.ts exports at run time, as esbuild sees it. */
async function exportedNames() {
  const { metafile } = await build({
    ...options,
    format: 'esm',
    write: false,
    metafile: true,
    outfile: 'dist/index.mjs',
  });
  return Object.values(metafile.outputs)[0].exports.toSorted();
}
