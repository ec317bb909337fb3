// Generates index.d.ts, which is committed, from the documented TypeScript
// source, and dist/index.d.mts, its ESM face.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { progress, root } from './lib.mjs';

/** The committed declaration file. */
export const declarations = join(root, 'index.d.ts');

const stamp = join(root, 'dist', '.types');

/** Writes both declaration files, if the source has changed since the last time. */
export async function buildTypes() {
  mkdirSync(join(root, 'dist'), { recursive: true });
  writeFileSync(join(root, 'dist', 'index.d.mts'), "export * from '../index.js';\n");
  const current = inputs();
  if (existsSync(stamp) && existsSync(declarations) && readFileSync(stamp, 'utf8') === current)
    return;
  progress('generating index.d.ts');
  writeFileSync(declarations, await generateTypes());
  writeFileSync(stamp, inputs());
}

/** The text that index.d.ts should have. */
export async function generateTypes() {
  const [{ rollup }, { dts }] = await Promise.all([import('rollup'), import('rollup-plugin-dts')]);
  const bundle = await rollup({
    input: join(root, 'js', 'index.ts'),
    external: [/^node:/],
    plugins: [dts({ tsconfig: join(root, 'tsconfig.json') })],
    onwarn(warning) {
      throw new Error(`index.d.ts: ${warning.message}`);
    },
  });
  const { output } = await bundle.generate({ format: 'es' });
  await bundle.close();
  return `// Generated from js/ by scripts/types.mjs. Do not edit.\n${output[0].code.trimEnd()}\n`;
}

/** A digest of all that index.d.ts is made from, and of itself. */
function inputs() {
  const hash = createHash('sha256');
  const files = readdirSync(join(root, 'js'), { recursive: true })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join('js', name))
    .toSorted();
  for (const file of [
    ...files,
    'package.json',
    'tsconfig.json',
    'index.d.ts',
    'scripts/types.mjs',
  ]) {
    hash
      .update(`${file}\0`)
      .update(existsSync(join(root, file)) ? readFileSync(join(root, file)) : '');
  }
  return hash.digest('hex');
}
