// Numbers with their units, and times.
import type { Quantity } from '../figures/format';
import { clock, span } from '../figures/format';

/** A number with its unit. */
export function Num({ q, class: name = '' }: { q: Quantity; class?: string }) {
  return (
    <span class={`num ${name}`}>
      {q.value}
      {q.unit !== '' && <span class="unit"> {q.unit}</span>}
    </span>
  );
}

/** How long ago a moment was; the moment itself in its tooltip. */
export function Ago({ at, now }: { at: number; now: number }) {
  if (at <= 0) return <span class="num">–</span>;
  return (
    <time class="num" dateTime={new Date(at).toISOString()} title={clock(at, now)}>
      {span(now - at)}
    </time>
  );
}

/** A time of day. */
export function Clock({ at, now }: { at: number; now: number }) {
  if (at <= 0) return <span class="num">–</span>;
  return (
    <time class="num" dateTime={new Date(at).toISOString()}>
      {clock(at, now)}
    </time>
  );
}
