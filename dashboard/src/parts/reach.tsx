// The choice of how far back the page looks; nothing where there is only one.
import { chooseReach } from '../data/poll';
import type { State } from '../data/store';
import { kept, REACHES } from '../figures/reach';

/** A field with the choice. */
export function ReachField({ state }: { state: State }) {
  const reaches = kept(state.spanMs);
  if (reaches.length < 2) return null;
  const choose = (seconds: string): void =>
    chooseReach(REACHES.find((reach) => String(reach.seconds) === seconds) ?? REACHES[0]);
  return (
    <label class="select">
      <span class="hidden">How far back</span>
      <select
        value={String(state.reach.seconds)}
        onChange={(event) => choose(event.currentTarget.value)}
      >
        {reaches.map(({ seconds, name }) => (
          <option key={seconds} value={String(seconds)}>
            Last {name}
          </option>
        ))}
      </select>
    </label>
  );
}
