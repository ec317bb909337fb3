// The verified identity behind a request.

/** How a peer proved who it is. */
export type Trust = 'shared-secret' | 'embedded' | 'pinned' | 'pinned+secret' | 'certificate';

/** Who is calling: always the verified identity, never a claimed one. */
export interface Caller {
  /** The caller's service id. */
  readonly serviceId: string;
  /** The session the call came on. */
  readonly sessionId: string;
  /** How the caller proved who it is. */
  readonly trust: Trust;
  /** The SPIFFE id of the caller's certificate, if it has one. */
  readonly spiffeId?: string | undefined;
  /** The claims of the caller's token. */
  readonly claims: Readonly<Record<string, unknown>>;
}
