// Every `typescript` block of the README and the guides, run unchanged: as TypeScript under strict, and as
// ESM and CommonJS JavaScript, each in a process that must end by itself.
import { spawn, type ChildProcess } from 'node:child_process';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { transform } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root, tool } from '../scripts/lib.mjs';
import {
  assemble,
  extractSnippets,
  makeProject,
  wrapForCommonJs,
  type Snippet,
} from '../scripts/snippets.mjs';

const files = [
  'README.md',
  ...readdirSync(join(root, 'docs/guides')).map((name) => `docs/guides/${name}`),
];
const snippets = files.flatMap((file) => extractSnippets(file));
const nameOf = (snippet: Snippet): string =>
  `${snippet.file}: ${snippet.heading}, line ${snippet.line}`;
const fileOf = ({ file, line }: Snippet): string => `${basename(file, '.md')}-${line}`;

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-snippets-'));
  makeProject(directory);
  // Some preludes and guides import these.
  for (const name of ['zod', '@opentelemetry']) {
    symlinkSync(
      join(root, 'node_modules', name),
      join(directory, 'node_modules', name),
      'junction',
    );
  }
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Writes the JavaScript of a TypeScript module. */
async function write(name: string, module: string, format: 'esm' | 'cjs'): Promise<string> {
  const source = format === 'cjs' ? wrapForCommonJs(module) : module;
  const { code } = await transform(source, { loader: 'ts', format, target: 'node20' });
  const file = join(directory, `${name}.${format === 'cjs' ? 'cjs' : 'mjs'}`);
  writeFileSync(file, code);
  return file;
}

function start(file: string): {
  child: ChildProcess;
  output: () => string;
  ended: Promise<unknown>;
} {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('SECURE_MESH_')),
  );
  const child = spawn(process.execPath, [file], {
    // All snippets share one user, whose keys are generated once.
    env: { ...env, XDG_STATE_HOME: join(directory, 'state') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  }
  const ended = new Promise((resolve) =>
    child.on('close', (code, signal) => resolve(signal ?? code)),
  );
  return { child, output: () => text, ended };
}

async function startPeer(path: string): Promise<ChildProcess> {
  const module = readFileSync(join(root, path), 'utf8');
  const { child, output, ended } = start(await write('peer', module, 'esm'));
  const deadline = Date.now() + 30_000;
  let over = false;
  void ended.then(() => (over = true));
  while (!output().includes('ready\n')) {
    if (over || Date.now() > deadline) throw new Error(`${path} is not ready: ${output()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return child;
}

/** Runs a snippet with its peers; returns its exit code and output. */
async function run(
  snippet: Snippet,
  format: 'esm' | 'cjs',
): Promise<{ code: unknown; text: string }> {
  const peers: ChildProcess[] = [];
  try {
    for (const peer of snippet.peer) peers.push(await startPeer(peer));
    const { child, output, ended } = start(await write(fileOf(snippet), assemble(snippet), format));
    const timer = setTimeout(() => child.kill('SIGKILL'), 60_000);
    const code = await ended;
    clearTimeout(timer);
    return { code, text: output() };
  } catch (error) {
    return { code: 'a peer did not start', text: String(error) };
  } finally {
    await Promise.all(
      peers.map((peer) => {
        const gone = new Promise((resolve) => peer.once('close', resolve));
        peer.kill();
        return gone;
      }),
    );
  }
}

describe.each(['esm', 'cjs'] as const)('the documents as %s', (format) => {
  it.each(snippets.map((snippet) => [nameOf(snippet), snippet] as const))(
    '%s',
    { timeout: 90_000 },
    async (_name, snippet) => {
      for (let tries = 1; ; tries += 1) {
        const { code, text } = await run(snippet, format);
        // The system may have assigned a port of the documents to a connection that is still open.
        if (code === 0 || tries === 5 || !text.includes('Address already in use')) {
          expect(code, text).toBe(0);
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, 2_000));
      }
    },
  );
});

it(
  'they are correct TypeScript under strict, as ESM and as CommonJS',
  { timeout: 120_000 },
  async () => {
    for (const snippet of snippets) {
      const module = assemble(snippet);
      writeFileSync(join(directory, `${fileOf(snippet)}.mts`), module);
      writeFileSync(join(directory, `${fileOf(snippet)}.cts`), wrapForCommonJs(module));
    }
    const modules = snippets.flatMap((snippet) => [
      `${fileOf(snippet)}.mts`,
      `${fileOf(snippet)}.cts`,
    ]);
    const config = {
      compilerOptions: {
        strict: true,
        noEmit: true,
        target: 'es2022',
        module: 'nodenext',
        esModuleInterop: true,
        types: ['node'],
      },
      files: modules,
    };
    writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify(config));
    const child = spawn(process.execPath, [tool('typescript', 'tsc'), '-p', directory]);
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(code, text).toBe(0);
  },
);

it('the README has the five snippets it is to have, and the quick start', () => {
  const all = snippets.map(({ code }) => code).join('\n');
  for (const text of [
    "const client = mesh.connect('other-service');",
    'const encrypted = crypto.encrypt(data, recipientPublicKey);',
    "const jwt = new JWTManager({ secret: 'my-secret' });",
    'sessions.trackMessage(session.id);',
    "const service = discovery.lookup('my-service');",
  ]) {
    expect(all).toContain(text);
  }
});
