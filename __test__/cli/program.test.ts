// The program as a whole: arguments, configurations, colours, and what it costs those who do not use it.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { root } from '../../scripts/lib.mjs';
import { COMMAND, command, scratch, start } from '../support/command.js';

it.each([
  [['--help'], 0, 'stdout', 'Usage: secure-stack-mesh'],
  [
    ['--version'],
    0,
    'stdout',
    JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version,
  ],
  [['call', '--help'], 0, 'stdout', '--metadata <name=value...>'],
  [['dotcor'], 2, 'stderr', 'Did you mean doctor?'],
  [['call', 'orders'], 2, 'stderr', "missing required argument 'method'"],
  [['doctor', '--jsn'], 2, 'stderr', 'Did you mean --json?'],
  [[], 2, 'stderr', 'Usage: secure-stack-mesh'],
] as const)('%j exits with %i', async (args, code, stream, text) => {
  const outcome = await command(args);
  expect(outcome[stream]).toContain(text);
  expect(outcome.code).toBe(code);
});

const KEYS = '/var/lib/keys-of-the-configuration';

it.each([
  ['mesh.json', JSON.stringify({ paths: { keysDir: KEYS } })],
  ['mesh.config.mjs', `export default { paths: { keysDir: '${KEYS}' } };`],
  ['named.mjs', `export const config = { paths: { keysDir: '${KEYS}' } };`],
  ['made.mjs', `export default async () => ({ paths: { keysDir: '${KEYS}' } });`],
  ['mesh.config.cjs', `module.exports = { paths: { keysDir: '${KEYS}' } };`],
  [
    'transpiled.cjs',
    `exports.__esModule = true; exports.default = { paths: { keysDir: '${KEYS}' } };`,
  ],
])('reads the configuration of %s', async (name, text) => {
  const cwd = scratch();
  writeFileSync(join(cwd, name), text);
  const { code, stdout } = await command(['keys', 'path', '--config', name], { cwd });
  expect(stdout).toBe(`${KEYS}\n`);
  expect(code).toBe(0);
});

it.each([
  ['none.json', undefined, 'cannot be read'],
  ['torn.json', '{ "security": { "jwtSecret": "hush-hush-hush" ', 'is not JSON'],
  ['bare.json', 'hush-hush', 'is not JSON'],
  ['list.json', '[]', 'holds no configuration, but an array'],
  ['empty.mjs', '', 'holds no configuration, but undefined'],
  ['broken.mjs', 'export default {', 'cannot be read'],
])('refuses %s with 2', async (name, text, fault) => {
  const cwd = scratch();
  if (text !== undefined) writeFileSync(join(cwd, name), text);
  const { code, stdout, stderr } = await command(['--config', name, 'keys', 'path'], { cwd });
  expect(stdout).toBe('');
  expect(stderr).toContain(fault);
  expect(stderr).toContain('repair: ');
  expect(stderr).not.toContain('hush');
  expect(code).toBe(2);
});

it('colours nothing that is not a terminal', async () => {
  for (const env of [{}, { FORCE_COLOR: '1' }]) {
    const { stdout } = await command(['doctor'], { env });
    expect(stdout).toContain('ok    node');
    expect(stdout).not.toContain('\u001b');
  }
});

// script(1) of util-linux gives the command a terminal.
const terminal = (line: string[]): string[] => ['script', '-qec', line.join(' '), '/dev/null'];

it.runIf(process.platform === 'linux')('colours a terminal, unless NO_COLOR is set', async () => {
  const env = { TERM: 'xterm' };
  const colours = await command(['doctor'], { env, around: terminal });
  expect(colours.stdout).toContain('\u001b[32mok  \u001b[0m');
  const plain = await command(['doctor'], { env: { ...env, NO_COLOR: '1' }, around: terminal });
  expect(plain.stdout).toContain('ok    node');
  expect(plain.stdout).not.toContain('\u001b[32m');
});

it('ends quietly when nobody reads on', async () => {
  const child = start(['--json', 'doctor']);
  child.stdout?.destroy();
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await new Promise((resolve) => child.once('close', resolve));
  expect(said).toBe('');
});

it('is one file, which requires Node and the package alone', () => {
  const text = readFileSync(COMMAND, 'utf8');
  expect(text.startsWith('#!/usr/bin/env node\n')).toBe(true);
  const required = [...text.matchAll(/require\("([^"]+)"\)/g)].map(([, name]) => name);
  expect(required.length).toBeGreaterThan(5);
  expect(required.filter((name) => name !== './index.cjs' && !name?.startsWith('node:'))).toEqual(
    [],
  );
});

it('is nothing that the library loads', () => {
  for (const name of ['index.cjs', 'shared.cjs', 'testing.cjs', 'esm/index.mjs']) {
    const text = readFileSync(join(root, 'dist', name), 'utf8');
    expect(text).not.toContain('commander');
    expect(text).not.toContain('cli.js');
  }
});
