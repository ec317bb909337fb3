// Bundles js/ to dist/: a CommonJS file for each entry point, one with what
// they share, and beside each entry point an ESM one that re-exports it. So
// there is one set of classes and one addon, however Node reaches the package.
// dist/esm/ has the same as real ES modules, for bundlers (condition `module`),
// whose ES output cannot hold CommonJS that requires Node's own modules.
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { build, transform } from 'esbuild';
import { BINARIES, binariesCommonJs, binariesWebpack } from './binaries.mjs';
import { manifest, progress, root } from './lib.mjs';

const target = `node${manifest.engines.node.replace('>=', '')}`;
const dist = join(root, 'dist');

/** Writes the entry points of the package. */
export async function buildBundle() {
  progress('bundling dist/*.cjs, dist/*.mjs, dist/esm/*.mjs and dist/cli.js');
  mkdirSync(join(dist, 'esm'), { recursive: true });
  const written = new Set([
    ...(await writeCommonJs()),
    ...(await writeModules()),
    ...(await writeUsers()),
  ]);
  for (const name of readdirSync(dist)) {
    if (name.endsWith('.cjs') && !written.has(name)) rmSync(join(dist, name));
  }
  for (const name of readdirSync(join(dist, 'esm'))) {
    if (!written.has(`esm/${name}`)) rmSync(join(dist, 'esm', name));
  }
  await writeCommand();
}

/**
 * Writes the transport for NestJS, a user of the package in files of its own: whoever does not import it has none of its
 * imports. Its peers stay imports.
 */
async function writeUsers() {
  for (const [format, outfile, index] of [
    ['cjs', 'nestjs.cjs', './index.cjs'],
    ['esm', 'esm/nestjs.mjs', './index.mjs'],
  ]) {
    const { metafile } = await build({
      absWorkingDir: root,
      entryPoints: ['js/nestjs/index.ts'],
      outfile: join('dist', outfile),
      bundle: true,
      packages: 'external',
      format,
      platform: 'node',
      target,
      legalComments: 'none',
      logLevel: 'warning',
      plugins: [packageAt(index)],
      metafile: true,
    });
    const { exports } = metafile.outputs[`dist/${outfile}`];
    if (format === 'esm') writeEsm('nestjs.cjs', exports.toSorted());
  }
  return ['nestjs.cjs', 'esm/nestjs.mjs'];
}

/** Writes the command line: one file with all that it needs beside the package itself. */
async function writeCommand() {
  const outfile = join(dist, 'cli.js');
  await build({
    absWorkingDir: root,
    entryPoints: ['js/cli/main.ts'],
    outfile,
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target,
    legalComments: 'none',
    logLevel: 'warning',
    define: { REPAIRS: JSON.stringify(repairs()) },
    plugins: [packageAt('./index.cjs')],
  });
  chmodSync(outfile, 0o755);
}

/** Leaves the package itself out of a file of its users, under another name. */
const packageAt = (path) => ({
  name: 'package',
  setup: ({ onResolve }) =>
    onResolve({ filter: /^(\.\.\/)+index\.js$/ }, () => ({ path, external: true })),
});

/** The repairs of errors by their reasons: a column of docs/errors.md, which the core's table makes. */
function repairs() {
  const page = readFileSync(join(root, 'docs', 'errors.md'), 'utf8');
  const rows = page.matchAll(/^\| `([A-Z_]+)` \| [^|]+ \| `[A-Z_`, ]+` \| ([^|]+) \| [^|]+ \|$/gm);
  const found = Object.fromEntries(Array.from(rows, ([, reason, repair]) => [reason, repair]));
  if (Object.keys(found).length < 50) throw new Error('docs/errors.md has another form');
  return found;
}

/** The two entry points and the file that they share, as ES modules in memory. */
function bundle(outdir, extension, plugin) {
  return build({
    absWorkingDir: root,
    entryPoints: { index: 'js/index.ts', testing: 'js/testing/index.ts' },
    outdir,
    bundle: true,
    // Only ESM can be split.
    splitting: true,
    format: 'esm',
    outExtension: { '.js': extension },
    // There is one, as there are two entry points.
    chunkNames: 'shared',
    platform: 'node',
    target,
    legalComments: 'none',
    logLevel: 'warning',
    plugins: [plugin],
    write: false,
    metafile: true,
  });
}

/** Leaves the module that finds the binaries out of a bundle, under another name. */
const replaceBinaries = (path) => ({
  name: 'binaries',
  setup: ({ onResolve }) =>
    onResolve({ filter: /\/binaries\.js$/ }, () => ({ path, external: true })),
});

async function writeCommonJs() {
  // Its calls of `require` have to stay as they are, so it does not pass through an ES module.
  const bundled = await bundle('dist', '.cjs', replaceBinaries('./binaries.cjs'));
  const written = ['binaries.cjs'];
  writeFileSync(join(dist, 'binaries.cjs'), binariesCommonJs());
  for (const { path, text } of bundled.outputFiles) {
    const name = basename(path);
    const { code } = await transform(text, { format: 'cjs', platform: 'node', target });
    writeFileSync(join(dist, name), code);
    written.push(name);
    const { entryPoint, exports } = bundled.metafile.outputs[`dist/${name}`];
    if (entryPoint !== undefined) writeEsm(name, exports.toSorted());
  }
  return written;
}

async function writeModules() {
  // Which one it is depends on the bundler: `imports` of package.json.
  const bundled = await bundle('dist/esm', '.mjs', replaceBinaries('#binaries'));
  const source = readFileSync(join(root, BINARIES), 'utf8');
  const binaries = await transform(source, { loader: 'ts', format: 'esm', target });
  const files = {
    ...Object.fromEntries(bundled.outputFiles.map(({ path, text }) => [basename(path), text])),
    'binaries.mjs': binaries.code,
    'webpack.mjs': binariesWebpack(),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dist, 'esm', name), text);
  return Object.keys(files).map((name) => `esm/${name}`);
}

/** Writes the ESM wrapper of an entry point. No export has the name `$`. */
function writeEsm(name, names) {
  const lines = [
    `import $ from './${name}';`,
    ...names.map((exported) => `export const ${exported} = $.${exported};`),
  ];
  writeFileSync(join(dist, name.replace('.cjs', '.mjs')), `${lines.join('\n')}\n`);
}
