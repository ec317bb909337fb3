// The parts of a mesh, for code that needs all of them: the dispatch of events, the statistics.

import type { SafeLogger } from '../base/logger.js';
import { Side } from '../base/boundary.js';
import type { Providers } from '../discovery/providers.js';
import type { EventSink } from '../frames/reader.js';
import type { Peers } from '../incoming/peers.js';
import type { Router } from '../incoming/router.js';
import { MetricsCollector } from '../monitoring/metrics-collector.js';
import type { Monitoring } from '../monitoring/monitoring.js';
import type { Calls } from '../outgoing/calls.js';
import type { MeshEvents } from './events.js';
import type { MeshStats } from './types.js';

/** The parts of a mesh that receive events. */
export interface MeshParts {
  readonly calls: Calls;
  readonly router: Router;
  readonly peers: Peers;
  readonly monitoring: Monitoring | undefined;
  readonly logger: SafeLogger;
  readonly providers: Providers | undefined;
  readonly events: MeshEvents;
}

/**
 * Dispatches the core's events to the parts.
 *
 * @param isClosed whether the mesh is closed
 * @param more requests the next batch of events
 */
export function eventSink(parts: MeshParts, isClosed: () => boolean, more: () => void): EventSink {
  const { calls, router, peers, monitoring, logger, providers, events } = parts;
  return {
    result: (id, meta, payload) => calls.result(id, meta, payload),
    error: (id, text) => calls.error(id, text),
    request: (id, session, timeoutMs, attempt, method, meta, payload, kind, depth, path) => {
      // After the close no answer can be sent.
      if (isClosed()) return;
      router.request(id, session, timeoutMs, attempt, method, meta, payload, kind, depth, path);
    },
    item: (side, id, payload) => (side === Side.Call ? calls : router).item(id, payload),
    inputEnded: (id) => router.inputEnded(id),
    sent: (side, id, cost) => (side === Side.Call ? calls : router).sent(id, cost),
    late: (id) => router.late(id),
    abort: (id, cause) => router.abort(id, cause),
    sessionOpened: (handle, session) => {
      peers.open(handle, session);
      monitoring?.sessionOpened(peers.caller(handle)?.serviceId ?? '');
    },
    sessionClosed: (handle) => {
      peers.close(handle);
      monitoring?.sessionClosed();
    },
    wanted: (service) => providers?.watch(service),
    log: (entry) => {
      logger.forward(entry);
      monitoring?.entry(entry);
      events.entry(entry);
    },
    more,
    broken: (error) =>
      logger.error('an event of the addon cannot be read', { event: 'boundary.broken', error }),
  };
}

/** The statistics of a mesh, from its parts and its core. */
export function meshStats(
  { calls, router, peers: table, monitoring, providers }: MeshParts,
  own: Pick<MeshStats, 'service' | 'keyThumbprint' | 'services' | 'memory'>,
): MeshStats {
  const peers = table.list();
  const messages = {
    sent: calls.made + router.answers,
    received: router.requests + calls.answered,
    failed: calls.failed + router.failures,
  };
  // The figures of 0.2.0. The mesh counts some of them even without monitoring.
  const metrics = monitoring?.metrics() ?? new MetricsCollector().getMetrics();
  const connections = { ...metrics.connections, active: peers.length };
  return {
    service: own.service,
    keyThumbprint: own.keyThumbprint,
    activeSessions: peers.length,
    messages,
    services: own.services,
    ...(providers === undefined ? {} : { discovery: providers.known() }),
    connectedServices: [...new Set(peers.map((peer) => peer.serviceId))],
    peers,
    memory: own.memory,
    sessions: { activeSessions: peers.length },
    metrics: { ...metrics, connections, messages: { ...messages } },
  };
}
