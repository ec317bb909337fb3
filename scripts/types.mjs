// Generates the declarations from the documented TypeScript source: index.d.ts, which is committed,
// dist/testing.d.ts and dist/nestjs.d.ts, and the ESM wrapper of each.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { progress, root } from './lib.mjs';

/** The committed declaration file. */
export const declarations = join(root, 'index.d.ts');

/** The further entry points, and what their declarations import. */
const USERS = { testing: [], nestjs: ['@nestjs/common', '@nestjs/microservices', 'rxjs'] };
/** The import of the package in their sources, and of its declarations in dist/. */
const MAIN = '../index.js';

const stamp = join(root, 'dist', '.types');

/** Writes the declaration files if the source has changed since the previous build. */
export async function buildTypes() {
  mkdirSync(join(root, 'dist'), { recursive: true });
  writeFileSync(join(root, 'dist', 'index.d.mts'), "export * from '../index.js';\n");
  const users = Object.entries(USERS).map(([name, imports]) => {
    const wrapper = `export * from './${name}.js';\n`;
    writeFileSync(join(root, 'dist', `${name}.d.mts`), wrapper);
    return { name, imports, file: join(root, 'dist', `${name}.d.ts`) };
  });
  const current = inputs();
  const made = [declarations, ...users.map(({ file }) => file)].every((file) => existsSync(file));
  if (existsSync(stamp) && made && readFileSync(stamp, 'utf8') === current) return;
  progress('generating index.d.ts, dist/testing.d.ts and dist/nestjs.d.ts');
  writeFileSync(declarations, await generateTypes());
  for (const { name, imports, file } of users) {
    writeFileSync(file, await generate(`js/${name}/index.ts`, [MAIN, ...imports]));
  }
  writeFileSync(stamp, inputs());
}

/** Generates the content of index.d.ts. */
export function generateTypes() {
  return generate('js/index.ts', []);
}

/** Generates the declarations of an entry point. The declarations of `external` are imported, not repeated. */
async function generate(entry, external) {
  const [{ rollup }, { dts }] = await Promise.all([import('rollup'), import('rollup-plugin-dts')]);
  const bundle = await rollup({
    input: join(root, entry),
    external: (id) => id.startsWith('node:') || external.includes(id),
    makeAbsoluteExternalsRelative: false,
    plugins: [dts({ tsconfig: join(root, 'tsconfig.json') })],
    onwarn(warning) {
      throw new Error(`${entry}: ${warning.message}`);
    },
  });
  const { output } = await bundle.generate({ format: 'es' });
  await bundle.close();
  return `// Generated from js/ by scripts/types.mjs. Do not edit.\n${output[0].code.trimEnd()}\n`;
}

/** A digest of the inputs of index.d.ts, and of the file itself. */
function inputs() {
  const hash = createHash('sha256');
  const files = readdirSync(join(root, 'js'), { recursive: true })
    .filter((name) => name.endsWith('.ts') && !name.startsWith('cli'))
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
