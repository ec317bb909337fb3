// The tests' programs, each in a process of its own with the published package.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { root } from '../../scripts/lib.mjs';
import { keysDir } from './meshes.js';

/** An event that a program reported, and its time. */
export interface Told {
  what: any;
  at: number;
}

/** Runs a program of `fixtures`, which is killed at the latest at the end of the test. */
export function run(
  name: string,
  settings: object = {},
  flags: string[] = [],
  env: Record<string, string> = {},
  /** The network namespace that it runs in. */
  host?: string,
): {
  told: () => Told[];
  next: () => Promise<any>;
  ended: Promise<{ code: unknown; at: number; output: string }>;
  kill: () => void;
} {
  const file = join(root, '__test__', 'fixtures', `${name}.cjs`);
  const command = [process.execPath, ...flags, file, JSON.stringify({ keysDir, ...settings })];
  if (host !== undefined) command.unshift('ip', 'netns', 'exec', host);
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const ended = new Promise<{ code: unknown; at: number; output: string }>((resolve) =>
    child.on('exit', (code, signal) => {
      const at = Date.now();
      child.on('close', () => resolve({ code: signal ?? code, at, output }));
    }),
  );
  let over = false;
  void ended.then(() => (over = true));
  onTestFinished(() => void child.kill('SIGKILL'));
  const told = (): Told[] =>
    output
      .split('\n')
      .filter((line) => line.startsWith('{"what"'))
      .map((line) => JSON.parse(line) as Told);
  const next = async (): Promise<any> => {
    const end = Date.now() + 30_000;
    while (told().length === 0) {
      if (over || Date.now() > end) throw new Error(`${name} told nothing: ${output}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return told()[0]?.what;
  };
  return { told, next, ended, kill: () => void child.kill('SIGKILL') };
}
