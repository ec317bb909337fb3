// The verified identity behind a request.

/**
 * The way in which a peer proved its identity. `'join-token'` is a service without a certificate that asks the
 * built-in authority for its first one; no other handler sees it.
 */
export type Trust =
  'shared-secret' | 'embedded' | 'pinned' | 'pinned+secret' | 'certificate' | 'join-token';

/** The caller of a request: always the verified identity, never a claimed one. */
export interface Caller {
  /** The caller's service id. */
  readonly serviceId: string;
  /** The id of the session of the request. */
  readonly sessionId: string;
  /** The way in which the caller proved its identity. */
  readonly trust: Trust;
  /** The SPIFFE id of the caller's certificate, if it has one. */
  readonly spiffeId?: string | undefined;
  /** The claims of the caller's token. */
  readonly claims: Readonly<Record<string, unknown>>;
}
