// Builds the native addon, puts it beside package.json, and writes the types
// of what it exports to js/addon.d.ts.
import { copyFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FEATURES_OF_TESTS, progress, root, run, StepFailed, targetDirectory } from './lib.mjs';
import { binaryName, currentPlatform, platforms } from './platform.mjs';

const libraryName = {
  linux: 'libsecure_stack_mesh.so',
  darwin: 'libsecure_stack_mesh.dylib',
  win32: 'secure_stack_mesh.dll',
};

/** Where the generated types of the addon are kept. */
export const addonTypes = join(root, 'js', 'addon.d.ts');

/**
 * Builds the addon with cargo, which decides itself what is stale.
 *
 * @param options.dev with the quick-to-build profile instead of the release one
 * @param options.triple a Rust target to cross-compile for
 */
export async function buildAddon({ dev = false, triple } = {}) {
  const platform = triple ? platforms.find((one) => one.triple === triple) : currentPlatform();
  if (platform === undefined) {
    throw new StepFailed(
      `no binary is made for ${triple ?? `${process.platform}-${process.arch}`}`,
    );
  }
  const target = await targetDirectory();
  const typeDefinitions = join(target, 'napi-types');
  mkdirSync(typeDefinitions, { recursive: true });

  progress(
    `building the addon for ${platform.name} (${dev ? 'dev' : 'release'}); the first time takes minutes`,
  );
  const release = ['--package', 'secure-stack-mesh', '--locked', '--release'];
  const args = ['build', '--lib', ...(dev ? FEATURES_OF_TESTS : release)];
  if (triple) args.push('--target', triple);
  await run('cargo', args, { env: { NAPI_TYPE_DEF_TMP_FOLDER: typeDefinitions } });

  const built = join(target, triple ?? '', dev ? 'debug' : 'release', libraryName[platform.os]);
  install(built, join(root, binaryName(platform)));
  await writeTypes(typeDefinitions);
}

/** Replaces the file by renaming, so that a process that has it loaded keeps its own. */
function install(from, to) {
  const temporary = `${to}.${process.pid}.tmp`;
  copyFileSync(from, temporary);
  renameSync(temporary, to);
}

async function writeTypes(typeDefDir) {
  const { generateTypeDef } = await import('@napi-rs/cli');
  const { dts } = await generateTypeDef({ typeDefDir, cwd: root, noDtsHeader: true });
  const text = `// Generated from src/ by scripts/addon.mjs. Do not edit.\n${dts.trimEnd()}\n`;
  if (read(addonTypes) !== text) writeFileSync(addonTypes, text);
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
