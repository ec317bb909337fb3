// Entries of an audit log.
import type { MeshAuditEvent } from '../../js/index.js';

/** An entry, as it would be logged. */
export function event(extra: Partial<MeshAuditEvent> = {}): MeshAuditEvent {
  return {
    id: 'e1',
    timestamp: new Date(1_800_000_000_000),
    eventType: 'connection',
    serviceId: 'orders',
    targetServiceId: 'stock',
    details: { success: true },
    ...extra,
  };
}

/** A text that would be another entry if it were written as it is. */
export const FORGED = 'no\n{"eventType":"system","forged":true}\u001b[2J\u2028';
