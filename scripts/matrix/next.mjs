// Next: a route handler runs the program.
import { spawn } from 'node:child_process';
import { cpSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { StepFailed } from '../lib.mjs';

const ROUTE = `
import { exercise } from '../../../program.mjs';
export const dynamic = 'force-dynamic';
export async function GET() {
  try {
    await exercise();
    return new Response('all well');
  } catch (error) {
    return new Response(String(error.stack));
  }
}`;

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts a server, asks its route, and ends it with SIGTERM. */
async function serves(folder, args, cwd) {
  const port = await freePort();
  const env = { ...process.env, ...folder.env, PORT: String(port), HOSTNAME: '127.0.0.1' };
  const server = spawn(process.execPath, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise((resolve) => server.once('exit', resolve));
  let said = '';
  for (const stream of [server.stdout, server.stderr]) stream.on('data', (text) => (said += text));
  try {
    let answer;
    for (let attempt = 0; attempt < 150 && answer === undefined; attempt += 1) {
      answer = await fetch(`http://127.0.0.1:${port}/api/mesh`).catch(() => undefined);
      if (answer === undefined) await new Promise((resolve) => setTimeout(resolve, 200));
    }
    const text = (await answer?.text()) ?? 'no answer';
    if (text !== 'all well') throw new StepFailed(`the route said ${text}\n${said}`);
    server.kill('SIGTERM');
    const late = new Promise((resolve) => setTimeout(resolve, 20_000, 'late').unref());
    if ((await Promise.race([ended, late])) === 'late') {
      throw new StepFailed(`the server did not end after SIGTERM\n${said}`);
    }
  } finally {
    server.kill('SIGKILL');
    await ended;
  }
}

const build = (name, title, flags, standalone) => ({
  name: `next-${name}`,
  title: `Next, ${title}`,
  inProcess: true,
  tools: { next: '16.4.6', react: '19.3.1', 'react-dom': '19.3.1' },
  async run(folder) {
    folder.write(
      'app/layout.js',
      'export default ({ children }) => <html lang="en"><body>{children}</body></html>;',
    );
    folder.write('app/page.js', 'export default () => <p>mesh</p>;');
    folder.write('app/api/mesh/route.js', ROUTE);
    const output = standalone ? "output: 'standalone', " : '';
    folder.write(
      'next.config.mjs',
      `export default { ${output}outputFileTracingRoot: import.meta.dirname, turbopack: { root: import.meta.dirname } };`,
    );
    await folder.tool('next', ['build', ...flags], { timeout: 480_000 });
    if (!standalone) {
      await serves(
        folder,
        [join(folder.path, 'node_modules/next/dist/bin/next'), 'start'],
        folder.path,
      );
      return;
    }
    cpSync(join(folder.path, '.next/standalone'), join(folder.path, 'standalone'), {
      recursive: true,
    });
    await serves(folder, ['server.js'], folder.elsewhere('standalone'));
  },
});

export const next = [
  build('default', 'Turbopack', [], false),
  build('standalone', "Turbopack, `output: 'standalone'` alone in another folder", [], true),
  build('webpack', '`--webpack`', ['--webpack'], false),
  build(
    'webpack-standalone',
    "`--webpack`, `output: 'standalone'` alone in another folder",
    ['--webpack'],
    true,
  ),
];
