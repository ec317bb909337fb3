// A tail of calls as they happen.
import { useState } from 'preact/hooks';
import type { Entry } from '../data/live';
import { meshNow } from '../data/store';
import { useTail } from '../data/use-tail';
import { count, duration } from '../figures/format';
import { Card } from '../parts/card';
import { Clock, Num } from '../parts/figure';
import { Filter } from '../parts/filter';
import { Mark } from '../parts/icon';
import { type Column, Table } from '../parts/table';

/** The tail. Pausing keeps what is shown; calls go on being received behind it. */
export function Live() {
  const tail = useTail();
  const [text, setText] = useState('');
  const [failures, setFailures] = useState(false);
  const [frozen, setFrozen] = useState<{ entries: Entry[]; received: number }>();
  const entries = frozen?.entries ?? tail.entries;
  const words = text.trim().toLowerCase();
  const rows = entries.filter((entry) => matches(entry, words, failures)).reverse();
  const behind = frozen === undefined ? 0 : tail.received - frozen.received;
  return (
    <>
      <div class="headline">
        <h1>Live</h1>
        <p class="muted">
          Calls as this process makes and answers them, without their payloads.{' '}
          <span role="status">{status(tail.connected, tail.received)}</span>
        </p>
      </div>
      <Card
        title="Calls"
        note={`${count(rows.length)} shown`}
        bare
        class="tall"
        tools={
          <>
            <label class="check">
              <input
                type="checkbox"
                checked={failures}
                onChange={(event) => setFailures(event.currentTarget.checked)}
              />
              Failures only
            </label>
            <button
              type="button"
              class="primary"
              aria-pressed={frozen !== undefined}
              onClick={() =>
                setFrozen(
                  frozen ? undefined : { entries: [...tail.entries], received: tail.received },
                )
              }
            >
              {frozen === undefined
                ? 'Pause'
                : `Go on${behind > 0 ? ` (${count(behind)} new)` : ''}`}
            </button>
            <Filter label="Filter calls" value={text} set={setText} />
          </>
        }
      >
        <Table<Entry>
          caption="Calls, newest first"
          columns={columns(meshNow())}
          rows={rows}
          id={(entry) => String(entry.id)}
          rowHeight={34}
          whole={(e) =>
            e.type === 'gap' ? <span class="gap-mark">{gap(e.missed)}</span> : undefined
          }
          empty={
            words !== '' || failures
              ? 'No call that was received passes the filter.'
              : 'No call has happened since this view was opened.'
          }
        />
      </Card>
    </>
  );
}

function status(connected: boolean, received: number): string {
  if (!connected) return received > 0 ? 'The stream is interrupted; trying again.' : 'Connecting…';
  return '';
}

function matches(entry: Entry, words: string, failures: boolean): boolean {
  if (entry.type === 'gap') return true;
  const { call } = entry;
  if (failures && call.code === 'OK') return false;
  if (words === '') return true;
  const all = `${call.peer} ${call.method} ${call.code} ${call.reason ?? ''} ${call.traceId ?? ''}`;
  return all.toLowerCase().includes(words);
}

function columns(now: number): Column<Entry>[] {
  return [
    {
      key: 'at',
      title: 'Time',
      cell: (e) => e.type === 'call' && <Clock at={e.call.at} now={now} />,
    },
    {
      key: 'peer',
      title: 'Peer',
      rank: 2,
      cell: (e) =>
        e.type === 'call' && (
          <span class="clip" title={e.call.peer}>
            <span class="muted">{e.call.direction === 'in' ? 'from' : 'to'}</span> {e.call.peer}
          </span>
        ),
    },
    {
      key: 'method',
      title: 'Method',
      cell: (e) =>
        e.type === 'call' && (
          <span class="clip mono" title={e.call.method}>
            {e.call.method}
          </span>
        ),
    },
    {
      key: 'code',
      title: 'Code',
      cell: (e) =>
        e.type === 'call' && (
          <span class="named">
            <Mark health={e.call.code === 'OK' ? 'ok' : 'critical'} quiet />
            <span class={e.call.code === 'OK' ? 'mono muted' : 'mono'}>{e.call.code}</span>
            {e.call.reason !== undefined && (
              <span class="mono muted small rank-2">{e.call.reason}</span>
            )}
          </span>
        ),
    },
    {
      key: 'ms',
      title: 'Time taken',
      right: true,
      rank: 2,
      cell: (e) => e.type === 'call' && <Num q={duration(e.call.ms)} />,
    },
    {
      key: 'trace',
      title: 'Trace',
      rank: 3,
      cell: (e) =>
        e.type === 'call' && (
          <span class="mono small muted clip-id" title={e.call.traceId}>
            {e.call.traceId ?? '–'}
          </span>
        ),
    },
  ];
}

function gap(missed: number): string {
  return `${count(missed)} calls are missing here: they came faster than the page reads`;
}
