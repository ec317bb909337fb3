// The packed package, unpatched, in bundles and traces: the quick part of `npm run matrix`. Each
// program does the quick start and all kinds of calls, in its main thread and in a worker, and
// exits by itself.
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { nodeResolve } from '@rollup/plugin-node-resolve';
import { nodeFileTrace } from '@vercel/nft';
import { build, type Format } from 'esbuild';
import { rollup } from 'rollup';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import webpack from 'webpack';
import { root } from '../scripts/lib.mjs';
import { Folder } from '../scripts/matrix/folder.mjs';
import { pack } from '../scripts/pack-local.mjs';

const BINARY = /secure-stack-mesh\.[a-z0-9-]+\.node$/;
let directory: string;
let folder: Folder;
let project: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-bundlers-'));
  folder = new Folder(join(directory, 'project'), await pack(join(directory, 'tarballs')));
  project = folder.path;
  await folder.install();
}, 120_000);
afterAll(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }));

/** Runs a program, which has to exit by itself. */
async function works(file: string, cwd = project): Promise<void> {
  const env = { ...process.env, ...folder.env };
  const options = { cwd, env, timeout: 60_000, killSignal: 'SIGKILL' } as const;
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [file], options);
  expect(stderr).toBe('');
  expect(stdout.split('\n')).toEqual(['the worker is well', 'all well', '']);
}

describe('Node', () => {
  it('runs it as an ES module', () => works('main.mjs'), 60_000);
  it('runs it as CommonJS', () => works('main.cjs'), 60_000);
});

describe('esbuild', () => {
  const cases: [Format, string, string][] = [
    ['cjs', 'main.mjs', 'es.cjs'],
    ['esm', 'main.mjs', 'es.mjs'],
    ['cjs', 'main.cjs', 'required.cjs'],
    // Not an ES module of main.cjs: esbuild makes none of CommonJS that requires Node's own modules.
  ];
  it.each(cases)(
    'makes %s of %s without an option',
    async (format, entry, name) => {
      const outfile = join(project, 'esbuild', name);
      const { warnings } = await build({
        absWorkingDir: project,
        entryPoints: [entry],
        bundle: true,
        platform: 'node',
        format,
        outfile,
        logLevel: 'silent',
      });
      expect(warnings).toEqual([]);
      await works(outfile);
    },
    60_000,
  );

  it('needs the condition `module`, and says so otherwise', async () => {
    const with_ = (conditions: string[]) =>
      build({
        absWorkingDir: project,
        entryPoints: ['main.mjs'],
        bundle: true,
        platform: 'node',
        conditions,
        write: false,
        logLevel: 'silent',
      });
    await expect(with_(['custom'])).rejects.toThrow('No loader is configured for ".node" files');
    await with_(['custom', 'module']);
  }, 60_000);
});

it('rollup makes an ES module of it', async () => {
  const bundle = await rollup({
    input: join(project, 'main.mjs'),
    external: /^node:/,
    plugins: [nodeResolve({ preferBuiltins: true })],
    onwarn: (warning) => {
      throw new Error(warning.message);
    },
  });
  const file = join(project, 'rollup', 'main.mjs');
  await bundle.write({ format: 'es', file });
  await bundle.close();
  await works(file);
}, 60_000);

it('webpack makes CommonJS and an ES module of it, without a warning', async () => {
  for (const module of [false, true]) {
    const path = join(project, 'webpack', module ? 'esm' : 'cjs');
    const filename = module ? 'main.mjs' : 'main.cjs';
    const stats = await promisify<webpack.Configuration, webpack.Stats | undefined>(
      webpack as never,
    )({
      context: project,
      entry: './main.mjs',
      target: 'node20',
      mode: 'production',
      optimization: { minimize: false },
      output: { path, filename, module },
      experiments: { outputModule: module },
    });
    expect(stats?.toString({ all: false, errors: true, warnings: true })).toBe('');
    await works(join(path, filename));
  }
}, 120_000);

describe('@vercel/nft', () => {
  const trace = async (entry: string): Promise<void> => {
    const { fileList } = await nodeFileTrace([join(project, entry)], { base: project });
    expect([...fileList].filter((file) => BINARY.test(file))).toHaveLength(1);
    // There is no node_modules above it.
    const target = mkdtempSync(join(directory, 'traced-'));
    for (const file of fileList) cpSync(join(project, file), join(target, file));
    await works(entry, target);
  };

  it('finds the binary from an ES module', () => trace('main.mjs'), 60_000);
  it('finds the binary from CommonJS', () => trace('main.cjs'), 60_000);
  it('finds the binary from a bundle', async () => {
    const outfile = join(project, 'bundle.mjs');
    const entryPoints = [join(project, 'main.mjs')];
    await build({ entryPoints, bundle: true, platform: 'node', format: 'esm', outfile });
    await trace('bundle.mjs');
  }, 60_000);
});

it('a bundle without a node_modules says so, and runs with the binary beside it', async () => {
  const alone = mkdtempSync(join(directory, 'alone-'));
  const entryPoints = [join(project, 'main.mjs')];
  for (const [format, name] of [
    ['esm', 'main.mjs'],
    ['cjs', 'main.cjs'],
  ] as const) {
    await build({
      entryPoints,
      bundle: true,
      platform: 'node',
      format,
      outfile: join(alone, name),
    });
    const error = await works(name, alone).catch((thrown: { stderr: string }) => thrown.stderr);
    expect(error).toContain('and a bundle has no binary in it. Ship');
  }
  const { fileList } = await nodeFileTrace([join(project, 'main.cjs')], { base: project });
  const binary = [...fileList].find((file) => BINARY.test(file)) as string;
  cpSync(join(project, binary), join(alone, binary.split('/').pop() as string));
  await works('main.mjs', alone);
  await works('main.cjs', alone);
}, 60_000);

describe('@opentelemetry/api, where it is installed,', () => {
  /** Without the package, the constructor throws. */
  const PROGRAM = `
    import { SecureMesh } from '@lemur-bookstores/secure-stack-mesh';
    new SecureMesh({ serviceId: 'a', tracing: { enabled: true } });
    console.log('found');
  `;
  const API = 'node_modules/@opentelemetry/api';
  let entry: string;

  beforeAll(() => {
    cpSync(join(root, API), join(project, API), { recursive: true });
    entry = join(project, 'traced.mjs');
    writeFileSync(entry, PROGRAM);
  });

  async function finds(file: string): Promise<void> {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [file], {
      cwd: project,
    });
    expect([stdout, stderr]).toEqual(['found\n', '']);
  }

  it.each(['cjs', 'esm'] as const)('is found from a bundle of esbuild, %s', async (format) => {
    const outfile = join(project, 'traced', `esbuild.${format === 'cjs' ? 'cjs' : 'mjs'}`);
    await build({ entryPoints: [entry], bundle: true, platform: 'node', format, outfile });
    await finds(outfile);
  });

  it('is found from a bundle of rollup', async () => {
    const plugins = [nodeResolve({ preferBuiltins: true })];
    const bundle = await rollup({ input: entry, external: /^node:/, plugins });
    const file = join(project, 'traced', 'rollup.mjs');
    await bundle.write({ format: 'es', file });
    await bundle.close();
    await finds(file);
  });

  it.each([false, true])('is found from a bundle of webpack; an ES module: %s', async (module) => {
    const path = join(project, 'traced');
    const filename = module ? 'webpack.mjs' : 'webpack.cjs';
    await promisify<webpack.Configuration, webpack.Stats | undefined>(webpack as never)({
      context: project,
      entry,
      target: 'node20',
      mode: 'production',
      output: { path, filename, module },
      experiments: { outputModule: module },
    });
    await finds(join(path, filename));
  });

  it('is traced by @vercel/nft', async () => {
    const { fileList } = await nodeFileTrace([entry], { base: project });
    expect([...fileList].some((file) => file.startsWith(API))).toBe(true);
  });
});
