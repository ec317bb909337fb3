// Audit entries on the console.

import {
  auditLine,
  metricsLine,
  type MeshAuditEvent,
  type MonitoringAdapter,
} from './audit-event.js';

/** Prints audit entries and metrics, one line each, with characters escaped that could deceive a reader. */
export class ConsoleAdapter implements MonitoringAdapter {
  /** Prints an entry. */
  async logEvent(event: MeshAuditEvent): Promise<void> {
    console.log(`[MESH_AUDIT] ${auditLine(event)}`);
  }

  /** Prints metrics. */
  async logMetrics(metrics: any): Promise<void> {
    console.log(`[MESH_METRICS] ${metricsLine(metrics)}`);
  }
}
