// The times that the past of the page may span, and the distance of its points.

/** How far back the page looks. */
export interface Reach {
  seconds: number;
  /** As in "The last hour". */
  name: string;
  /** Seconds between two points; in a mesh with many edges they are further apart. */
  step: number;
  wideStep: number;
}

const HOUR = 3600;

/** The shortest first. The admin port keeps the longer ones where it has a directory for them. */
export const REACHES: readonly [Reach, ...Reach[]] = [
  { seconds: HOUR, name: 'hour', step: 10, wideStep: 60 },
  { seconds: 24 * HOUR, name: '24 hours', step: 300, wideStep: 900 },
  { seconds: 7 * 24 * HOUR, name: '7 days', step: 1800, wideStep: HOUR },
];

/** Returns those of which the admin port keeps the history. */
export function kept(spanMs: number): readonly Reach[] {
  return REACHES.filter(({ seconds }) => seconds * 1000 <= spanMs);
}
