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

/**
 * Runs a program of `fixtures`, which is killed at the latest at the end of the test.
 *
 * @param within a command that runs it, such as `['unshare', '--pid', '--fork']`
 */
export function run(
  name: string,
  settings: object = {},
  flags: string[] = [],
  env: Record<string, string> = {},
  within: readonly string[] = [],
): {
  told: () => Told[];
  next: () => Promise<any>;
  ended: Promise<{ code: unknown; at: number; output: string }>;
  kill: (signal?: NodeJS.Signals) => void;
  pid: number;
  /** Asks for the end, as a supervisor does. */
  end: () => void;
} {
  const file = join(root, '__test__', 'fixtures', `${name}.cjs`);
  const command = [...within, process.execPath, ...flags, file];
  const child = spawn(
    command[0] as string,
    [...command.slice(1), JSON.stringify({ keysDir, ...settings })],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    },
  );
  let output = '';
  let line = '';
  const events: Told[] = [];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    const lines = (line + text).split('\n');
    line = lines.pop()!;
    for (const whole of lines) {
      if (whole.startsWith('{"what"')) events.push(JSON.parse(whole) as Told);
    }
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  const ended = new Promise<{ code: unknown; at: number; output: string }>((resolve) =>
    child.on('exit', (code, signal) => {
      const at = Date.now();
      child.on('close', () => resolve({ code: signal ?? code, at, output }));
    }),
  );
  let over = false;
  void ended.then(() => (over = true));
  onTestFinished(() => void child.kill('SIGKILL'));
  const told = (): Told[] => events;
  const next = async (): Promise<any> => {
    const end = Date.now() + 30_000;
    while (told().length === 0) {
      if (over || Date.now() > end) throw new Error(`${name} told nothing: ${output}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return told()[0]?.what;
  };
  const kill = (signal: NodeJS.Signals = 'SIGKILL'): void => void child.kill(signal);
  const end = (): void => kill('SIGTERM');
  return { told, next, ended, kill, pid: child.pid as number, end };
}
