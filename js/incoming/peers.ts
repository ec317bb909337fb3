// The sessions there are now, and who is at their other end.

import type { Caller, Trust } from '../rpc/caller.js';

/** A certificate that a peer has proved. */
export interface PeerCertificate {
  /** What names the service: its SPIFFE id, or a DNS name. */
  readonly name: string;
  /** The subject, as in `CN=orders`. */
  readonly subject: string;
  /** The issuer. */
  readonly issuer: string;
  /** The serial number in hexadecimal. */
  readonly serial: string;
  /** The SHA-256 of the certificate in hexadecimal. */
  readonly fingerprint: string;
  /** Its end, in milliseconds since 1970. */
  readonly expiresAt: number;
}

/** A session with another service. */
export interface PeerSession {
  /** The service at the other end: the verified identity. */
  readonly serviceId: string;
  /** Names the session, on both sides. */
  readonly sessionId: string;
  /** Whether the other side opened it. */
  readonly inbound: boolean;
  /** How the other side proved who it is. */
  readonly trust: Trust;
  /** The key exchange that made the session's keys. */
  readonly suite: string;
  /** The size of its AES keys, in bits. */
  readonly aesKeySize: number;
  /** The certificate of the other side, where `trust` is `'certificate'`. */
  readonly certificate?: PeerCertificate | undefined;
}

interface Peer {
  readonly session: PeerSession;
  readonly caller: Caller;
}

/** Freezes what JSON made, whatever is inside. */
function freezeDeeply<T extends object>(value: T): Readonly<T> {
  for (const inner of Object.values(value)) {
    if (typeof inner === 'object' && inner !== null) freezeDeeply(inner as object);
  }
  return Object.freeze(value);
}

/** Knows the sessions by the handles the core gives them. */
export class Peers {
  readonly #peers = new Map<number, Peer>();

  /** @param text the JSON of who is at the other end */
  open(handle: number, text: string): void {
    const { claims, ...session } = JSON.parse(text) as PeerSession & { claims?: Caller['claims'] };
    const { serviceId, sessionId, trust, certificate } = session;
    const spiffeId = certificate?.name.startsWith('spiffe://') ? certificate.name : undefined;
    this.#peers.set(handle, {
      session: freezeDeeply(session),
      // One object for all requests of the session: no handler may change it for the others.
      caller: Object.freeze({
        serviceId,
        sessionId,
        trust,
        ...(spiffeId === undefined ? {} : { spiffeId }),
        claims: freezeDeeply(claims ?? {}),
      }),
    });
  }

  /** The session is over. */
  close(handle: number): void {
    this.#peers.delete(handle);
  }

  /** All sessions are over. */
  clear(): void {
    this.#peers.clear();
  }

  /** Who calls on a session. */
  caller(handle: number): Caller | undefined {
    return this.#peers.get(handle)?.caller;
  }

  /** The sessions, oldest first. */
  list(): PeerSession[] {
    return Array.from(this.#peers.values(), (peer) => peer.session);
  }
}
