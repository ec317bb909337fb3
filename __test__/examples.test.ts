// The examples, run as in their READMEs, with the output that the READMEs show.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { manifest, root } from '../scripts/lib.mjs';

/** The output of a program of one or two processes, after all of them have ended. */
async function output(command: string): Promise<string[]> {
  const [program, ...args] = command.split(' ');
  expect(program).toBe('node');
  const state = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-example-'));
  onTestFinished(() => rmSync(state, { recursive: true, force: true }));
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { ...process.env, XDG_STATE_HOME: state },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  }
  const code = await new Promise((resolve) => child.on('close', resolve));
  expect(code, text).toBe(0);
  return text.trimEnd().split('\n');
}

it('orders: all four kinds, schemas, middleware and a declared error between two processes', async () => {
  const printed = await output(manifest.scripts['example:orders'] as string);
  const readme = readFileSync(join(root, 'examples/orders/README.md'), 'utf8');
  const promised = /^It prints:\n\n```\n([^`]*)\n```/m.exec(readme)?.[1]?.split('\n') ?? [];
  // The order of the lines of two processes is not determined.
  const by = (name: string) => (line: string) => line.startsWith(`${name}: `);
  for (const name of ['orders', 'shop']) {
    expect(promised.filter(by(name)).length).toBeGreaterThan(5);
    expect(printed.filter(by(name))).toEqual(promised.filter(by(name)));
  }
  expect(printed).toHaveLength(promised.length);
}, 60_000);
