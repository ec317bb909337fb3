// npm run dashboard: builds the page of the admin port into dashboard/dist, which is committed and embedded in
// the addon.
//
//   --serve   serves the page with the data of its tests at http://127.0.0.1:9901/; with --large, a large mesh
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { parseArgs } from 'node:util';
import { main, progress, root, run, StepFailed, tool } from './lib.mjs';

const dist = join(root, 'dashboard', 'dist');
/** The page is part of every platform package. */
const MAX_COMPRESSED = 300 * 1024;
/** Packages whose code is in app.js. */
const INCLUDED = ['preact', 'uplot', '@dagrejs/dagre', '@dagrejs/graphlib'];

/** Builds the page into a folder. */
export async function buildDashboard(folder = dist) {
  const config = join(root, 'dashboard', 'vite.config.mts');
  await run(process.execPath, [
    tool('vite'),
    'build',
    join(root, 'dashboard'),
    ...['--config', config, '--outDir', folder, '--emptyOutDir', '--logLevel', 'warn'],
  ]);
  writeFileSync(join(folder, 'LICENSES.txt'), licenses());
}

function licenses() {
  const texts = INCLUDED.map((name) => {
    const text = readFileSync(join(root, 'node_modules', name, 'LICENSE'), 'utf8');
    return `${name}\n\n${text.replaceAll('\r', '').trim()}\n`;
  });
  return `app.js contains code of the following packages.\n\n${texts.join('\n---\n\n')}`;
}

/** Fails if the committed page is not a fresh build of its source, or is too large. */
export async function checkDashboard() {
  const folder = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-dashboard-'));
  try {
    await buildDashboard(folder);
    const [wanted, found] = [read(folder), read(dist)];
    const names = [...new Set([...Object.keys(wanted), ...Object.keys(found)])];
    const stale = names.filter((name) => wanted[name] !== found[name]);
    if (stale.length > 0) {
      throw new StepFailed(
        `dashboard/dist does not match its source (${stale.join(', ')}); run npm run dashboard, then git add`,
      );
    }
    const size = Object.values(found).reduce((sum, text) => sum + gzipSync(text).byteLength, 0);
    if (size > MAX_COMPRESSED) {
      throw new StepFailed(`dashboard/dist has ${size} bytes compressed, of ${MAX_COMPRESSED}`);
    }
    progress(`dashboard: ${Math.round(size / 1024)} KiB compressed`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function read(folder) {
  return Object.fromEntries(
    readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]),
  );
}

async function serve(large) {
  const { build } = await import('esbuild');
  const folder = mkdtempSync(join(root, 'node_modules', '.dashboard-'));
  const outfile = join(folder, 'main.mjs');
  try {
    await build({
      entryPoints: [join(root, '__test__', 'dashboard', 'support', 'main.ts')],
      outfile,
      bundle: true,
      platform: 'node',
      format: 'esm',
      logLevel: 'error',
      define: { 'import.meta.dirname': JSON.stringify(join(root, '__test__/dashboard/support')) },
    });
    await run(process.execPath, [outfile, ...(large ? ['--large'] : [])]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: { serve: { type: 'boolean' }, large: { type: 'boolean' } },
  });
  await main(async () => {
    await buildDashboard();
    progress('dashboard/dist');
    if (values.serve) await serve(values.large);
  });
}
