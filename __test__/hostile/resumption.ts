// Tickets: the state of each side for a session without RSA operations.
import { randomBytes } from 'node:crypto';
import { Writer } from './bytes.js';
import { signWith, signedBy, type Identity, type PublicIdentity } from './identity.js';
import { makeShare, type Share } from './x25519.js';

/** The client's share of a resumption, and its binding to the client's key. */
export interface Holder {
  readonly key: Share;
  /** Parameter 4 of M3. */
  readonly parameter: Buffer;
}

/** A ticket with the client's state for its use. */
export interface KeptTicket {
  readonly ticket: Buffer;
  readonly psk: Buffer;
  readonly holder: Holder;
  /** The thumbprint of the issuing server. */
  readonly thumbprint: Buffer;
}

const covered = (serverId: string, share: Buffer): Buffer =>
  new Writer()
    .raw(Buffer.from('secure-stack-mesh/resumption/v1\0'))
    .vec8(serverId)
    .raw(share)
    .done();

export function makeHolder(own: Identity, serverId: string): Holder {
  const key = makeShare();
  const signature = signWith(own, covered(serverId, key.share));
  return { key, parameter: Buffer.concat([key.share, signature]) };
}

/** A server's note about an issued ticket. */
export interface Note {
  clientId: string;
  client: PublicIdentity;
  holder: Buffer;
  psk: Buffer;
}

/** The tickets of one server: each is the name of a note that is valid once. */
export class Tickets {
  readonly #notes = new Map<string, Note>();

  constructor(readonly serverId: string) {}

  give(note: Note): Buffer {
    const ticket = randomBytes(48);
    this.#notes.set(ticket.toString('hex'), note);
    return ticket;
  }

  /** Takes the note if the ticket belongs to this client and its key signed the holder's share. */
  take(ticket: Buffer, clientId: string, client: PublicIdentity): Note | null {
    const name = ticket.toString('hex');
    const note = this.#notes.get(name);
    this.#notes.delete(name);
    if (note === undefined || note.clientId !== clientId) return null;
    if (!note.client.thumbprint.equals(client.thumbprint)) return null;
    const share = note.holder.subarray(0, 32);
    const good = signedBy(client, covered(this.serverId, share), note.holder.subarray(32));
    return good ? note : null;
  }
}
