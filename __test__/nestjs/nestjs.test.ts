// The transport for NestJS, with the real NestJS and the built package, in a process of its own.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import ts from 'typescript';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { manifest, root } from '../../scripts/lib.mjs';

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-nest-'));
  const modules = join(directory, 'node_modules');
  mkdirSync(join(modules, '@lemur-bookstores'), { recursive: true });
  symlinkSync(root, join(modules, manifest.name), 'junction');
  for (const name of ['@nestjs', 'rxjs', 'reflect-metadata']) {
    symlinkSync(join(root, 'node_modules', name), join(modules, name), 'junction');
  }
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Compiles a program with the decorators of NestJS. */
function compile(module: ts.ModuleKind): string {
  const source = readFileSync(join(root, '__test__/fixtures/nest-app.ts'), 'utf8');
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: {
      module,
      target: ts.ScriptTarget.ES2022,
      experimentalDecorators: true,
      emitDecoratorMetadata: true,
      esModuleInterop: true,
    },
  });
  return outputText;
}

it('serves message handlers, calls them from an HTTP application, and hides internal text', async () => {
  const file = join(directory, 'app.mjs');
  writeFileSync(file, compile(ts.ModuleKind.ESNext));
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    [file, join(directory, 'keys')],
    { cwd: directory, timeout: 100_000 },
  );
  expect([stdout, stderr]).toEqual(['all well\n', '']);
}, 120_000);

it('is loaded by CommonJS too, as one instance with ESM', async () => {
  const text = `
    const { MeshStrategy } = require('${manifest.name}/nestjs');
    const { SecureMesh } = require('${manifest.name}');
    import('${manifest.name}/nestjs').then((esm) => console.log(esm.MeshStrategy === MeshStrategy, typeof SecureMesh));`;
  writeFileSync(join(directory, 'require.cjs'), text);
  const { stdout } = await promisify(execFile)(process.execPath, ['require.cjs'], {
    cwd: directory,
  });
  expect(stdout).toBe('true function\n');
}, 60_000);
