// A bounded table of sessions by id. The sessions of a mesh are in the core.

import { randomBytes } from 'node:crypto';
import { checkKeys, invalidArgument } from '../base/arguments.js';
import { idleTimer } from '../base/clock.js';
import { MeshError, wrapNative } from '../base/errors.js';
import { native } from '../base/native.js';
import { checkCount, checkText, toMillis } from '../base/values.js';

/** The options of a {@link SessionManager}. */
export interface SessionManagerOptions {
  /** The idle timeout of a session: milliseconds or a string such as `'1h'`. Default: `3600000`. */
  timeout?: number | string;
  /** The limit of a session's lifetime: milliseconds or a string such as `'24h'`. Default: `86400000`. */
  maxLifetime?: number | string;
  /** The limit of live sessions. Default: 10,000. */
  maxSessions?: number;
}

/** A session; times are milliseconds since 1970, as in `Date.now()`. */
export interface Session {
  /** 128 random bits, as 32 hexadecimal digits. */
  readonly id: string;
  /** The service of the session. */
  readonly serviceId: string;
  /** The peer, if it was given. */
  readonly peerServiceId?: string;
  /** The time of its creation. */
  readonly createdAt: number;
  /** The time of its last tracked message, or of its creation. */
  readonly lastActivity: number;
  /** The time at which it ends without further messages. */
  readonly expiresAt: number;
  /** The number of tracked messages. */
  readonly messageCount: number;
  /** The metadata given to `createSession`. */
  readonly metadata?: Record<string, any>;
  /**
   * The key given to `createSession`, a `Uint8Array`; `undefined` without one. The property is not
   * enumerable, so that the key is not printed.
   *
   * @deprecated The API of 0.2.0. The keys of a mesh's sessions never leave the addon.
   */
  readonly sessionKey: any;
}

/** Figures about a {@link SessionManager}. */
export interface SessionStats {
  /** Live sessions. */
  activeSessions: number;
  /** Sessions created since the creation of the manager. */
  totalSessions: number;
  /** Sessions ended by a time limit. */
  expiredSessions: number;
  /** Sessions ended by `invalidateSession`. */
  invalidatedSessions: number;
  /** Tracked messages. */
  totalMessages: number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const OPTIONS = ['timeout', 'maxLifetime', 'maxSessions'] as const;

/**
 * Tracks sessions: their services, times and numbers of messages.
 *
 * A session ends when no message was tracked for `timeout`, and after `maxLifetime` in any case. A lookup
 * never prolongs it. Ended sessions are removed automatically; the timer does not keep the process alive.
 *
 * @example
 * ```js
 * const sessions = new SessionManager({ timeout: 3600000 });
 * const session = sessions.createSession('service1', 'service2');
 * sessions.trackMessage(session.id);
 * ```
 */
export class SessionManager {
  readonly #idleMs: number;
  readonly #lifetimeMs: number;
  readonly #maxSessions: number;
  /** In the order of creation. */
  readonly #sessions = new Map<string, Mutable<Session>>();
  readonly #counts = { created: 0, expired: 0, invalidated: 0, messages: 0 };
  /** No session ends before this time, so no sweep is needed before it. */
  #sweepAt = Infinity;
  #timer: NodeJS.Timeout | undefined;

  /** @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: an option is misspelt or out of range */
  constructor(options?: SessionManagerOptions);
  /**
   * @param defaultTTL the idle timeout of a session, in milliseconds
   * @deprecated The API of 0.2.0. Use `new SessionManager({ timeout })`.
   */
  constructor(defaultTTL?: number);
  constructor(first: SessionManagerOptions | number = {}) {
    const options: SessionManagerOptions = typeof first === 'number' ? { timeout: first } : first;
    checkKeys('options', options, OPTIONS);
    const { timeout = '1h', maxLifetime = '24h', maxSessions = 10_000 } = options;
    checkCount('maxSessions', maxSessions);
    this.#maxSessions = maxSessions;
    this.#lifetimeMs = checkTime('maxLifetime', maxLifetime);
    this.#idleMs = Math.min(checkTime('timeout', timeout), this.#lifetimeMs);
  }

  /**
   * Begins a session between two services.
   *
   * @param metadata kept with the session, not copied
   * @throws MeshError `INVALID_ARGUMENT`, reason `ID_SYNTAX`: an id is outside the allowed alphabet.
   *   `RESOURCE_EXHAUSTED`, reason `SESSION_LIMIT`: there are `maxSessions` live sessions; none of them is
   *   ever evicted
   */
  createSession(
    serviceId: string,
    peerServiceId?: string,
    metadata?: Record<string, unknown>,
  ): Session;
  /**
   * @param sessionKey kept with the session, not copied
   * @deprecated The API of 0.2.0. Use `createSession(serviceId, peerServiceId, metadata)`; the keys of a
   *   mesh's sessions never leave the addon.
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
    checkServiceId('serviceId', serviceId);
    const key = second instanceof Uint8Array ? second : undefined;
    const peer = key === undefined ? (second as string | undefined) : undefined;
    if (peer !== undefined) checkServiceId('peerServiceId', peer);
    this.cleanupExpiredSessions();
    // A live session is never evicted, so a flood of new sessions cannot end existing ones.
    if (this.#sessions.size >= this.#maxSessions) throw tableIsFull(this.#maxSessions);
    const now = Date.now();
    // `sessionKey` is added below, if it is given.
    const session = {
      id: randomBytes(16).toString('hex'),
      serviceId,
      ...(peer === undefined ? {} : { peerServiceId: peer }),
      createdAt: now,
      lastActivity: now,
      expiresAt: now + this.#idleMs,
      messageCount: 0,
      ...(metadata === undefined ? {} : { metadata }),
    } as Mutable<Session>;
    if (key !== undefined) Object.defineProperty(session, 'sessionKey', { value: key });
    this.#sessions.set(session.id, session);
    this.#counts.created += 1;
    this.#sweepAt = Math.min(this.#sweepAt, session.expiresAt);
    this.#arm();
    return session;
  }

  /** Returns the session if it is alive. The lookup does not prolong it. */
  getSession(id: string): Session | undefined {
    checkText('id', id);
    const session = this.#sessions.get(id);
    return session !== undefined && Date.now() < session.expiresAt ? session : undefined;
  }

  /** The newest live session in which the service is either side. */
  getSessionByServiceId(serviceId: string): Session | undefined {
    return this.listSessions().findLast(
      (session) => session.serviceId === serviceId || session.peerServiceId === serviceId,
    );
  }

  /** The live sessions, oldest first. */
  listSessions(): Session[] {
    this.cleanupExpiredSessions();
    return [...this.#sessions.values()];
  }

  /**
   * Counts a message and prolongs the session by its `timeout`, up to its
   * `maxLifetime`. Call it once a message has been authenticated.
   *
   * @returns the number of messages of the session
   * @throws MeshError `NOT_FOUND`, reason `SESSION_NOT_FOUND`: there is no session with this id.
   *   `FAILED_PRECONDITION`, reason `SESSION_EXPIRED`: the session has just expired
   */
  trackMessage(id: string): number {
    checkText('id', id);
    const session = this.#sessions.get(id);
    if (session === undefined) throw unknownSession();
    const now = Date.now();
    if (now >= session.expiresAt) throw expiredSession();
    // A clock that was set back must not shorten the session.
    session.lastActivity = Math.max(session.lastActivity, now);
    session.expiresAt = Math.min(
      session.lastActivity + this.#idleMs,
      session.createdAt + this.#lifetimeMs,
    );
    session.messageCount += 1;
    this.#counts.messages += 1;
    return session.messageCount;
  }

  /** Ends a session. Returns whether it existed. */
  invalidateSession(id: string): boolean {
    checkText('id', id);
    const removed = this.#sessions.delete(id);
    if (removed) this.#counts.invalidated += 1;
    return removed;
  }

  /** Removes expired sessions, which also happens automatically. Returns their number. */
  cleanupExpiredSessions(): number {
    const now = Date.now();
    if (now < this.#sweepAt) return 0;
    const before = this.#sessions.size;
    this.#sweepAt = Infinity;
    for (const [id, { expiresAt }] of this.#sessions) {
      if (now >= expiresAt) this.#sessions.delete(id);
      else this.#sweepAt = Math.min(this.#sweepAt, expiresAt);
    }
    const ended = before - this.#sessions.size;
    this.#counts.expired += ended;
    return ended;
  }

  /** The current figures. */
  getStats(): SessionStats {
    const now = Date.now();
    const { created, expired, invalidated, messages } = this.#counts;
    return {
      activeSessions: [...this.#sessions.values()].filter(({ expiresAt }) => now < expiresAt)
        .length,
      totalSessions: created,
      expiredSessions: expired,
      invalidatedSessions: invalidated,
      totalMessages: messages,
    };
  }

  /** Arms the timer that removes ended sessions and their keys even without a further call. */
  #arm(): void {
    if (this.#timer !== undefined || this.#sessions.size === 0) return;
    this.#timer = idleTimer(Math.max(this.#sweepAt - Date.now(), 1), () => {
      this.#timer = undefined;
      this.cleanupExpiredSessions();
      this.#arm();
    });
  }
}

const MAX_MS = 36_500 * 86_400_000;

/** Whole milliseconds, at least one. */
function checkTime(name: string, value: number | string): number {
  const ms = Math.floor(toMillis(name, value));
  if (ms < 1) throw invalidArgument(`${name} must be at least 1 ms`);
  if (ms > MAX_MS) throw invalidArgument(`${name} must be at most 36500 days, got ${ms} ms`);
  return ms;
}

function checkServiceId(name: string, id: unknown): void {
  checkText(name, id);
  wrapNative(() => native().checkServiceId(name, id));
}

function tableIsFull(most: number): MeshError {
  const text = `there are ${most} sessions already, as many as allowed; end some or raise the limit`;
  return new MeshError('RESOURCE_EXHAUSTED', text, { reason: 'SESSION_LIMIT' });
}

function unknownSession(): MeshError {
  const text = 'there is no such session; it was ended, has expired or never existed';
  return new MeshError('NOT_FOUND', text, { reason: 'SESSION_NOT_FOUND' });
}

function expiredSession(): MeshError {
  const text = 'the session has expired; begin a new one';
  return new MeshError('FAILED_PRECONDITION', text, { reason: 'SESSION_EXPIRED' });
}
