// The packages that a publication contains, as npm itself reports them: nine, the platforms' before the root.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { manifest, root } from '../scripts/lib.mjs';
import { publish } from '../scripts/publish.mjs';

it('npm would publish all nine packages, each with its files only', async () => {
  const published = await publish(root, { dryRun: true });
  const names = Object.keys(published);
  expect(names).toHaveLength(9);
  expect(names.at(-1)).toBe(manifest.name);
  for (const name of names.slice(0, -1)) {
    const platform = name.replace(`${manifest.name}-`, '');
    const files = published[name]?.files.map(({ path }) => path).toSorted();
    expect(files).toEqual(['LICENSE', 'package.json', `secure-stack-mesh.${platform}.node`]);
  }
  const own = published[manifest.name]?.files.map(({ path }) => path) ?? [];
  expect(own).toContain('dist/esm/webpack.mjs');
  expect(
    own.filter(
      (path) =>
        !/^(dist\/|docs\/schemas\/|[A-Z]+\.?(md)?$|index\.d\.ts$|package\.json$)/.test(path),
    ),
  ).toEqual([]);
  for (const entry of Object.values(published)) expect(entry?.version).toBe(manifest.version);
}, 120_000);

it('publishes nothing while a binary is missing', async () => {
  const empty = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-publish-test-'));
  try {
    await expect(publish(empty)).rejects.toThrow('nothing was published');
  } finally {
    rmSync(empty, { recursive: true });
  }
});
