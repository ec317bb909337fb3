// The client's side of the handshake in single steps, so that a test can stop after each of them.
import { randomBytes } from 'node:crypto';
import type { Carrier } from './carrier.js';
import { EXTENSION, MODE, PARAMETER, SUITE_X25519 } from './constants.js';
import { dial } from './dial.js';
import { readServerFinish, u32, writeClientFinish } from './finish.js';
import { nonce, offer, readServerHello, writeClientHello, type ClientHello } from './hello.js';
import { readSpki, unwrap, wrap, type Identity, type PublicIdentity } from './identity.js';
import { hash } from './kdf.js';
import { makeHolder, type Holder, type KeptTicket } from './resumption.js';
import { Membership, Stage2 } from './schedule.js';
import { Session } from './session.js';
import { checkToken, makeToken } from './token.js';
import { agree, makeShare } from './x25519.js';

export interface ClientOptions {
  port: number;
  /** The ids of the client and the server. */
  id: string;
  peer: string;
  identity: Identity;
  /** Mode 1 with a secret, mode 2 without. */
  secret?: string | null;
  aes?: number;
  /** The ticket of a requested resumption. */
  ticket?: KeptTicket;
  /** Whether to send the server a holder share, for a ticket; default: true. */
  holder?: Holder | false;
  /** The limit of messages that this client announces. */
  maxMessage?: number;
  maxCalls?: number;
  /** Sends `ct_c` in a resumption too. */
  wrapAlways?: boolean;
  /** A hook that changes M1 before it is written. */
  hello?: (hello: ClientHello) => void;
  /** A hook that changes the content of M3 before it is sealed. */
  parameters?: (parameters: Map<number, Buffer>) => void;
}

/** The state between M2 and M3. */
interface Waiting {
  stage: Stage2;
  server: PublicIdentity;
  hellos: Buffer;
  aes: number;
  resumed: boolean;
  psk: Buffer | null;
}

export class ClientHandshake {
  readonly #membership: Membership;
  readonly #own = makeShare();
  #m1: Buffer = Buffer.alloc(0);
  #waiting: Waiting | null = null;
  /** The ticket of M4, if the server gave one. */
  ticket: KeptTicket | null = null;

  private constructor(
    readonly options: ClientOptions,
    readonly carrier: Carrier,
  ) {
    this.#membership = new Membership(options.secret ?? null);
  }

  /** Opens a connection without sending a message. */
  static async dial(options: ClientOptions): Promise<ClientHandshake> {
    return new ClientHandshake(options, await dial(options.port));
  }

  sendHello(): void {
    const { id, peer, identity, secret, aes, ticket } = this.options;
    const hello: ClientHello = {
      ...offer,
      aes: aes ?? 256,
      mode: (secret ?? null) === null ? MODE.pinned : MODE.secret,
      clientId: id,
      serverId: peer,
      nonce: nonce(),
      x25519: this.#own.share,
      spki: identity.publicKey.spki,
      secretId: this.#membership.secretId,
      extensions: new Map(),
    };
    if (ticket !== undefined) hello.extensions.set(EXTENSION.ticket, ticket.ticket);
    this.options.hello?.(hello);
    this.#m1 = writeClientHello(hello, this.#membership);
    this.carrier.send(this.#m1);
  }

  async readHello(): Promise<void> {
    const m2 = await this.carrier.frames.next();
    const { hello, wrapped, label } = readServerHello(m2, this.#membership, this.#m1);
    const { id, peer, identity, ticket } = this.options;
    if (hello.clientId !== id || hello.serverId !== peer) throw new Error('M2 ids');
    if (hello.suite !== SUITE_X25519) throw new Error(`M2 suite ${hello.suite}`);
    const server = readSpki(hello.spki);
    const resumed = hello.extensions.has(EXTENSION.ticket);
    if (resumed && ticket === undefined) throw new Error('a resumption nobody asked for');
    if (resumed && !ticket!.thumbprint.equals(server.thumbprint)) throw new Error('M2 key');
    const part = resumed
      ? Buffer.concat([ticket!.psk, agree(ticket!.holder.key, hello.x25519)])
      : unwrap(identity, wrapped, label);
    const hellos = Buffer.concat([this.#m1, m2]);
    const shared = agree(this.#own, hello.x25519);
    const stage = new Stage2(this.#membership, hash(hellos), shared, part);
    const psk = resumed ? ticket!.psk : null;
    this.#waiting = { stage, server, hellos, aes: hello.aes, resumed, psk };
  }

  /** Sends M3; the result reads M4. */
  sendFinish(): () => Promise<Session> {
    const { stage, server, hellos, aes, resumed, psk } = this.#waiting!;
    const { id, peer, identity } = this.options;
    const part = psk ?? randomBytes(32);
    const holder =
      this.options.holder === false ? null : (this.options.holder ?? makeHolder(identity, peer));
    const parameters = new Map<number, Buffer>([
      [PARAMETER.maxMessage, u32(this.options.maxMessage ?? 4 * 1024 * 1024)],
      [PARAMETER.maxCalls, u32(this.options.maxCalls ?? 1024)],
    ]);
    if (holder !== null) parameters.set(PARAMETER.holder, holder.parameter);
    this.options.parameters?.(parameters);
    const { thumbprint } = identity.publicKey;
    const { sessionId } = stage;
    const token = makeToken('ssm-handshake+jwt', stage.tokenKey, {
      from: id,
      to: peer,
      sessionId,
      thumbprint,
    });
    const empty = resumed && this.options.wrapAlways !== true;
    const wrapped = empty ? Buffer.alloc(0) : wrap(server, part, stage.th2);
    const m3 = writeClientFinish({ token, parameters }, stage, hellos, wrapped);
    this.carrier.send(m3);
    return async () => {
      const before3 = Buffer.concat([hellos, m3]);
      const th3 = hash(before3);
      const last = stage.next(th3, part);
      const m4 = await this.carrier.frames.next();
      const finish = readServerFinish(m4, last, before3, th3);
      checkToken(finish.token, 'ssm-handshake+jwt', last.tokenKey, {
        from: peer,
        to: id,
        sessionId,
        thumbprint: server.thumbprint,
      });
      const ticket = finish.parameters.get(PARAMETER.ticket);
      if (ticket !== undefined && holder !== null) {
        const { thumbprint } = server;
        this.ticket = { ticket, psk: last.resumption, holder, thumbprint };
      }
      const th4 = hash(before3, m4);
      const secrets = { out: last.traffic('c', th4), in: last.traffic('s', th4) };
      const limits = {
        maxMessage: finish.parameters.get(PARAMETER.maxMessage)!.readUInt32BE(),
        maxCalls: finish.parameters.get(PARAMETER.maxCalls)!.readUInt32BE(),
      };
      return new Session(this.carrier, sessionId, secrets, aes, limits, resumed);
    };
  }

  /** Runs the whole handshake. */
  async run(): Promise<Session> {
    this.sendHello();
    await this.readHello();
    return this.sendFinish()();
  }
}
