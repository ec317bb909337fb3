// Sessions by id, with every limit a table needs.

import { checkKeys, invalidArgument } from '../base/arguments.js';
import { idleTimer } from '../base/clock.js';
import { wrapNative } from '../base/errors.js';
import { native, type Addon } from '../base/native.js';
import { checkText, toMillis } from '../base/values.js';

type NativeSessions = InstanceType<Addon['NativeSessions']>;
type NativeSession = ReturnType<NativeSessions['create']>;

/** How long sessions live and how many there may be. */
export interface SessionManagerOptions {
  /** How long a session lives without a message: milliseconds or `'1h'`. Default: `3600000`. */
  timeout?: number | string;
  /** How long it lives at most, however busy: milliseconds or `'24h'`. Default: `86400000`. */
  maxLifetime?: number | string;
  /** The most sessions at once. Default: 10,000. */
  maxSessions?: number;
}

/** A session; times are milliseconds since 1970, as `Date.now()` counts. */
export interface Session {
  /** 128 random bits, as 32 hexadecimal digits. */
  readonly id: string;
  /** The service it was made for. */
  readonly serviceId: string;
  /** The other side, where it was given. */
  readonly peerServiceId?: string;
  /** When it began. */
  readonly createdAt: number;
  /** When its last message was tracked; at first, when it began. */
  readonly lastActivity: number;
  /** When it ends if nothing happens until then. */
  readonly expiresAt: number;
  /** How many messages were tracked. */
  readonly messageCount: number;
  /** What was given to `createSession`. */
  readonly metadata?: Record<string, any>;
  /**
   * The key given to `createSession`, as it was given: a `Uint8Array`; `undefined` where none was. Not
   * enumerable, so that it is not printed.
   *
   * @deprecated The shape of 0.2.0. The keys of a mesh's sessions never leave its native part.
   */
  readonly sessionKey: any;
}

/** Figures about a {@link SessionManager}. */
export interface SessionStats {
  /** Sessions alive. */
  activeSessions: number;
  /** Sessions begun since the manager was made. */
  totalSessions: number;
  /** Of these, ended by a limit. */
  expiredSessions: number;
  /** Of these, ended by `invalidateSession`. */
  invalidatedSessions: number;
  /** Messages tracked. */
  totalMessages: number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const OPTIONS = ['timeout', 'maxLifetime', 'maxSessions'] as const;

/**
 * Keeps track of sessions: who, since when, how many messages.
 *
 * A session ends when no message was tracked for `timeout`, and after
 * `maxLifetime` in any case. Looking one up never prolongs it. Ended sessions
 * are removed by themselves; the timer for it does not keep the process alive.
 *
 * @example
 * ```js
 * const sessions = new SessionManager({ timeout: 3600000 });
 * const session = sessions.createSession('service1', 'service2');
 * sessions.trackMessage(session.id);
 * ```
 */
export class SessionManager {
  readonly #native: NativeSessions;
  readonly #sessions = new Map<string, Mutable<Session>>();
  #timer: NodeJS.Timeout | undefined;

  /** @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: an option is misspelt or out of range */
  constructor(options?: SessionManagerOptions);
  /**
   * @param defaultTTL how long a session lives without a message, in milliseconds
   * @deprecated The shape of 0.2.0. Use `new SessionManager({ timeout })`.
   */
  constructor(defaultTTL?: number);
  constructor(first: SessionManagerOptions | number = {}) {
    const options: SessionManagerOptions = typeof first === 'number' ? { timeout: first } : first;
    checkKeys('options', options, OPTIONS);
    const { timeout = '1h', maxLifetime = '24h', maxSessions = 10_000 } = options;
    if (!Number.isInteger(maxSessions) || maxSessions < 1 || maxSessions > 0xffff_ffff) {
      throw invalidArgument(
        `maxSessions must be a whole number from 1, got ${String(maxSessions)}`,
      );
    }
    const idleMs = toMillis('timeout', timeout);
    const lifetimeMs = toMillis('maxLifetime', maxLifetime);
    this.#native = wrapNative(() => new (native().NativeSessions)(idleMs, lifetimeMs, maxSessions));
  }

  /**
   * Begins a session between two services.
   *
   * @param metadata kept with the session as it is
   * @throws MeshError `INVALID_ARGUMENT`, reason `ID_SYNTAX`: an id is outside the allowed alphabet.
   *   `RESOURCE_EXHAUSTED`, reason `SESSION_LIMIT`: there are `maxSessions` alive; none of them is
   *   ever pushed out
   */
  createSession(
    serviceId: string,
    peerServiceId?: string,
    metadata?: Record<string, unknown>,
  ): Session;
  /**
   * @param sessionKey kept with the session as it is, not copied
   * @deprecated The shape of 0.2.0. Use `createSession(serviceId, peerServiceId, metadata)`; the
   *   keys of a mesh's sessions never leave its native part.
   */
  createSession(
    serviceId: string,
    sessionKey: Uint8Array,
    metadata?: Record<string, unknown>,
  ): Session;
  createSession(
    serviceId: string,
    second?: string | Uint8Array,
    metadata?: Record<string, unknown>,
  ): Session {
    checkText('serviceId', serviceId);
    const key = second instanceof Uint8Array ? second : undefined;
    const peer = key === undefined ? (second as string | undefined) : undefined;
    if (peer !== undefined) checkText('peerServiceId', peer);
    this.cleanupExpiredSessions();
    const session: Mutable<Session> = present(
      wrapNative(() => this.#native.create(serviceId, peer, Date.now())),
    );
    if (metadata !== undefined) session.metadata = metadata;
    if (key !== undefined) Object.defineProperty(session, 'sessionKey', { value: key });
    this.#sessions.set(session.id, session);
    this.#arm();
    return session;
  }

  /** The session, if it is alive. Looking at it does not prolong it. */
  getSession(id: string): Session | undefined {
    checkText('id', id);
    return wrapNative(() => this.#native.get(id, Date.now())) ? this.#sessions.get(id) : undefined;
  }

  /** The newest live session in which the service is either side. */
  getSessionByServiceId(serviceId: string): Session | undefined {
    return this.listSessions().findLast(
      (session) => session.serviceId === serviceId || session.peerServiceId === serviceId,
    );
  }

  /** The sessions alive, oldest first. */
  listSessions(): Session[] {
    this.cleanupExpiredSessions();
    return [...this.#sessions.values()];
  }

  /**
   * Counts a message and prolongs the session by its `timeout`, up to its
   * `maxLifetime`. Call it once a message has been authenticated.
   *
   * @returns how many messages the session has had
   * @throws MeshError `NOT_FOUND`, reason `SESSION_NOT_FOUND`: there is none of this id, or no longer.
   *   `FAILED_PRECONDITION`, reason `SESSION_EXPIRED`: it has just ended
   */
  trackMessage(id: string): number {
    checkText('id', id);
    const tracked = wrapNative(() => this.#native.track(id, Date.now()));
    const session = this.#sessions.get(id);
    if (session !== undefined) {
      session.lastActivity = tracked.lastActivity;
      session.expiresAt = tracked.expiresAt;
      session.messageCount = tracked.messageCount;
    }
    return tracked.messageCount;
  }

  /** Ends a session. Returns whether there was one. */
  invalidateSession(id: string): boolean {
    checkText('id', id);
    this.#sessions.delete(id);
    return this.#native.remove(id);
  }

  /** Removes the sessions that have ended, which also happens by itself. Returns how many. */
  cleanupExpiredSessions(): number {
    const ended = wrapNative(() => this.#native.sweep(Date.now()));
    for (const id of ended) this.#sessions.delete(id);
    return ended.length;
  }

  /** Figures as of now. */
  getStats(): SessionStats {
    const counts = wrapNative(() => this.#native.counts(Date.now()));
    return {
      activeSessions: counts.active,
      totalSessions: counts.created,
      expiredSessions: counts.expired,
      invalidatedSessions: counts.removed,
      totalMessages: counts.messages,
    };
  }

  /** Sees to it that ended sessions, and the keys kept with them, do not stay until the next call. */
  #arm(): void {
    const next = this.#native.nextSweep();
    if (this.#timer !== undefined || typeof next !== 'number') return;
    this.#timer = idleTimer(Math.max(next - Date.now(), 1), () => {
      this.#timer = undefined;
      this.cleanupExpiredSessions();
      this.#arm();
    });
  }
}

function present({ peerServiceId, ...rest }: NativeSession): Mutable<Session> {
  // `sessionKey` is put there by whoever has one.
  const session = rest as Mutable<Session>;
  if (typeof peerServiceId === 'string') session.peerServiceId = peerServiceId;
  return session;
}
