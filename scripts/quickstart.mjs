// npm run quickstart: the README's two programs, unchanged, in two processes without any security
// configuration; then an impostor. Exits with 0 only if the call was answered and the impostor was rejected.
import { fork } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { main, progress, StepFailed } from './lib.mjs';
import { build } from './build.mjs';
import { extractSnippets, makeProject } from './snippets.mjs';

const OBSERVER = new URL('quickstart-observer.mjs', import.meta.url).href;
const children = new Set();

await main(async () => {
  await build();
  const directory = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-quickstart-'));
  try {
    await show(directory);
  } finally {
    for (const child of children) child.kill();
    rmSync(directory, { recursive: true, force: true });
  }
});

async function show(directory) {
  makeProject(directory);
  const { transform } = await import('esbuild');
  const programs = extractSnippets('README.md').filter(({ prelude }) => prelude.length === 0);
  const find = (id) => {
    const found = programs.find(({ code }) => code.includes(`serviceId: '${id}'`));
    if (found === undefined) throw new StepFailed(`README.md has no program of ${id}`);
    return found;
  };
  const write = async (name, code) => {
    const file = join(directory, name);
    const { code: javascript } = await transform(code, { loader: 'ts', format: 'esm' });
    writeFileSync(file, javascript);
    return file;
  };
  // A separate state directory, so that the script leaves no traces; it represents the home directory of the
  // common user of both services.
  const state = join(directory, 'state');

  const server = find('other-service');
  progress(`README.md:${server.line}: starting other-service (it makes its RSA key now)`);
  const other = start(await write('other-service.mjs', server.code), state);
  const otherIdentity = await other.next('ready');
  describe(otherIdentity);

  const quickStart = find('my-service');
  progress(
    `README.md:${quickStart.line}: running the quick start as my-service (its RSA key, too)`,
  );
  const mine = start(await write('my-service.mjs', quickStart.code), state);
  const [identity, summary] = [await mine.next('ready'), await mine.next('summary')];
  await mine.exit(0);
  describe(identity);
  const [session] = summary.stats.peers;
  if (session === undefined) throw new StepFailed('there was no session');
  progress(`session  ${session.sessionId} with ${session.serviceId}`);
  progress(`suite    ${session.suite}, AES-${session.aesKeySize}-GCM; trust: ${session.trust}`);
  progress(`result   ${JSON.stringify(summary.results[0])}`);
  const { sent, received, failed } = summary.stats.messages;
  progress(
    `figures  ${summary.stats.activeSessions} session, ${sent} sent, ${received} received, ${failed} failed`,
  );
  expect(summary.stats.activeSessions === 1, 'there was not exactly one session');
  expect(
    JSON.stringify(summary.results) === '[{"hello":"my-service","input":{"data":"payload"}}]',
    'the result is not what other-service answers',
  );

  progress(
    'an impostor: it knows the mesh secret and claims to be my-service, with a key of its own',
  );
  const forged = join(directory, 'forged');
  copySecret(state, forged);
  const impostor = start(await write('impostor.mjs', quickStart.code), forged);
  const forgedIdentity = await impostor.next('ready');
  describe(forgedIdentity);
  expect(forgedIdentity.thumbprint !== identity.thumbprint, 'the impostor has the same key');
  const refusal = await impostor.next('failed');
  await impostor.exit();
  progress(`refused  ${refusal.code} ${refusal.reason}: ${refusal.message}`);
  expect(refusal.code === 'UNAUTHENTICATED', 'the impostor was not refused for its identity');

  other.send('stop');
  const { requests } = await other.next('summary');
  await other.exit(0);
  progress(`other-service ran its handler ${requests} time: for my-service, not for the impostor`);
  expect(requests === 1, 'the handler ran for a different caller');
  progress('everything is as expected');
}

/** Runs a program with the observer loaded before it. */
function start(file, state) {
  const child = fork(file, {
    execArgv: ['--import', OBSERVER],
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    env: { ...plainEnvironment(), XDG_STATE_HOME: state },
  });
  children.add(child);
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (errors += text));
  const told = [];
  const waiting = [];
  const settle = () => {
    for (const wait of [...waiting]) {
      const message = told.find(({ type }) => type === wait.type);
      if (message !== undefined) wait.resolve(message);
      else if (child.exitCode !== null) {
        wait.reject(new StepFailed(`${file} ended without reporting ${wait.type}\n${errors}`));
      } else continue;
      waiting.splice(waiting.indexOf(wait), 1);
    }
  };
  child.on('message', (message) => {
    told.push(message);
    settle();
  });
  const ended = new Promise((resolve) => child.on('close', resolve));
  void ended.then(() => {
    children.delete(child);
    settle();
  });
  const timeout = (promise, what) => {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(
        () => reject(new StepFailed(`${file}: no ${what} in 60 s\n${errors}`)),
        60_000,
      );
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
  };
  return {
    send: (message) => child.send(message),
    next: (type) =>
      timeout(
        new Promise((resolve, reject) => {
          waiting.push({ type, resolve, reject });
          settle();
        }),
        type,
      ),
    /** Waits for the program to end, with a certain exit code if one is given. */
    exit: async (wanted) => {
      const code = await timeout(ended, 'end');
      expect(wanted === undefined || code === wanted, `${file} exited with ${code}\n${errors}`);
    },
  };
}

/** The environment without this package's own variables. */
function plainEnvironment() {
  const entries = Object.entries(process.env).filter(([name]) => !name.startsWith('SECURE_MESH_'));
  return Object.fromEntries(entries);
}

function copySecret(from, to) {
  const directory = 'secure-stack-mesh';
  mkdirSync(join(to, directory), { recursive: true, mode: 0o700 });
  copyFileSync(join(from, directory, 'mesh-secret'), join(to, directory, 'mesh-secret'));
}

function describe({ serviceId, bits, thumbprint, address }) {
  const where = address === null ? '' : ` on ${address.host}:${address.port}`;
  progress(`identity ${serviceId}${where}: RSA-${bits}, thumbprint ${thumbprint}`);
}

function expect(condition, otherwise) {
  if (!condition) throw new StepFailed(otherwise);
}
