// Without `@opentelemetry/api`, and with the API but no SDK, nothing changes: nothing is printed, and the trace
// context that calls carry is passed on.
import { execFile } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { transform } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { manifest, root } from '../../scripts/lib.mjs';
import { pair } from '../support/kit.js';

const PROGRAM = `
import { SecureMesh } from '${manifest.name}';
import { createTestMesh } from '${manifest.name}/testing';

async function main() {
  const errors = [];
  for (const tracing of [{ enabled: true }, { enabled: false }, {}, undefined]) {
    try {
      new SecureMesh({ serviceId: 'a', tracing });
      errors.push(null);
    } catch ({ code, reason, message }) {
      errors.push({ code, reason, message });
    }
  }
  const kit = await createTestMesh({
    services: {
      b: { look: (_, ctx) => ctx.metadata },
      a: { look: (_, ctx) => ctx.call('b', 'look') },
    },
  });
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  const seen = await kit.connect('a').call('look', 1, { metadata: { traceparent, tracestate: 'a=b' } });
  await kit.cleanup();
  console.log(JSON.stringify({ errors, seen }));
}
void main();
`;

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-absent-'));
  const target = join(directory, 'node_modules', manifest.name);
  mkdirSync(target, { recursive: true });
  cpSync(join(root, 'dist'), join(target, 'dist'), { recursive: true });
  cpSync(join(root, 'package.json'), join(target, 'package.json'));
  for (const name of readdirSync(root).filter((file) => file.endsWith('.node'))) {
    symlinkSync(join(root, name), join(target, name));
  }
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function run(format: 'esm' | 'cjs'): Promise<{ errors: unknown[]; seen: unknown }> {
  const { code } = await transform(PROGRAM, { format });
  const file = join(directory, `program.${format === 'esm' ? 'mjs' : 'cjs'}`);
  writeFileSync(file, code);
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [file], {
    timeout: 30_000,
  });
  expect(stderr).toBe('');
  return JSON.parse(stdout) as { errors: unknown[]; seen: unknown };
}

describe('without the API', () => {
  it.each(['esm', 'cjs'] as const)('calls pass their trace on, as %s', async (format) => {
    const { errors, seen } = await run(format);
    expect(seen).toMatchObject({
      traceparent: expect.stringMatching(/^00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-01$/),
      tracestate: 'a=b',
    });
    // Only a mesh that must have it complains.
    expect(errors).toEqual([
      {
        code: 'INVALID_ARGUMENT',
        reason: 'CONFIG',
        message: expect.stringContaining('npm install @opentelemetry/api'),
      },
      null,
      null,
      null,
    ]);
  });
});

describe('the option', () => {
  it.each([
    [{ enabled: 'yes' }, 'tracing.enabled must be true or false, got "yes"'],
    [{ enable: true }, 'tracing.enable is not an option; did you mean tracing.enabled?'],
    [7, 'tracing must be an object, got 7'],
    [null, 'tracing must be an object, got null'],
  ])('%j is an error', async (tracing, message) => {
    const failed = pair(() => {}, { tracing: tracing as never });
    await expect(failed).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'CONFIG' });
    await expect(pair(() => {}, { tracing: tracing as never })).rejects.toThrow(message);
  });
});
