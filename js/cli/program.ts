// The commands, and the end of their process.

import { Command, CommanderError } from 'commander';
import { version } from '../index.js';
import { addCa } from './ca.js';
import { addHealth } from './admin/health.js';
import { addStatus } from './admin/status.js';
import { addTop } from './admin/top.js';
import { addVisualize } from './admin/visualize.js';
import { addCall } from './call.js';
import type { GlobalOptions } from './config.js';
import { addDashboard } from './dashboard.js';
import { addDescribe } from './describe.js';
import { addDoctor } from './doctor/doctor.js';
import { exitCodeOf, USAGE } from './exits.js';
import { addInit } from './init.js';
import { addAudit } from './audit.js';
import { addKeys } from './keys.js';
import { Output } from './output.js';
import { addPolicy } from './policy.js';
import { addRotateKeys } from './rotate-keys.js';
import type { Action, Add, Runner } from './runner.js';
import { addSecret } from './secret.js';

/** In the order of the help. */
const COMMANDS: readonly Add[] = [
  addDoctor,
  addCall,
  addDescribe,
  addDashboard,
  addTop,
  addStatus,
  addHealth,
  addVisualize,
  addRotateKeys,
  addSecret,
  addKeys,
  addAudit,
  addPolicy,
  addCa,
  addInit,
];

/** Runs the command of the arguments. It sets the exit code and does not reject. */
export async function run(args: readonly string[]): Promise<void> {
  // The reader of a pipe may close it early, as `head` does.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    throw error;
  });
  try {
    await program().parseAsync(args, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) {
      // Commander has written the message. Help and version are no errors.
      process.exitCode = error.exitCode === 0 ? 0 : USAGE;
    } else {
      new Output(args.includes('--json')).failed(error);
      process.exitCode = exitCodeOf(error);
    }
  }
  // A stdin that is still open would keep the process alive.
  process.stdin.destroy();
}

function program(): Command {
  const root = new Command('secure-stack-mesh')
    .description('Inspects a mesh, calls its services, and sets up new ones.')
    .version(version)
    .option(
      '--config <file>',
      'the configuration of the library: a JSON file or a JavaScript module',
    )
    .option('--as <id>', 'the service id to call as (default: mesh-cli)')
    .option('--keys-dir <dir>', 'the key directory (default: that of the configuration)')
    .option('--json', 'write one JSON document to stdout')
    .showHelpAfterError('(--help explains the arguments)')
    .exitOverride();
  const runner: Runner =
    <A extends unknown[]>(action: Action<A>) =>
    async (...given: unknown[]): Promise<void> => {
      // Commander appends the options and the command to the arguments.
      const command = given.at(-1) as Command;
      const options = command.optsWithGlobals<GlobalOptions>();
      const output = new Output(options.json === true);
      const code = await action({ options, output }, ...(given.slice(0, -2) as A));
      if (code !== undefined) process.exitCode = code;
    };
  for (const add of COMMANDS) add(root, runner);
  return root;
}
