// The state of the page that more than one view reads.
import { useEffect, useState } from 'preact/hooks';
import type { MeshEvent } from '../contract/types';
import type { Mesh } from '../figures/mesh';
import type { Pasts } from '../figures/past';
import { type Reach, REACHES } from '../figures/reach';
import type { Window } from '../figures/window';

/** Whether the admin port answers. */
export type Link =
  | { phase: 'loading' }
  | { phase: 'ok' }
  | { phase: 'denied' }
  | { phase: 'lost'; since: number; why: string };

export interface State {
  link: Link;
  /** The last picture; it stays when the admin port no longer answers. */
  mesh?: Mesh;
  window?: Window;
  pasts?: Pasts;
  /** How far back `pasts` goes. */
  reach: Reach;
  /** How much of the past the admin port keeps, in milliseconds. */
  spanMs: number;
  /** Says why the history could not be read; '' where it could. */
  pastProblem: string;
  events: MeshEvent[];
  /** The local time of the last picture, by `Date.now()`, and how far the mesh's clock is ahead of it. */
  readAt: number;
  clockAheadMs: number;
}

let state: State = {
  link: { phase: 'loading' },
  events: [],
  reach: REACHES[0],
  spanMs: 0,
  pastProblem: '',
  readAt: 0,
  clockAheadMs: 0,
};
const listeners = new Set<() => void>();

/** Returns the state now. */
export function current(): State {
  return state;
}

/** Changes members of the state and draws the views that read it. */
export function update(change: Partial<State>): void {
  state = { ...state, ...change };
  for (const listener of listeners) listener();
}

/** Returns the time by the clock of the process that serves the page, in epoch milliseconds. */
export function meshNow(): number {
  return Date.now() + state.clockAheadMs;
}

/** Returns the state, and draws the component again after each change. */
export function useStore(): State {
  const [, draw] = useState(0);
  useEffect(() => {
    const listener = (): void => draw((n) => n + 1);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, []);
  return state;
}
