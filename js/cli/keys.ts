// keys list, show, forget, path

import { readConfig, type Config, type GlobalOptions } from './config.js';
import { CommandError, NO, OK } from './exits.js';
import { keysDirOf, ownId, OWN_ID } from './identity.js';
import {
  exists,
  files,
  forgetPeer,
  ownKey,
  peerKey,
  peerKeys,
  type KnownKey,
} from './key-directory.js';
import type { Output } from './output.js';
import type { Add, Surroundings } from './runner.js';
import { oneLine } from './text.js';

export const addKeys: Add = (program, runner) => {
  const keys = program
    .command('keys')
    .description('the key directory: keys of this user, and remembered keys of peers');
  keys.command('list').description('lists the keys').action(runner<[]>(list));
  keys
    .command('show <service>')
    .description('shows the key of one service')
    .action(runner<[string]>(show));
  keys
    .command('forget <service>')
    .description('forgets the remembered key of a peer, whose next key is then accepted')
    .action(runner<[string]>(forget));
  keys.command('path').description('prints the path of the key directory').action(runner<[]>(path));
};

interface Place {
  directory: string;
  /** The ids whose keys may belong to this user. */
  ids: string[];
}

async function place(options: GlobalOptions): Promise<Place> {
  const config: Config = await readConfig(options);
  const ids = [ownId(config, options), config.serviceId, OWN_ID].filter((id) => id !== undefined);
  return { directory: keysDirOf(config, options), ids: [...new Set(ids)] };
}

async function path({ options, output }: Surroundings): Promise<void> {
  const { directory } = await place(options);
  output.line(directory);
  output.document({ v: 1, directory, exists: exists(directory) });
}

async function list({ options, output }: Surroundings): Promise<void> {
  const { directory, ids } = await place(options);
  const own = exists(directory)
    ? ids.map((id) => ownKey(directory, id)).filter((key) => key !== undefined)
    : [];
  const stored = files(directory).filter((name) => /^key-[0-9a-f]{64}\.pem$/.test(name)).length;
  const peers = peerKeys(directory);
  // The other files have only hashes of service ids in their names.
  const others = stored - own.length;
  output.document({ v: 1, directory, own, others, peers });
  output.line(`${directory}${exists(directory) ? '' : ' (not there yet)'}`);
  for (const key of own) row('own ', key, output);
  if (others > 0)
    output.line(`  own   ${others} more, of other services: keys show <service> shows one`);
  for (const key of peers) row('peer', key, output);
}

async function show({ options, output }: Surroundings, service: string): Promise<void> {
  const { directory } = await place(options);
  const own = exists(directory) ? ownKey(directory, service) : undefined;
  const peer = peerKey(directory, service);
  if (own === undefined && peer === undefined) throw unknown(service, directory, NO);
  output.document({ v: 1, directory, own: own ?? null, peer: peer ?? null });
  if (own !== undefined) row('own ', own, output);
  if (peer !== undefined) row('peer', peer, output);
}

async function forget({ options, output }: Surroundings, service: string): Promise<number> {
  const { directory } = await place(options);
  const peer = peerKey(directory, service);
  if (peer === undefined) throw unknown(service, directory, NO);
  forgetPeer(directory, peer);
  output.document({ v: 1, directory, forgotten: peer });
  output.line(
    `forgot ${peer.thumbprint} of ${oneLine(service)}: the next key that it proves is accepted`,
  );
  return OK;
}

function unknown(service: string, directory: string, code: number): CommandError {
  return new CommandError(
    `${directory} has no key of ${service}`,
    'Compare the path with the key directory of the service that refuses its peer; --keys-dir names another one.',
    code,
  );
}

function row(kind: string, { service, thumbprint, since }: KnownKey, output: Output): void {
  output.line(`  ${kind}  ${thumbprint}  ${oneLine(service)}, for ${age(Date.now() - since)}`);
}

/** A time in words for people. */
function age(ms: number): string {
  const units: [number, string][] = [
    [86_400_000, 'd'],
    [3_600_000, 'h'],
    [60_000, 'min'],
  ];
  const [size, unit] = units.find(([one]) => ms >= 2 * one) ?? [1000, 's'];
  return `${Math.max(0, Math.floor(ms / size))} ${unit}`;
}
