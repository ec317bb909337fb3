// The entries of the audit log, and the adapters that receive them.

import { invalidArgument } from '../base/arguments.js';
import { wrapNative } from '../base/errors.js';
import { native } from '../base/native.js';

/** One entry of the audit log. */
export interface MeshAuditEvent {
  /** Unique name. */
  id: string;
  /** The time of the event. */
  timestamp: Date;
  /** The type of the event: one of these words, or one that the application chooses. */
  eventType:
    | 'connection'
    | 'message'
    | 'key_rotation'
    | 'rate_limit'
    | 'circuit_breaker'
    | 'authorization'
    | 'error'
    | 'system'
    | (string & {});
  /** The service that reports it. */
  serviceId: string;
  /** The peer. */
  targetServiceId?: string;
  /** The outcome of the event. */
  details: {
    /** The action. */
    action?: string;
    /** Whether the action succeeded. */
    success: boolean;
    /** The duration in milliseconds. */
    duration?: number;
    /** The number of messages. */
    messageCount?: number;
    /** The cause of the failure. */
    error?: string;
    /** Further facts; never secrets. */
    metadata?: Record<string, any>;
  };
}

/** A receiver of audit entries and metrics. */
export interface MonitoringAdapter {
  /** Delivers an entry. Resolves when the entry is delivered, rejects if it cannot be. */
  logEvent(event: MeshAuditEvent): Promise<void>;
  /** Delivers metrics. */
  logMetrics?(metrics: any): Promise<void>;
  /** Delivers buffered entries. */
  flush?(): Promise<void>;
  /** Delivers buffered entries, and closes files and connections. */
  close?(): Promise<void>;
}

/** The lines of entries that adapters still hold. */
const lines = new WeakMap<MeshAuditEvent, string>();

/**
 * Formats an entry as one line of JSON. No content can end the line or deceive a reader on a terminal. Long
 * strings are cut.
 *
 * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: it is not an audit entry
 */
export function auditLine(event: MeshAuditEvent): string {
  return lines.get(event) ?? writeLine(event);
}

/**
 * Formats the line of an entry once for all adapters. {@link auditLine} returns this line from then on, even
 * if the entry's details change.
 *
 * @throws MeshError as {@link auditLine}
 */
export function keepLine(event: MeshAuditEvent): void {
  lines.set(event, writeLine(event));
}

function writeLine(event: MeshAuditEvent): string {
  let json: string;
  try {
    json = JSON.stringify(event);
  } catch (error) {
    throw invalidArgument(`the audit event cannot be written as JSON: ${(error as Error).message}`);
  }
  return wrapNative(() => native().auditLine(json));
}

/** Formats metrics and the time as one line of JSON, as {@link auditLine} does for entries. */
export function metricsLine(metrics: unknown): string {
  const escaped = (_key: string, value: unknown): unknown =>
    typeof value === 'string' ? native().escapeText(value) : value;
  return JSON.stringify(withTime(metrics), escaped);
}

/** Adds the current time to metrics. */
export function withTime(metrics: unknown): object {
  return { timestamp: new Date(), ...(metrics as object) };
}
