// Bundles js/ to dist/: a CommonJS file for each entry point, one with what
// they share, and beside each entry point an ESM one that re-exports it. So
// there is one set of classes and one addon, however the package is reached.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { build, transform } from 'esbuild';
import { manifest, progress, root } from './lib.mjs';

const target = `node${manifest.engines.node.replace('>=', '')}`;
const dist = join(root, 'dist');

/** Writes the entry points of the package. */
export async function buildBundle() {
  progress('bundling dist/*.cjs and dist/*.mjs');
  mkdirSync(dist, { recursive: true });
  const bundled = await build({
    absWorkingDir: root,
    entryPoints: { index: 'js/index.ts', testing: 'js/testing/index.ts' },
    outdir: 'dist',
    bundle: true,
    // Only ESM can be split, so it is made CommonJS afterwards.
    splitting: true,
    format: 'esm',
    outExtension: { '.js': '.cjs' },
    // There is one, as there are two entry points.
    chunkNames: 'shared',
    platform: 'node',
    target,
    legalComments: 'none',
    logLevel: 'warning',
    write: false,
    metafile: true,
  });
  const written = new Set();
  for (const { path, text } of bundled.outputFiles) {
    const name = basename(path);
    const { code } = await transform(text, { format: 'cjs', platform: 'node', target });
    writeFileSync(join(dist, name), code);
    written.add(name);
    const { entryPoint, exports } = bundled.metafile.outputs[`dist/${name}`];
    if (entryPoint !== undefined) writeEsm(name, exports.toSorted());
  }
  for (const name of readdirSync(dist)) {
    if (name.endsWith('.cjs') && !written.has(name)) rmSync(join(dist, name));
  }
}

/** Writes the ESM face of an entry point. Nothing it exports is called `$`. */
function writeEsm(name, names) {
  const lines = [
    `import $ from './${name}';`,
    ...names.map((exported) => `export const ${exported} = $.${exported};`),
  ];
  writeFileSync(join(dist, name.replace('.cjs', '.mjs')), `${lines.join('\n')}\n`);
}
