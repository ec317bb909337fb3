// init

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { version } from '../index.js';
import { CommandError, NO } from './exits.js';
import type { GlobalOptions } from './config.js';
import type { Output } from './output.js';
import type { Add, Surroundings } from './runner.js';
import { projectFiles, type Own } from './template.js';

const NAME = '@lemur-bookstores/secure-stack-mesh';

interface Options extends GlobalOptions {
  from?: string[];
  install: boolean;
}

export const addInit: Add = (program, runner) => {
  program
    .command('init [dir]')
    .description('writes a TypeScript project of two services, installs it and runs its tests')
    .option(
      '--from <tarball...>',
      'tarballs of this package and of its binary, or a folder of them, instead of the published version',
    )
    .option('--no-install', 'only write the files')
    .action(runner<[string | undefined]>(init));
};

async function init({ options, output }: Surroundings<Options>, directory = '.'): Promise<void> {
  const folder = resolve(directory);
  const files = projectFiles(projectName(folder), ownDependencies(options.from));
  const taken = Object.keys(files).filter((file) => existsSync(join(folder, file)));
  if (taken.length > 0) {
    throw new CommandError(
      `${folder} has ${taken.join(', ')} already, and nothing is overwritten`,
      'Choose an empty folder: secure-stack-mesh init my-mesh',
    );
  }
  for (const [file, text] of Object.entries(files)) {
    const path = join(folder, file);
    mkdirSync(dirname(path), { recursive: true });
    // The flag refuses a file that has appeared since the check.
    writeFileSync(path, text, { flag: 'wx' });
  }
  output.line(`wrote ${Object.keys(files).length} files to ${folder}`);
  if (options.install) {
    output.progress('npm install');
    await npm(['install', '--no-audit', '--no-fund', '--loglevel=error'], folder, output);
    output.progress('npm test');
    await npm(['test'], folder, output);
    output.line('installed, and its tests pass');
  }
  output.document({
    v: 1,
    directory: folder,
    files: Object.keys(files),
    installed: options.install,
  });
  const place = directory === '.' ? '' : `cd ${directory} && `;
  output.line(
    options.install
      ? `Next: ${place}npm run start:orders, and in a second terminal npm run start:gateway.`
      : `Next: ${place}npm install && npm test`,
  );
}

/** A name that npm accepts. */
function projectName(folder: string): string {
  const name = basename(folder)
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .replaceAll(/^-+|-+$/g, '');
  return name === '' ? 'my-mesh' : name;
}

/** The package as a dependency: its published version, or tarballs with its binary. */
function ownDependencies(given: readonly string[] | undefined): Own {
  if (given === undefined) return { [NAME]: version };
  const tarballs = given.flatMap((path) => {
    const absolute = resolve(path);
    if (!existsSync(absolute)) {
      throw new CommandError(`--from ${path} is not there`, 'Give the path of a .tgz file.');
    }
    if (!statSync(absolute).isDirectory()) return [absolute];
    return readdirSync(absolute)
      .filter((name) => name.endsWith('.tgz'))
      .map((name) => join(absolute, name));
  });
  const own = Object.fromEntries(tarballs.map((file) => [packageOf(file), `file:${file}`]));
  if (own[NAME] === undefined) {
    throw new CommandError(
      `--from has no tarball of ${NAME} ${version}`,
      'Give the file that npm pack writes, and the one of the package with the binary.',
    );
  }
  return own;
}

/** The name of the package in a tarball of `npm pack`, from the name of the file. */
function packageOf(file: string): string {
  const prefix = NAME.replace('@', '').replace('/', '-');
  const platform = new RegExp(`^${prefix}(-[a-z0-9]+-[a-z0-9]+(?:-[a-z]+)?)?-\\d`).exec(
    basename(file),
  );
  if (platform === null) {
    throw new CommandError(
      `--from ${file} is no tarball of ${NAME}`,
      'Give the file that npm pack writes; it has the name of the package.',
    );
  }
  return `${NAME}${platform[1] ?? ''}`;
}

/** Runs npm. Its output goes to stderr, so that stdout contains only the output of this command. */
function npm(args: readonly string[], cwd: string, output: Output): Promise<void> {
  return new Promise((done, fail) => {
    const child = spawn('npm', args, {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
      shell: process.platform === 'win32',
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        if (process.stderr.isTTY) process.stderr.write(text);
      });
    }
    const failed = (why: string): void => {
      if (!process.stderr.isTTY) output.remark(said.trimEnd());
      fail(
        new CommandError(
          `npm ${args[0]} in ${cwd} failed: ${why}`,
          'Its output is above. The files are written: repeat the step there by hand.',
          NO,
        ),
      );
    };
    child.once('error', (error) => failed(error.message));
    child.once('close', (code) => (code === 0 ? done() : failed(`exit code ${code}`)));
  });
}
