// Entries of an audit log.
import type { MeshAuditEvent } from '../../js/index.js';

/** An audit entry. */
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

/** A string that would be a second entry if it were written unescaped. */
export const FORGED = 'no\n{"eventType":"system","forged":true}\u001b[2J\u2028';
