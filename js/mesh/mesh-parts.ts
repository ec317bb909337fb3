// What a mesh is made of, for what needs all of it: reading events, telling figures.

import type { SafeLogger } from '../base/logger.js';
import { Side } from '../base/boundary.js';
import type { EventSink } from '../frames/reader.js';
import type { Peers } from '../incoming/peers.js';
import type { Router } from '../incoming/router.js';
import { MetricsCollector } from '../monitoring/metrics-collector.js';
import type { Monitoring } from '../monitoring/monitoring.js';
import type { Calls } from '../outgoing/calls.js';
import type { MeshStats } from './types.js';

/** The parts of a mesh that events are for. */
export interface MeshParts {
  readonly calls: Calls;
  readonly router: Router;
  readonly peers: Peers;
  readonly monitoring: Monitoring | undefined;
  readonly logger: SafeLogger;
}

/**
 * Where the core's events go.
 *
 * @param isClosed whether the mesh is
 * @param more has the next batch of events read
 */
export function eventSink(parts: MeshParts, isClosed: () => boolean, more: () => void): EventSink {
  const { calls, router, peers, monitoring, logger } = parts;
  return {
    result: (id, meta, payload) => calls.result(id, meta, payload),
    error: (id, text) => calls.error(id, text),
    request: (id, session, timeoutMs, attempt, method, meta, payload, kind, depth, path) => {
      // Nobody would hear the answer.
      if (isClosed()) return;
      router.request(id, session, timeoutMs, attempt, method, meta, payload, kind, depth, path);
    },
    item: (side, id, payload) => (side === Side.Call ? calls : router).item(id, payload),
    inputEnded: (id) => router.inputEnded(id),
    sent: (side, id, cost) => (side === Side.Call ? calls : router).sent(id, cost),
    abort: (id, cause) => router.abort(id, cause),
    sessionOpened: (handle, session) => {
      peers.open(handle, session);
      monitoring?.sessionOpened(peers.caller(handle)?.serviceId ?? '');
    },
    sessionClosed: (handle) => {
      peers.close(handle);
      monitoring?.sessionClosed();
    },
    log: (entry) => {
      logger.forward(entry);
      monitoring?.entry(entry);
    },
    more,
    broken: (error) =>
      logger.error('an event of the addon cannot be read', { event: 'boundary.broken', error }),
  };
}

/** The figures of a mesh: its parts', and what it knows of itself. */
export function meshStats(
  { calls, router, peers: table, monitoring }: MeshParts,
  own: Pick<MeshStats, 'service' | 'keyThumbprint' | 'services' | 'memory'>,
): MeshStats {
  const peers = table.list();
  const messages = {
    sent: calls.made + router.answers,
    received: router.requests + calls.answered,
    failed: calls.failed + router.failures,
  };
  // The figures of 0.2.0; those that the mesh counts anyway are there without monitoring.
  const metrics = monitoring?.metrics() ?? new MetricsCollector().getMetrics();
  const connections = { ...metrics.connections, active: peers.length };
  return {
    service: own.service,
    keyThumbprint: own.keyThumbprint,
    activeSessions: peers.length,
    messages,
    services: own.services,
    connectedServices: [...new Set(peers.map((peer) => peer.serviceId))],
    peers,
    memory: own.memory,
    sessions: { activeSessions: peers.length },
    metrics: { ...metrics, connections, messages: { ...messages } },
  };
}
