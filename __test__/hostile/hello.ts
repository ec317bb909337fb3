// M1 and M2.
import { randomBytes } from 'node:crypto';
import { entries, Writer, type Reader } from './bytes.js';
import { HANDSHAKE, PROTOCOL_VERSION, SUITE_X25519 } from './constants.js';
import { message, open, read } from './handshake-message.js';
import { wrap, type PublicIdentity } from './identity.js';
import { hash, hmac } from './kdf.js';
import type { Membership } from './schedule.js';

export interface ClientHello {
  versions: number[];
  suites: number[];
  aes: number;
  mode: number;
  clientId: string;
  serverId: string;
  nonce: Buffer;
  x25519: Buffer;
  mlKem: Buffer;
  spki: Buffer;
  secretId: Buffer;
  extensions: Map<number, Buffer>;
}

export interface ServerHello {
  version: number;
  suite: number;
  aes: number;
  mode: number;
  versions: number[];
  suites: number[];
  ownAes: number;
  clientId: string;
  serverId: string;
  nonce: Buffer;
  x25519: Buffer;
  mlKem: Buffer;
  spki: Buffer;
  secretId: Buffer;
  extensions: Map<number, Buffer>;
}

/** The constant part of every hello of this implementation. */
export const offer = {
  versions: [PROTOCOL_VERSION],
  suites: [SUITE_X25519],
  mlKem: Buffer.alloc(0),
};

export const nonce = (): Buffer => randomBytes(32);

export function writeClientHello(hello: ClientHello, membership: Membership): Buffer {
  const body = new Writer()
    .vec8(Buffer.from(hello.versions))
    .vec8(numbers(hello.suites))
    .u16(hello.aes)
    .u8(hello.mode)
    .vec8(hello.clientId)
    .vec8(hello.serverId)
    .raw(hello.nonce)
    .raw(hello.x25519)
    .vec16(hello.mlKem)
    .u8(1)
    .vec16(hello.spki)
    .raw(hello.secretId)
    .vec16(extensions(hello.extensions))
    .done();
  return message(HANDSHAKE.clientHello, body, 32, (before) =>
    hmac(membership.clientHelloKey, before),
  );
}

export function readClientHello(bytes: Buffer, membership: Membership): ClientHello {
  const reader = read(bytes, HANDSHAKE.clientHello);
  const versions = [...reader.vec8()];
  const suites = readNumbers(reader.vec8());
  const [aes, mode] = [reader.u16(), reader.u8()];
  const hello = { versions, suites, aes, mode, ...readCommon(reader) };
  const before = bytes.subarray(0, reader.at);
  if (!reader.raw(32).equals(hmac(membership.clientHelloKey, before))) throw new Error('M1 mac');
  reader.end();
  return hello;
}

/**
 * `k_s`, if present, is encrypted to the client's key as `ct_s`; in a resumption `ct_s` is empty.
 */
export function writeServerHello(
  hello: ServerHello,
  membership: Membership,
  m1: Buffer,
  client: PublicIdentity,
  secret: Buffer | null,
): Buffer {
  const body = new Writer()
    .u8(hello.version)
    .u16(hello.suite)
    .u16(hello.aes)
    .u8(hello.mode)
    .vec8(Buffer.from(hello.versions))
    .vec8(numbers(hello.suites))
    .u16(hello.ownAes)
    .vec8(hello.clientId)
    .vec8(hello.serverId)
    .raw(hello.nonce)
    .raw(hello.x25519)
    .vec16(hello.mlKem)
    .u8(1)
    .vec16(hello.spki)
    .raw(hello.secretId)
    .vec16(extensions(hello.extensions))
    .done();
  const wrapped = secret === null ? 0 : client.key.asymmetricKeyDetails!.modulusLength! / 8;
  const label = hash(m1, open(HANDSHAKE.serverHello, body, 2 + wrapped + 32));
  const sent = secret === null ? Buffer.alloc(0) : wrap(client, secret, label);
  const whole = new Writer().raw(body).vec16(sent).done();
  return message(HANDSHAKE.serverHello, whole, 32, (before) =>
    hmac(membership.serverHelloKey, hash(m1), before),
  );
}

/** Reads M2, its `ct_s`, and the label of `ct_s`. */
export function readServerHello(
  bytes: Buffer,
  membership: Membership,
  m1: Buffer,
): { hello: ServerHello; wrapped: Buffer; label: Buffer } {
  const reader = read(bytes, HANDSHAKE.serverHello);
  const [version, suite, aes, mode] = [reader.u8(), reader.u16(), reader.u16(), reader.u8()];
  const versions = [...reader.vec8()];
  const suites = readNumbers(reader.vec8());
  const ownAes = reader.u16();
  const hello = { version, suite, aes, mode, versions, suites, ownAes, ...readCommon(reader) };
  const label = hash(m1, bytes.subarray(0, reader.at));
  const wrapped = reader.vec16();
  const before = bytes.subarray(0, reader.at);
  const mac = hmac(membership.serverHelloKey, hash(m1), before);
  if (!reader.raw(32).equals(mac)) throw new Error('M2 mac');
  reader.end();
  return { hello, wrapped, label };
}

function readCommon(reader: Reader) {
  const clientId = reader.vec8().toString();
  const serverId = reader.vec8().toString();
  const nonce = reader.raw(32);
  const x25519 = reader.raw(32);
  const mlKem = reader.vec16();
  const kind = reader.u8();
  if (kind !== 1) throw new Error(`identity of kind ${kind}`);
  const spki = reader.vec16();
  const secretId = reader.raw(8);
  const extensions = entries(reader.vec16(), (each) => each.u16());
  return { clientId, serverId, nonce, x25519, mlKem, spki, secretId, extensions };
}

function extensions(found: Map<number, Buffer>): Buffer {
  const writer = new Writer();
  for (const [type, value] of found) writer.u16(type).vec16(value);
  return writer.done();
}

function numbers(values: number[]): Buffer {
  const writer = new Writer();
  for (const value of values) writer.u16(value);
  return writer.done();
}

function readNumbers(bytes: Buffer): number[] {
  return Array.from({ length: bytes.length / 2 }, (_, index) => bytes.readUInt16BE(index * 2));
}
