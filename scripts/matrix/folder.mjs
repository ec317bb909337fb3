// A fresh project for an environment: the packed package is installed there, as a user does it.
import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { transform } from 'esbuild';
import { capture, manifest, root, StepFailed } from '../lib.mjs';
import { platformPackage } from '../npm-dirs.mjs';
import { currentPlatform } from '../platform.mjs';

/** How long a step may take. A program that does not exit by itself fails by it. */
const STEP_MS = 240_000;
const PROGRAM_MS = 60_000;

export class Folder {
  /** @param tarballs the platform's package, then the package itself */
  constructor(path, tarballs) {
    this.path = path;
    this.tarballs = tarballs;
    rmSync(path, { recursive: true, force: true });
    mkdirSync(path, { recursive: true });
    // Keys of its own, outside of what is copied elsewhere.
    this.env = {
      XDG_STATE_HOME: join(path, 'state'),
      NEXT_TELEMETRY_DISABLED: '1',
      DENO_NO_UPDATE_CHECK: '1',
      YARN_ENABLE_TELEMETRY: '0',
      NODE_OPTIONS: '',
    };
  }

  write(file, content) {
    const path = join(this.path, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content, null, 2));
  }

  /** Puts the programs there, as ES modules and as CommonJS. */
  async programs() {
    for (const name of ['program', 'main']) {
      const source = join(root, 'scripts/matrix', `${name}.mjs`);
      copyFileSync(source, join(this.path, `${name}.mjs`));
      const { code } = await transform(readFileSync(source, 'utf8'), { format: 'cjs' });
      this.write(`${name}.cjs`, code.replace('./program.mjs', './program.cjs'));
    }
  }

  /** Installs the tarballs and the tools, with npm. */
  async install(tools = {}) {
    // Tools such as `node` fetch their binary in a script of theirs.
    const allowScripts = Object.fromEntries(Object.keys(tools).map((name) => [name, true]));
    this.write('package.json', { private: true, allowScripts });
    await this.programs();
    const names = Object.entries(tools).map(([name, version]) => `${name}@${version}`);
    const options = ['--no-audit', '--no-fund', '--loglevel=error'];
    await this.run('npm', ['install', ...options, ...this.tarballs, ...names]);
  }

  /**
   * Dependencies and overrides for a package manager that would look for the platform's package in
   * the registry.
   */
  declared() {
    const [platform, own] = this.tarballs.map((file) => `file:${file}`);
    return {
      dependencies: { [manifest.name]: own },
      overrides: { [platformPackage(currentPlatform())]: platform },
    };
  }

  /** Runs a command in the folder; its output. */
  async run(command, args, { cwd = this.path, timeout = STEP_MS, env = {} } = {}) {
    const abort = AbortSignal.timeout(timeout);
    const result = await capture(command, args, {
      cwd,
      signal: abort,
      killSignal: 'SIGKILL',
      env: { ...this.env, ...env },
    });
    const said = `${result.stdout}${result.stderr}`;
    if (abort.aborted) {
      throw new StepFailed(`${command} ${args.join(' ')}: did not end in ${timeout} ms\n${said}`);
    }
    if (result.code !== 0) {
      throw new StepFailed(`${command} ${args.join(' ')}: exit code ${result.code}\n${said}`);
    }
    return said;
  }

  /** Runs a tool of node_modules. */
  tool(name, args, options) {
    return this.run(join(this.path, 'node_modules/.bin', name), args, options);
  }

  /** Runs a program, which has to say that all is well and to exit by itself. */
  async works(command, args, options) {
    const said = await this.run(command, args, { timeout: PROGRAM_MS, ...options });
    if (!said.includes('all well') || !said.includes('the worker is well')) {
      throw new StepFailed(`${command} ${args.join(' ')}: said ${said || 'nothing'}`);
    }
  }

  /** Runs a program with the Node that runs this. */
  node(file, options) {
    return this.works(process.execPath, [file], options);
  }

  /** Copies a part of the folder to where there is no node_modules; the new path. */
  elsewhere(part) {
    const target = join(`${this.path}.elsewhere`, part.replaceAll('/', '-'));
    rmSync(target, { recursive: true, force: true });
    cpSync(join(this.path, part), target, { recursive: true, verbatimSymlinks: true });
    return target;
  }

  remove() {
    for (const path of [this.path, `${this.path}.elsewhere`]) {
      rmSync(path, { recursive: true, force: true, maxRetries: 5 });
    }
  }
}
