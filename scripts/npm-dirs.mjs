// The manifests of the platform packages, npm/<platform>/package.json, generated from that of the root. They
// are committed; `npm run check` compares them.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { main, manifest, root } from './lib.mjs';
import { binaryName, platforms } from './platform.mjs';

/** The name of a platform's package. */
export const platformPackage = (platform) => `${manifest.napi.packageName}-${platform.name}`;

/** The path of each committed manifest with its generated content. */
export function platformManifests() {
  return Object.fromEntries(
    platforms.map((platform) => [
      `npm/${platform.name}/package.json`,
      `${JSON.stringify(platformManifest(platform), null, 2)}\n`,
    ]),
  );
}

function platformManifest(platform) {
  return {
    name: platformPackage(platform),
    version: manifest.version,
    description: `The binary of ${manifest.name} for ${platform.triple}.`,
    license: manifest.license,
    repository: manifest.repository,
    engines: manifest.engines,
    os: [platform.os],
    cpu: [platform.cpu],
    ...(platform.libc ? { libc: [platform.libc] } : {}),
    main: binaryName(platform),
    files: [binaryName(platform)],
    publishConfig: manifest.publishConfig,
  };
}

if (process.argv[1] === import.meta.filename) {
  await main(async () => {
    for (const [file, text] of Object.entries(platformManifests())) {
      mkdirSync(join(root, file, '..'), { recursive: true });
      writeFileSync(join(root, file), text);
    }
  });
}
