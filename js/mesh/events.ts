// The events of a mesh for the application, derived from the lines of the core's log.

import { invalidArgument } from '../base/arguments.js';
import type { SafeLogger } from '../base/logger.js';

/** The events of a mesh by their names. */
export interface MeshEventMap {
  /** A session was opened or closed. */
  session: {
    /** The change. */
    state: 'opened' | 'closed';
    /** The peer. */
    service: string;
    /** The id of the session, the same on both sides. */
    sessionId: string;
    /** The kind of proof behind the peer's identity, as in `ctx.caller.trust`. */
    trust: string;
  };
  /** The breaker of an instance changed. */
  breaker: {
    /** The service. */
    service: string;
    /** The instance: host and port. */
    target: string;
    /** The new state. */
    state: 'closed' | 'open' | 'half_open';
  };
  /** This service's key, secret or certificate changed, or is about to end. */
  identity: {
    /** The stable name, as in `key.rotated`. */
    what: string;
    /** A sentence. */
    message: string;
  };
  /** A peer, or one of its requests, was refused. */
  refused: {
    /** The peer's id if it has proved it, otherwise its address. */
    subject: string;
    /** The reason, as in `HELLO_MAC`. */
    reason: string;
    /** A sentence. */
    message: string;
    /** The number of refusals that this event stands for. */
    count: number;
  };
  /** A stream has stalled. */
  stall: {
    /** The peer. */
    service: string;
    /** The method. */
    method: string;
    /** The side that does not read. */
    reader: 'peer' | 'application';
    /** The number of bytes that wait. */
    bytes: number;
  };
}

/** A listener of events. */
export type MeshListener<K extends keyof MeshEventMap> = (event: MeshEventMap[K]) => void;

interface Line {
  readonly event: string;
  readonly message: string;
  readonly fields?: Readonly<Record<string, string>>;
}

type Told = { [K in keyof MeshEventMap]: [K, MeshEventMap[K]] }[keyof MeshEventMap];

const NAMES = new Set(['session', 'breaker', 'identity', 'refused', 'stall']);

/** The listeners of one mesh. */
export class MeshEvents {
  readonly #listeners = new Map<string, Set<(event: never) => void>>();
  readonly #logger: SafeLogger;

  constructor(logger: SafeLogger) {
    this.#logger = logger;
  }

  /**
   * Adds a listener; returns the function that removes it.
   *
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
   */
  on<K extends keyof MeshEventMap>(name: K, listener: MeshListener<K>): () => void {
    if (!NAMES.has(name)) {
      throw invalidArgument(`event must be one of ${[...NAMES].join(', ')}, got ${String(name)}`);
    }
    if (typeof listener !== 'function') throw invalidArgument('listener must be a function');
    const own = (event: MeshEventMap[K]): void => listener(event);
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(own));
    return () => void listeners.delete(own);
  }

  /** Passes a line of the core's log, as JSON, to the listeners of its event. */
  entry(json: string): void {
    if (this.#listeners.size === 0) return;
    const told = read(JSON.parse(json) as Line);
    if (told === undefined) return;
    const [name, event] = told;
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(event as never);
      } catch (error) {
        this.#logger.error('a listener of events threw', { event: 'listener.failed', error });
      }
    }
  }
}

function read({ event, message, fields = {} }: Line): Told | undefined {
  const text = (name: string): string => fields[name] ?? '';
  switch (event) {
    case 'session.opened':
    case 'session.closed': {
      const state = event === 'session.opened' ? 'opened' : 'closed';
      const session = { service: text('peer'), sessionId: text('session'), trust: text('trust') };
      return ['session', { state, ...session }];
    }
    case 'circuit.changed': {
      const state = text('state') as MeshEventMap['breaker']['state'];
      return ['breaker', { service: text('service'), target: text('target'), state }];
    }
    case 'key.rotated':
    case 'secret.rotated':
    case 'secret.retired':
    case 'certificate.loaded':
    case 'certificate.expiring':
    case 'certificate.renewal.failed':
      return ['identity', { what: event, message }];
    case 'handshake.refused':
    case 'request.refused':
    case 'request.denied':
    case 'quota.refused': {
      const subject = fields['peer'] ?? fields['address'] ?? text('subject');
      const count = Number(fields['count'] ?? 1);
      return ['refused', { subject, reason: text('reason'), message, count }];
    }
    case 'stall': {
      // A line that only counts others has no method.
      if (fields['method'] === undefined) return undefined;
      const reader = text('reason') === 'peer' ? 'peer' : 'application';
      const bytes = Number(text('bytes'));
      return ['stall', { service: text('peer'), method: text('method'), reader, bytes }];
    }
    default:
      return undefined;
  }
}
