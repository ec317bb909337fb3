// npm run pack:local -- DIR [--all-platforms] [--no-build]
//
// Writes two tarballs to DIR: this platform's package with its binary, and the
// root package, which names it as an optional dependency. In an empty project
// `npm install DIR/*.tgz` then needs nothing from a registry.
//
// The optional dependencies are written here, not in the repository's package.json: there npm would look for
// unpublished packages, and fail to write a lock file. For publishing, --all-platforms names all eight.
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { capture, main, manifest, progress, root, StepFailed } from './lib.mjs';
import { build } from './build.mjs';
import { platformManifests, platformPackage } from './npm-dirs.mjs';
import { binaryName, currentPlatform, platforms } from './platform.mjs';

/** Packs both packages into `directory`; returns their paths, the platform's first. */
export async function pack(directory, { allPlatforms = false } = {}) {
  mkdirSync(directory, { recursive: true });
  const platform = currentPlatform();
  const staging = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-pack-'));
  try {
    const own = join(staging, 'platform');
    stagePlatform(own, platform, join(root, binaryName(platform)));
    const main = join(staging, 'root');
    stageRoot(main, allPlatforms ? platforms : [platform]);
    return [await npmPack(own, directory), await npmPack(main, directory)];
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

/** Puts a platform's package into a folder, with the binary at a path. */
export function stagePlatform(directory, platform, binary) {
  stage(directory, platformManifests()[`npm/${platform.name}/package.json`], ['LICENSE']);
  copyFileSync(binary, join(directory, binaryName(platform)));
}

/** Puts the root package into a folder, with the packages of some platforms as optional dependencies. */
export function stageRoot(directory, named) {
  stage(directory, rootManifest(named), rootFiles());
}

function rootManifest(named) {
  const { scripts: _, devDependencies: __, overrides: ___, napi: ____, ...published } = manifest;
  const optionalDependencies = Object.fromEntries(
    named.map((platform) => [platformPackage(platform), manifest.version]),
  );
  return `${JSON.stringify({ ...published, optionalDependencies }, null, 2)}\n`;
}

/** The files of the root package: those in package.json, and those that npm always adds. */
function rootFiles() {
  const always = ['README.md', 'LICENSE'];
  return [...manifest.files, ...always].filter((file) => existsSync(join(root, file)));
}

function stage(directory, packageJson, files) {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'package.json'), packageJson);
  for (const file of files) {
    mkdirSync(dirname(join(directory, file)), { recursive: true });
    cpSync(join(root, file), join(directory, file), { recursive: true });
  }
}

async function npmPack(directory, destination) {
  const { code, stdout, stderr } = await capture(
    'npm',
    ['pack', '--json', '--loglevel=error', '--pack-destination', destination],
    { cwd: directory },
  );
  if (code !== 0) throw new StepFailed(`npm pack: ${stderr}`);
  // The output is an array, or in newer versions of npm an object by package name.
  const [packed] = Object.values(JSON.parse(stdout));
  return join(destination, packed.filename);
}

if (process.argv[1] === import.meta.filename) {
  await main(async () => {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      allowNegative: true,
      options: { 'all-platforms': { type: 'boolean' }, build: { type: 'boolean' } },
    });
    const [directory] = positionals;
    if (directory === undefined) throw new StepFailed('where to? npm run pack:local -- DIR');
    if (values.build !== false) await build();
    const tarballs = await pack(resolve(directory), { allPlatforms: values['all-platforms'] });
    for (const file of tarballs) progress(`${file} (${(statSync(file).size / 1e6).toFixed(2)} MB)`);
  });
}
