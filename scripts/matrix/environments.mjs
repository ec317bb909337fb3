// The environments, each with the versions of its tools and the way in which the program gets there.
import { nest } from './nest.mjs';
import { next } from './next.mjs';
import { runners } from './runners.mjs';

const RESOLVE = { rollup: '4.68.8', '@rollup/plugin-node-resolve': '16.0.3' };
const WEBPACK = { webpack: '5.113.0', 'webpack-cli': '7.3.1' };

/** Bundles the program with esbuild, and runs the bundle. */
const esbuild = (format, extension) => async (folder) => {
  const out = `out/main.${extension}`;
  const options = ['--bundle', '--platform=node', `--format=${format}`, `--outfile=${out}`];
  await folder.tool('esbuild', ['main.mjs', ...options]);
  await folder.node(out);
};

/** Runs the program with another version of Node, which npm installs. */
const node = (version) => ({
  name: `node-${version.split('.')[0]}`,
  title: `Node ${version.split('.')[0]}`,
  tools: { node: version },
  async run(folder) {
    for (const file of ['main.mjs', 'main.cjs']) {
      await folder.works('node_modules/node/bin/node', [file]);
    }
  },
});

/**
 * `option`: the one thing that a user has to add, where it is not nothing.
 */
export const environments = [
  {
    name: 'node-esm',
    title: 'Node, `import`',
    run: (folder) => folder.node('main.mjs'),
  },
  {
    name: 'node-cjs',
    title: 'Node, `require`',
    run: (folder) => folder.node('main.cjs'),
  },
  node('22.23.3'),
  node('24.9.0'),
  node('26.10.0'),
  {
    name: 'esbuild-cjs',
    title: 'esbuild, CommonJS',
    tools: { esbuild: '0.28.2' },
    run: esbuild('cjs', 'cjs'),
  },
  {
    name: 'esbuild-esm',
    title: 'esbuild, ES module',
    tools: { esbuild: '0.28.2' },
    run: esbuild('esm', 'mjs'),
  },
  {
    name: 'rollup',
    title: 'rollup, ES module',
    tools: RESOLVE,
    async run(folder) {
      const options = ['-p', 'node-resolve', '-f', 'es', '-o', 'out/main.mjs'];
      await folder.tool('rollup', ['main.mjs', ...options]);
      await folder.node('out/main.mjs');
    },
  },
  {
    name: 'rolldown',
    title: 'rolldown, ES module',
    tools: { rolldown: '1.3.3' },
    async run(folder) {
      await folder.tool('rolldown', [
        'main.mjs',
        '--platform',
        'node',
        '-f',
        'esm',
        '-o',
        'out/main.mjs',
      ]);
      await folder.node('out/main.mjs');
    },
  },
  {
    name: 'webpack',
    title: 'webpack, target `node`, CommonJS and ES module',
    tools: WEBPACK,
    async run(folder) {
      await folder.tool('webpack', [
        './main.mjs',
        '--target=node',
        '--mode=production',
        '-o',
        'out',
      ]);
      await folder.node('out/main.js');
      folder.write(
        'webpack.config.mjs',
        `export default {
          entry: './main.mjs', target: 'node20', mode: 'production',
          output: { module: true, path: import.meta.dirname + '/esm', filename: 'main.mjs' },
          experiments: { outputModule: true },
        };`,
      );
      await folder.tool('webpack', []);
      await folder.node('esm/main.mjs');
    },
  },
  {
    name: 'vite',
    title: 'Vite, SSR build, `ssr.noExternal: true` and without',
    tools: { vite: '8.4.0' },
    async run(folder) {
      const config = (outDir, more) =>
        `export default { build: { ssr: './main.mjs', outDir: '${outDir}' }, ${more} };`;
      folder.write('vite.config.mjs', config('out', 'ssr: { noExternal: true }'));
      await folder.tool('vite', ['build']);
      await folder.node('out/main.mjs');
      folder.write('vite.config.mjs', config('plain', ''));
      await folder.tool('vite', ['build']);
      await folder.node('plain/main.mjs');
    },
  },
  {
    name: 'ncc',
    title: '@vercel/ncc, the result alone in another folder',
    tools: { '@vercel/ncc': '0.45.0' },
    async run(folder) {
      for (const format of ['mjs', 'cjs']) {
        await folder.tool('ncc', ['build', `main.${format}`, '-o', `out/${format}`]);
        const cwd = folder.elsewhere(`out/${format}`);
        await folder.node(`index.${format}`, { cwd });
      }
    },
  },
  {
    name: 'nft',
    title: '@vercel/nft, the traced files alone in another folder',
    tools: { '@vercel/nft': '1.11.5', esbuild: '0.28.2' },
    async run(folder) {
      // As it is, and a bundle.
      await folder.tool('esbuild', [
        'main.mjs',
        '--bundle',
        '--platform=node',
        '--format=esm',
        '--outfile=out/bundle.mjs',
      ]);
      folder.write(
        'trace.mjs',
        `import { nodeFileTrace } from '@vercel/nft';
         import { cpSync } from 'node:fs';
         for (const [entry, target] of [['main.mjs', 'traced'], ['out/bundle.mjs', 'bundled']]) {
           const { fileList } = await nodeFileTrace([entry]);
           for (const file of fileList) cpSync(file, target + '/' + file);
         }`,
      );
      await folder.run(process.execPath, ['trace.mjs']);
      await folder.node('main.mjs', { cwd: folder.elsewhere('traced') });
      await folder.node('out/bundle.mjs', { cwd: folder.elsewhere('bundled') });
    },
  },
  ...next,
  {
    name: 'bun',
    title: 'Bun',
    tools: { bun: '1.4.5' },
    run: (folder) => folder.works('node_modules/.bin/bun', ['main.mjs']),
  },
  {
    name: 'bun-compile',
    title: '`bun build --compile`, the executable alone in another folder',
    tools: { bun: '1.4.5' },
    async run(folder) {
      await folder.tool('bun', ['build', '--compile', 'main.mjs', '--outfile', 'out/main']);
      await folder.works('./main', [], { cwd: folder.elsewhere('out') });
    },
  },
  {
    name: 'deno',
    title: 'Deno',
    tools: { deno: '2.9.6' },
    run: (folder) => folder.works('node_modules/.bin/deno', ['run', '-A', 'main.mjs']),
  },
  {
    name: 'pnpm',
    title: 'pnpm, strict `node_modules`',
    manager: { pnpm: '10.34.8' },
    async run(folder, manager) {
      const { dependencies, overrides } = folder.declared();
      await folder.programs();
      folder.write('package.json', { private: true, dependencies, pnpm: { overrides } });
      await folder.run(manager('pnpm'), [
        'install',
        '--config.node-linker=isolated',
        '--config.hoist=false',
      ]);
      for (const file of ['main.mjs', 'main.cjs']) await folder.node(file);
    },
  },
  {
    name: 'yarn-pnp',
    title: 'yarn, Plug’n’Play',
    manager: { '@yarnpkg/cli-dist': '4.18.1' },
    async run(folder, manager) {
      const { dependencies, overrides } = folder.declared();
      await folder.programs();
      // Yarn finds packages for ES modules only in a project of that type.
      folder.write('package.json', {
        private: true,
        type: 'module',
        dependencies,
        resolutions: overrides,
      });
      folder.write(
        '.yarnrc.yml',
        'nodeLinker: pnp\nenableGlobalCache: false\nenableImmutableInstalls: false\n',
      );
      folder.write('yarn.lock', '');
      await folder.run(manager('yarn'), ['install']);
      for (const file of ['main.mjs', 'main.cjs'])
        await folder.works(manager('yarn'), ['node', file]);
    },
  },
  ...nest,
  ...runners,
];
