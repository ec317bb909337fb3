// What an audit log holds, and where it goes.

import { invalidArgument } from '../base/arguments.js';
import { wrapNative } from '../base/errors.js';
import { native } from '../base/native.js';

/** One entry of the audit log. */
export interface MeshAuditEvent {
  /** Unique name. */
  id: string;
  /** When it happened. */
  timestamp: Date;
  /** What it is about: one of these words, or any other of the application's. */
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
  /** The other side. */
  targetServiceId?: string;
  /** How it went. */
  details: {
    /** What was done. */
    action?: string;
    /** Whether it succeeded. */
    success: boolean;
    /** How long it took, in milliseconds. */
    duration?: number;
    /** How many messages. */
    messageCount?: number;
    /** Why it failed. */
    error?: string;
    /** Further facts; never secrets. */
    metadata?: Record<string, any>;
  };
}

/** Where audit entries and metrics go. */
export interface MonitoringAdapter {
  /** Delivers an entry: resolves when it is delivered, rejects when it cannot be. */
  logEvent(event: MeshAuditEvent): Promise<void>;
  /** Delivers figures. */
  logMetrics?(metrics: any): Promise<void>;
  /** Delivers whatever it still holds. */
  flush?(): Promise<void>;
  /** Delivers whatever it still holds, and lets go of files and connections. */
  close?(): Promise<void>;
}

/** The lines of entries that adapters still have. */
const lines = new WeakMap<MeshAuditEvent, string>();

/**
 * An entry as one line of JSON: nothing in it can end the line, or deceive
 * whoever reads it on a terminal. Long texts are cut.
 *
 * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: it is no audit entry
 */
export function auditLine(event: MeshAuditEvent): string {
  return lines.get(event) ?? writeLine(event);
}

/**
 * Writes the line of an entry once for all adapters. {@link auditLine} returns it from then on,
 * whatever becomes of the entry's details.
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

/** Figures as one line of JSON, with the time, as {@link auditLine}. */
export function metricsLine(metrics: unknown): string {
  const escaped = (_key: string, value: unknown): unknown =>
    typeof value === 'string' ? native().escapeText(value) : value;
  return JSON.stringify(withTime(metrics), escaped);
}

/** Figures with the time they are of. */
export function withTime(metrics: unknown): object {
  return { timestamp: new Date(), ...(metrics as object) };
}
