// The open sessions and their verified peers.

import type { Caller, Trust } from '../rpc/caller.js';

/** A certificate that a peer has proved. */
export interface PeerCertificate {
  /** The name of the service: its SPIFFE id, or a DNS name. */
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
  /** The id of the session, the same on both sides. */
  readonly sessionId: string;
  /** Whether the peer opened the session. */
  readonly inbound: boolean;
  /** The way in which the peer proved its identity. */
  readonly trust: Trust;
  /** The key exchange of the session. */
  readonly suite: string;
  /** The size of its AES keys, in bits. */
  readonly aesKeySize: number;
  /** The certificate of the other side, if `trust` is `'certificate'`. */
  readonly certificate?: PeerCertificate | undefined;
}

interface Peer {
  readonly session: PeerSession;
  readonly caller: Caller;
}

/** Freezes a value of `JSON.parse` deeply. */
function freezeDeeply<T extends object>(value: T): Readonly<T> {
  for (const inner of Object.values(value)) {
    if (typeof inner === 'object' && inner !== null) freezeDeeply(inner as object);
  }
  return Object.freeze(value);
}

/** The table of sessions by the handles of the core. */
export class Peers {
  readonly #peers = new Map<number, Peer>();

  /** @param text the peer as JSON */
  open(handle: number, text: string): void {
    const { claims, ...session } = JSON.parse(text) as PeerSession & { claims?: Caller['claims'] };
    const { serviceId, sessionId, trust, certificate } = session;
    const spiffeId = certificate?.name.startsWith('spiffe://') ? certificate.name : undefined;
    this.#peers.set(handle, {
      session: freezeDeeply(session),
      // All requests of the session share one object, so it is frozen.
      caller: Object.freeze({
        serviceId,
        sessionId,
        trust,
        ...(spiffeId === undefined ? {} : { spiffeId }),
        claims: freezeDeeply(claims ?? {}),
      }),
    });
  }

  /** Removes a session. */
  close(handle: number): void {
    this.#peers.delete(handle);
  }

  /** Removes all sessions. */
  clear(): void {
    this.#peers.clear();
  }

  /** The caller of a session's requests. */
  caller(handle: number): Caller | undefined {
    return this.#peers.get(handle)?.caller;
  }

  /** The sessions, oldest first. */
  list(): PeerSession[] {
    return Array.from(this.#peers.values(), (peer) => peer.session);
  }
}
