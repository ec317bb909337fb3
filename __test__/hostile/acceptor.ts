// The server's side of the handshake on one carrier.
import { randomBytes } from 'node:crypto';
import type { Carrier } from './carrier.js';
import { EXTENSION, MODE, PARAMETER, PROTOCOL_VERSION, SUITE_X25519 } from './constants.js';
import { readClientFinish, u32, writeServerFinish, type Finish } from './finish.js';
import { nonce, readClientHello, writeServerHello, type ServerHello } from './hello.js';
import { readSpki, unwrap, type Identity } from './identity.js';
import { hash } from './kdf.js';
import type { Tickets } from './resumption.js';
import { Membership, Stage2 } from './schedule.js';
import { Session } from './session.js';
import { checkToken, makeToken } from './token.js';
import { agree, makeShare } from './x25519.js';

export interface ServerOptions {
  id: string;
  identity: Identity;
  /** Mode 1 with a secret, mode 2 without. */
  secret?: string | null;
  aes?: number;
  maxMessage?: number;
  maxCalls?: number;
  /** Whether to issue and accept tickets; default: true. */
  tickets?: boolean;
  /** A hook that changes M2 before it is written. */
  hello?: (hello: ServerHello) => void;
  /** Sends `ct_s` in a resumption too. */
  wrapAlways?: boolean;
  /** A hook that changes the content of M4 before it is sealed. */
  finish?: (finish: Finish) => void;
  /** A hook that changes the bytes of M4. */
  m4?: (bytes: Buffer) => void;
}

/** A session with its client. */
export interface Accepted {
  session: Session;
  clientId: string;
  /** The thumbprint of the client's key. */
  thumbprint: Buffer;
  tokenSubject: { from: string; to: string; sessionId: Buffer; thumbprint: Buffer };
}

export async function accept(
  options: ServerOptions,
  tickets: Tickets,
  carrier: Carrier,
): Promise<Accepted> {
  const { id, identity } = options;
  const membership = new Membership(options.secret ?? null);
  const own = makeShare();
  const m1 = await carrier.frames.next();
  const asked = readClientHello(m1, membership);
  if (asked.serverId !== id) throw new Error('M1 server id');
  if (!asked.suites.includes(SUITE_X25519)) throw new Error('M1 suites');
  const { clientId } = asked;
  const client = readSpki(asked.spki);
  const ticket = asked.extensions.get(EXTENSION.ticket);
  const note = ticket === undefined ? null : tickets.take(ticket, clientId, client);

  const hello: ServerHello = {
    version: PROTOCOL_VERSION,
    suite: SUITE_X25519,
    aes: Math.max(asked.aes, options.aes ?? 256),
    mode: (options.secret ?? null) === null ? MODE.pinned : MODE.secret,
    versions: [PROTOCOL_VERSION],
    suites: [SUITE_X25519],
    ownAes: options.aes ?? 256,
    clientId,
    serverId: id,
    nonce: nonce(),
    x25519: own.share,
    mlKem: Buffer.alloc(0),
    spki: identity.publicKey.spki,
    secretId: membership.secretId,
    extensions: new Map(),
  };
  if (note !== null) hello.extensions.set(EXTENSION.ticket, Buffer.alloc(0));
  options.hello?.(hello);
  const secret = note === null || options.wrapAlways === true ? randomBytes(32) : null;
  const m2 = writeServerHello(hello, membership, m1, client, secret);
  carrier.send(m2);

  const hellos = Buffer.concat([m1, m2]);
  const th2 = hash(hellos);
  const shared = agree(own, asked.x25519);
  const part =
    note === null ? secret! : Buffer.concat([note.psk, agree(own, note.holder.subarray(0, 32))]);
  const stage = new Stage2(membership, th2, shared, part);
  const m3 = await carrier.frames.next();
  const { wrapped, token, parameters } = readClientFinish(m3, stage, hellos);
  const { sessionId } = stage;
  const { thumbprint } = client;
  const tokenSubject = { from: clientId, to: id, sessionId, thumbprint };
  checkToken(token, 'ssm-handshake+jwt', stage.tokenKey, tokenSubject);

  const before3 = Buffer.concat([hellos, m3]);
  const th3 = hash(before3);
  const last = stage.next(th3, note === null ? unwrap(identity, wrapped, th2) : note.psk);
  const finish: Finish = {
    token: makeToken('ssm-handshake+jwt', last.tokenKey, {
      from: id,
      to: clientId,
      sessionId,
      thumbprint: identity.publicKey.thumbprint,
    }),
    parameters: new Map([
      [PARAMETER.maxMessage, u32(options.maxMessage ?? 4 * 1024 * 1024)],
      [PARAMETER.maxCalls, u32(options.maxCalls ?? 1024)],
    ]),
  };
  const holder = parameters.get(PARAMETER.holder);
  if (holder !== undefined && options.tickets !== false) {
    const given = tickets.give({ clientId, client, holder, psk: last.resumption });
    finish.parameters.set(PARAMETER.ticket, given);
  }
  options.finish?.(finish);
  const m4 = writeServerFinish(finish, last, before3, th3);
  options.m4?.(m4);
  carrier.send(m4);
  const th4 = hash(before3, m4);
  const secrets = { out: last.traffic('s', th4), in: last.traffic('c', th4) };
  const limits = {
    maxMessage: parameters.get(PARAMETER.maxMessage)!.readUInt32BE(),
    maxCalls: parameters.get(PARAMETER.maxCalls)!.readUInt32BE(),
  };
  const session = new Session(carrier, sessionId, secrets, hello.aes, limits, note !== null);
  return { session, clientId, thumbprint, tokenSubject };
}
