// The thresholds, all in one place.
import type { Severity } from '../contract/types';

/** The state of a service or an edge. */
export type Health = 'critical' | 'warning' | 'ok' | 'unknown';

/** Below these shares of success an edge or a service is shown as degraded, or as failing. */
export const DEGRADED = 0.99;
export const FAILING = 0.95;
/** From this share of a limit on, its bar is shown as near. */
export const NEAR_LIMIT = 0.8;
/**
 * A certificate is shown as expiring from when either of these is left: a time, or a share of its whole time.
 * Those that live for hours are renewed in hours, so that a time alone would always warn.
 */
export const EXPIRING = { ms: 7 * 86_400_000, share: 0.4 };
/** From then on it is critical. */
export const EXPIRING_SOON = { ms: 86_400_000, share: 0.15 };

const ORDER: readonly Health[] = ['critical', 'warning', 'ok', 'unknown'];

/** Returns the state that a share of success stands for. */
export function ofSuccess(share: number | undefined): Health {
  if (share === undefined) return 'unknown';
  return share < FAILING ? 'critical' : share < DEGRADED ? 'warning' : 'ok';
}

/** Returns the state that a problem stands for; one that only informs leaves it alone. */
export function ofSeverity(severity: Severity): Health {
  return severity === 'info' ? 'ok' : severity;
}

/** Returns the worst of several states. */
export function worst(states: readonly Health[]): Health {
  return ORDER.find((state) => states.includes(state)) ?? 'unknown';
}

/** Compares two states, the worse one first. */
export function byHealth(a: Health, b: Health): number {
  return ORDER.indexOf(a) - ORDER.indexOf(b);
}

/** Returns the state of a certificate. */
export function ofExpiry(notBefore: number, notAfter: number, now: number): Health {
  const [left, all] = [notAfter - now, notAfter - notBefore];
  const within = ({ ms, share }: typeof EXPIRING): boolean => left < Math.min(ms, all * share);
  return left <= 0 || within(EXPIRING_SOON) ? 'critical' : within(EXPIRING) ? 'warning' : 'ok';
}

/** Returns the state of a limit. */
export function ofLimit(used: number, max: number): Health {
  if (max <= 0) return 'unknown';
  return used >= max ? 'critical' : used >= max * NEAR_LIMIT ? 'warning' : 'ok';
}
