// Bundles js/ to dist/: a CommonJS file for each entry point, one with their shared code, and for each entry
// point an ESM wrapper that re-exports it. So there is one set of classes and one addon for both formats.
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
    // Only ESM can be split, so it is converted to CommonJS afterwards.
    splitting: true,
    format: 'esm',
    outExtension: { '.js': '.cjs' },
    // Two entry points have one shared chunk.
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

/** Writes the ESM wrapper of an entry point. No export has the name `$`. */
function writeEsm(name, names) {
  const lines = [
    `import $ from './${name}';`,
    ...names.map((exported) => `export const ${exported} = $.${exported};`),
  ];
  writeFileSync(join(dist, name.replace('.cjs', '.mjs')), `${lines.join('\n')}\n`);
}
