// The key directory as the core lays it out: a file for each key of this user's services, and one for each
// remembered key of a peer. File names have hashes of the ids.

import { createHash, createPublicKey } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { KeyManager } from '../index.js';

/** The facts about a service's key that may be shown. */
export interface KnownKey {
  /** The service id. */
  service: string;
  /** The SHA-256 JWK thumbprint (RFC 7638). */
  thumbprint: string;
  /** The time of storing the key, in milliseconds since 1970. */
  since: number;
  /** The file. */
  file: string;
}

const hash = (id: string): string => createHash('sha256').update(id).digest('hex');

/** Whether the directory exists. */
export function exists(directory: string): boolean {
  return lstatSync(directory, { throwIfNoEntry: false }) !== undefined;
}

/** The names of the files of an existing directory. */
export function files(directory: string): string[] {
  return exists(directory) ? readdirSync(directory).toSorted() : [];
}

/** The thumbprint of an RSA key in PEM. */
function thumbprintOf(publicKey: string): string {
  const { e, n } = createPublicKey(publicKey).export({ format: 'jwk' });
  return createHash('sha256')
    .update(JSON.stringify({ e, kty: 'RSA', n }))
    .digest('base64url');
}

/**
 * The key of a service of this user, if the directory has one. The core opens the directory and the file,
 * with its checks.
 *
 * @throws MeshError reason `KEYDIR_…`
 */
export function ownKey(directory: string, service: string): KnownKey | undefined {
  const file = join(directory, `key-${hash(service)}.pem`);
  const status = lstatSync(file, { throwIfNoEntry: false });
  if (status === undefined) return undefined;
  const pair = new KeyManager(directory).loadKeyPair(service);
  if (pair === null) return undefined;
  return { service, thumbprint: thumbprintOf(pair.publicKey), since: status.mtimeMs, file };
}

/** The remembered key of a peer, if there is one. */
export function peerKey(directory: string, service: string): KnownKey | undefined {
  return readPeer(directory, `peer-${hash(service)}.jkt`, service);
}

/** The remembered keys of peers, by service id. */
export function peerKeys(directory: string): KnownKey[] {
  return files(directory)
    .filter((name) => /^peer-[0-9a-f]{64}\.jkt$/.test(name))
    .map((name) => readPeer(directory, name))
    .filter((peer) => peer !== undefined)
    .toSorted((a, b) => (a.service < b.service ? -1 : 1));
}

/** Parses such a file. It has a thumbprint and the id; files of early versions have only the thumbprint. */
const PEER = /^([A-Za-z0-9_-]{43})(?: ([A-Za-z0-9._-]{1,128}))?\n?$/;

function readPeer(directory: string, name: string, id?: string): KnownKey | undefined {
  const file = join(directory, name);
  const status = lstatSync(file, { throwIfNoEntry: false });
  if (status === undefined || !status.isFile()) return undefined;
  const [, thumbprint, owner] = PEER.exec(readFileSync(file, 'utf8')) ?? [];
  if (thumbprint === undefined) return undefined;
  const service = owner ?? id ?? '(unknown)';
  return { service, thumbprint, since: status.mtimeMs, file };
}

/** Forgets the key of a peer. Its next session may present a different key. */
export function forgetPeer(directory: string, { service, thumbprint, file }: KnownKey): void {
  unlinkSync(file);
  // The order matters: after a crash between the two removals, this service can still return with the key.
  const digits = Buffer.from(thumbprint, 'base64url').toString('hex');
  const owner = join(directory, `owner-${digits}.id`);
  const status = lstatSync(owner, { throwIfNoEntry: false });
  if (status?.isFile() && readFileSync(owner, 'utf8').trimEnd() === service) unlinkSync(owner);
}
