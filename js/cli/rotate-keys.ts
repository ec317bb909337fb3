// rotate-keys: through the control sockets of the running processes of a service, in its key directory.

import { createHash } from 'node:crypto';
import { readdirSync, unlinkSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { readConfig, type GlobalOptions } from './config.js';
import { CommandError, NO, OK } from './exits.js';
import { keysDirOfService } from './identity.js';
import type { Add, Surroundings } from './runner.js';
import { oneLine } from './text.js';

/** How long a process may take: a key of 4096 bits needs seconds. */
const PATIENCE_MS = 65_000;
/** The longest answer that is read. */
const MAX_ANSWER = 16 * 1024;

export const addRotateKeys: Add = (program, runner) => {
  program
    .command('rotate-keys [service]')
    .description('gives a running service of this user, on this machine, a new key')
    .action(runner<[string | undefined]>(rotateKeys));
};

/** The answer of one process. */
interface Rotated {
  instance: string;
  thumbprint?: string;
  fault?: string;
}

async function rotateKeys(
  { options, output }: Surroundings<GlobalOptions>,
  given: string | undefined,
): Promise<number> {
  if (process.platform === 'win32') {
    throw new CommandError(
      'rotate-keys needs Unix sockets, which this platform does not have',
      'Call mesh.rotateKeys() in the service, or configure rotation.',
    );
  }
  const config = await readConfig(options);
  const service = given ?? config.serviceId;
  if (service === undefined) {
    throw new CommandError('there is no service to rotate', 'Name it: rotate-keys <service>.');
  }
  const directory = join(keysDirOfService(config, options), 'control');
  const processes: Rotated[] = [];
  // One after the other: the first makes the key, and the others take it from the directory.
  for (const name of sockets(directory, service)) {
    const rotated = await ask(join(directory, name), instanceOf(name));
    if (rotated !== undefined) processes.push(rotated);
  }
  if (processes.length === 0) {
    throw new CommandError(
      `no process of ${service} has a socket in ${directory}`,
      'Start it with admin, on this machine and as this user; --keys-dir names another key directory.',
      NO,
    );
  }
  output.document({ v: 1, service, processes });
  for (const { instance, thumbprint, fault } of processes) {
    const outcome = fault === undefined ? `has the key ${oneLine(thumbprint!)}` : oneLine(fault);
    output.line(`${service}, instance ${instance}: ${outcome}`);
  }
  return processes.some(({ fault }) => fault !== undefined) ? NO : OK;
}

/** The names of the sockets of a service. The core names them by a hash of the id, and by the instance. */
function sockets(directory: string, service: string): string[] {
  const hash = createHash('sha256').update(service).digest('hex').slice(0, 16);
  try {
    return readdirSync(directory)
      .filter((name) => name.startsWith(`${hash}-`) && name.endsWith('.sock'))
      .toSorted();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

const instanceOf = (name: string): string => name.slice(17, -'.sock'.length);

/** Asks one process; nothing if it has ended without removing its socket, which is then removed. */
function ask(socketPath: string, instance: string): Promise<Rotated | undefined> {
  return new Promise((resolve) => {
    const failed = (text: string): void => resolve({ instance, fault: text });
    const asked = request(
      { socketPath, path: '/rotate-keys', method: 'POST', timeout: PATIENCE_MS },
      (answer) => {
        answer.on('data', () => {
          if (answer.socket.bytesRead > MAX_ANSWER)
            asked.destroy(new Error('the answer is too long'));
        });
        textOf(answer).then(
          (text) => resolve({ instance, ...outcomeOf(answer.statusCode, text) }),
          (error: Error) => failed(error.message),
        );
      },
    );
    asked.on('timeout', () => asked.destroy(new Error('the process does not answer')));
    asked.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT') return failed(error.message);
      if (error.code === 'ECONNREFUSED') unlinkSync(socketPath);
      resolve(undefined);
    });
    asked.end();
  });
}

/** The outcome in an answer. */
function outcomeOf(status: number | undefined, text: string): Omit<Rotated, 'instance'> {
  try {
    const { thumbprint, message, reason } = JSON.parse(text) as Record<string, unknown>;
    if (status === 200 && typeof thumbprint === 'string') return { thumbprint };
    if (typeof message === 'string') return { fault: `${message} (${String(reason)})` };
  } catch {
    // Not an answer of a mesh.
  }
  return { fault: `the process answered with ${status}` };
}
