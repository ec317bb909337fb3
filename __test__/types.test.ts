// The types of the package under the supported versions of TypeScript: the files in types/, which are only
// compiled, against the published declarations.
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root, tool } from '../scripts/lib.mjs';
import { makeProject } from '../scripts/snippets.mjs';

const RESOLUTIONS = {
  node16: { module: 'node16', moduleResolution: 'node16' },
  nodenext: { module: 'nodenext', moduleResolution: 'nodenext' },
  bundler: { module: 'esnext', moduleResolution: 'bundler' },
};
type Resolution = keyof typeof RESOLUTIONS;

const LIBRARIES = ['zod', 'valibot', 'arktype', '@ark', 'arkregex'];

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-types-'));
  makeProject(directory);
  writeFileSync(join(directory, 'package.json'), '{ "type": "module" }');
  for (const library of LIBRARIES) {
    symlinkSync(
      join(root, 'node_modules', library),
      join(directory, 'node_modules', library),
      'junction',
    );
  }
  cpSync(join(root, '__test__', 'types'), directory, { recursive: true });
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Returns the errors of a compiler for some files; empty if it accepts them. */
async function compile(
  compiler: string,
  resolution: Resolution,
  files: string[],
  extra: object = {},
): Promise<string> {
  const config = join(directory, `tsconfig.${resolution}.json`);
  const compilerOptions = {
    ...RESOLUTIONS[resolution],
    target: 'es2022',
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    noEmit: true,
    types: ['node'],
    ...extra,
  };
  writeFileSync(config, JSON.stringify({ compilerOptions, files }));
  const child = spawn(process.execPath, [tool(compiler, 'tsc'), '-p', config]);
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  }
  const code = await new Promise((resolve) => child.on('close', resolve));
  return code === 0 ? '' : `exit ${String(code)}\n${text}`;
}

const OWN = ['calls.test-d.ts', 'contract.test-d.ts', 'testing.test-d.ts'];

describe('the declarations', () => {
  it.each<[string, Resolution]>([
    ['typescript-5.4', 'node16'],
    ['typescript-5.4', 'nodenext'],
    ['typescript-5.4', 'bundler'],
    ['typescript-5.6', 'nodenext'],
    ['typescript', 'node16'],
    ['typescript', 'nodenext'],
    ['typescript', 'bundler'],
    ['typescript-6.0', 'nodenext'],
    ['typescript-7.0', 'nodenext'],
    ['typescript-7.0', 'bundler'],
  ])('are right for %s with %s', { timeout: 120_000 }, async (compiler, resolution) => {
    expect(await compile(compiler, resolution, OWN)).toBe('');
  });

  it('take the schemas of zod, valibot and arktype', { timeout: 120_000 }, async () => {
    // Arktype's own declarations do not compile under this option.
    const extra = { exactOptionalPropertyTypes: false };
    expect(await compile('typescript', 'nodenext', ['libraries.test-d.ts'], extra)).toBe('');
  });

  it('are looked at: a wrong line is told', { timeout: 120_000 }, async () => {
    writeFileSync(
      join(directory, 'wrong.ts'),
      "import { SecureMesh } from '@lemur-bookstores/secure-stack-mesh';\nnew SecureMesh({ serviceId: 7 });\n",
    );
    expect(await compile('typescript', 'nodenext', ['wrong.ts'])).toMatch(/TS2322|TS2769/);
  });
});
