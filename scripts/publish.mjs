// node scripts/publish.mjs BINARIES [--dry-run]
//
// Publishes the nine packages with the binaries in the folder BINARIES: the eight platforms first, so
// that the root package never names one that is not there. Those that the registry has already are
// left out, so a publication that broke off can be done again. With --dry-run npm only says what it
// would do, and the folder need not have all binaries.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { capture, main, manifest, progress, StepFailed } from './lib.mjs';
import { platformPackage } from './npm-dirs.mjs';
import { stagePlatform, stageRoot } from './pack-local.mjs';
import { binaryName, platforms } from './platform.mjs';

/** Publishes all packages; what npm says of each, by its name. */
export async function publish(binaries, { dryRun = false } = {}) {
  const missing = platforms.map(binaryName).filter((name) => !existsSync(join(binaries, name)));
  if (missing.length > 0 && !dryRun) {
    throw new StepFailed(`${binaries} has no ${missing.join(', ')}; nothing was published`);
  }
  const staging = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-publish-'));
  const published = {};
  try {
    const placeholder = join(staging, 'placeholder');
    writeFileSync(placeholder, 'in the place of a binary that was not built');
    for (const platform of platforms) {
      const binary = join(binaries, binaryName(platform));
      const folder = join(staging, platform.name);
      stagePlatform(folder, platform, existsSync(binary) ? binary : placeholder);
      published[platformPackage(platform)] = await npmPublish(
        folder,
        platformPackage(platform),
        dryRun,
      );
    }
    const folder = join(staging, 'root');
    stageRoot(folder, platforms);
    published[manifest.name] = await npmPublish(folder, manifest.name, dryRun);
    return published;
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

async function npmPublish(folder, name, dryRun) {
  const { version } = manifest;
  if (
    !dryRun &&
    (await capture('npm', ['view', `${name}@${version}`, 'version'])).stdout.trim() === version
  ) {
    progress(`${name}@${version} is there already`);
    return undefined;
  }
  // A version before its release must not be what `npm install` takes.
  const tag = version.includes('-') ? 'next' : 'latest';
  const options = dryRun ? ['--dry-run'] : ['--provenance'];
  const args = ['publish', '--json', '--access', 'public', '--tag', tag, ...options];
  const { code, stdout, stderr } = await capture('npm', args, { cwd: folder });
  if (code !== 0) throw new StepFailed(`npm publish ${name}: ${stderr}${stdout}`);
  progress(`${name}@${version}: ${dryRun ? 'would be published' : 'published'} as ${tag}`);
  const said = JSON.parse(stdout);
  // Newer versions of npm have an object by package name.
  return said[name] ?? said;
}

if (process.argv[1] === import.meta.filename) {
  await main(async () => {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { 'dry-run': { type: 'boolean' } },
    });
    const [binaries] = positionals;
    if (binaries === undefined)
      throw new StepFailed('node scripts/publish.mjs BINARIES [--dry-run]');
    await publish(resolve(binaries), { dryRun: values['dry-run'] });
  });
}
