// npm run docs: the API reference in docs/api, which is committed, from the doc comments of js/. Fails if a
// public item has no comment, or a link is broken.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { main, progress, root, run, StepFailed, tool } from './lib.mjs';

/** The committed pages. */
const pages = join(root, 'docs', 'api');

/** Writes the pages to a folder, and replaces its content. */
export async function generateDocs(folder = pages) {
  await run(process.execPath, [tool('typedoc'), '--logLevel', 'Warn', '--out', folder]);
}

/** Fails if the committed pages do not match the source. */
export async function checkDocs() {
  const folder = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-docs-'));
  try {
    await generateDocs(folder);
    const [wanted, found] = [read(folder), read(pages)];
    const names = [...new Set([...Object.keys(wanted), ...Object.keys(found)])];
    const stale = names.filter((name) => wanted[name] !== found[name]);
    if (stale.length > 0) {
      throw new StepFailed(
        `docs/api does not match js/ (${stale.slice(0, 5).join(', ')}); run npm run docs, then git add`,
      );
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function read(folder) {
  const names = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.md'));
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
}

if (process.argv[1] === import.meta.filename) {
  await main(async () => {
    await generateDocs();
    progress('docs/api is up to date');
  });
}
