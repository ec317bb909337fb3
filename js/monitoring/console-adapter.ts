// Audit entries on the console.

import {
  auditLine,
  metricsLine,
  type MeshAuditEvent,
  type MonitoringAdapter,
} from './audit-event.js';

/** Prints audit entries and metrics, a line each, with everything visible that could deceive a reader. */
export class ConsoleAdapter implements MonitoringAdapter {
  /** Prints an entry. */
  async logEvent(event: MeshAuditEvent): Promise<void> {
    console.log(`[MESH_AUDIT] ${auditLine(event)}`);
  }

  /** Prints figures. */
  async logMetrics(metrics: any): Promise<void> {
    console.log(`[MESH_METRICS] ${metricsLine(metrics)}`);
  }
}
