// The events of the mesh: rotations, breakers, ejections, refused peers, starts and ends.
import { useMemo, useState } from 'preact/hooks';
import type { MeshEvent } from '../contract/types';
import { serviceHref } from '../data/route';
import { meshNow, type State } from '../data/store';
import { useTail } from '../data/use-tail';
import { count, day } from '../figures/format';
import { Badge, Card, Nothing } from '../parts/card';
import { Clock } from '../parts/figure';
import { Filter } from '../parts/filter';
import { ReachField } from '../parts/reach';

const FIRST = 200;

/** The words for kinds, and their tones. */
const KINDS: Record<string, { name: string; tone: string }> = {
  rotation: { name: 'Rotation', tone: '' },
  breaker: { name: 'Breaker', tone: 'critical' },
  ejection: { name: 'Ejection', tone: 'warning' },
  refused: { name: 'Refused', tone: 'critical' },
  session: { name: 'Session', tone: '' },
  identity: { name: 'Identity', tone: '' },
  stall: { name: 'Stall', tone: 'warning' },
  start: { name: 'Start', tone: 'good' },
  drain: { name: 'Drain', tone: '' },
  instance: { name: 'Instance', tone: '' },
};

/** The timeline, newest first. */
export function Timeline({ state }: { state: State }) {
  const tail = useTail();
  const [text, setText] = useState('');
  const [kind, setKind] = useState('');
  const [shown, setShown] = useState(FIRST);
  const all = useMemo(
    () => merged(tail.events, state.events),
    [tail.events.length, tail.events[0], state.events],
  );
  const kinds = [...new Set(all.map((event) => event.kind))].sort().slice(0, 24);
  const words = text.trim().toLowerCase();
  const found = all.filter(
    (event) =>
      (kind === '' || event.kind === kind) &&
      `${event.service} ${event.subject} ${event.text}`.toLowerCase().includes(words),
  );
  return (
    <>
      <div class="headline">
        <h1>Timeline</h1>
        <p class="muted">Events of all services that report, newest first.</p>
      </div>
      <Card
        title="Events"
        note={`${count(found.length)} shown`}
        bare
        tools={
          <>
            <ReachField state={state} />
            <label class="select">
              <span class="hidden">Kind of event</span>
              <select value={kind} onChange={(event) => setKind(event.currentTarget.value)}>
                <option value="">All kinds</option>
                {kinds.map((name) => (
                  <option key={name} value={name}>
                    {KINDS[name]?.name ?? name}
                  </option>
                ))}
              </select>
            </label>
            <Filter label="Filter events" value={text} set={setText} />
          </>
        }
      >
        {found.length === 0 ? (
          <Nothing>
            {all.length === 0
              ? 'Nothing has happened since the history began.'
              : 'No event passes the filter.'}
          </Nothing>
        ) : (
          <Days events={found.slice(0, shown)} />
        )}
        {found.length > shown && (
          <button type="button" class="more" onClick={() => setShown(shown + FIRST)}>
            Show {count(Math.min(FIRST, found.length - shown))} more
          </button>
        )}
      </Card>
    </>
  );
}

function merged(live: readonly MeshEvent[], past: readonly MeshEvent[]): MeshEvent[] {
  const key = (event: MeshEvent): string =>
    [event.at, event.kind, event.service, event.subject, event.text].join('\n');
  const unique = new Map([...live, ...past].map((event) => [key(event), event]));
  return [...unique.values()].sort((a, b) => b.at - a.at);
}

function Days({ events }: { events: MeshEvent[] }) {
  const now = meshNow();
  const days = new Map<string, MeshEvent[]>();
  for (const event of events) days.set(day(event.at), [...(days.get(day(event.at)) ?? []), event]);
  return (
    <>
      {[...days].map(([date, list]) => (
        <section key={date} aria-label={date}>
          <h3 class="day">{date === day(now) ? 'Today' : date}</h3>
          <ol class="events">
            {list.map((event, i) => (
              <li key={`${event.at} ${i}`}>
                <Clock at={event.at} now={event.at} />
                <Badge tone={KINDS[event.kind]?.tone ?? ''}>
                  {KINDS[event.kind]?.name ?? event.kind}
                </Badge>
                <span class="event-text">
                  {event.service !== '' && (
                    <>
                      <a href={serviceHref(event.service)}>{event.service}</a>{' '}
                    </>
                  )}
                  {event.text}
                </span>
              </li>
            ))}
          </ol>
        </section>
      ))}
    </>
  );
}
