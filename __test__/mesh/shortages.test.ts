// A service whose process has no file descriptors left.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { root } from '../../scripts/lib.mjs';
import { keysDir } from '../support/meshes.js';
import { until } from '../support/promises.js';

// Windows has no limit of open files that a shell could set.
it.skipIf(process.platform === 'win32')(
  'says in its log that it has too many open files, and what to do',
  async () => {
    const program = join(root, '__test__', 'fixtures', 'starved.cjs');
    const line = 'ulimit -n 100; exec "$0" "$1" "$2"';
    const settings = JSON.stringify({ keysDir });
    const child = spawn('sh', ['-c', line, process.execPath, program, settings]);
    onTestFinished(() => void child.kill('SIGKILL'));
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    }
    await until(() => output.includes('accept.failed'), 15_000).catch(() => {
      throw new Error(`it says nothing of it: ${output}`);
    });
    expect(output).toMatch(/cannot accept connections: Too many open files.*ulimit -n/);
  },
);
