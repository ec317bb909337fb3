// The sessions of a service.
import type { Report, SessionView } from '../contract/types';
import { bytes, count } from '../figures/format';
import { Badge, Card } from '../parts/card';
import { Ago, Num } from '../parts/figure';
import { type Column, Table } from '../parts/table';

function columns(now: number): Column<SessionView>[] {
  return [
    {
      key: 'peer',
      title: 'Peer',
      by: (s) => s.peer,
      cell: (s) => (
        <span class="stack">
          <span class="clip" title={s.spiffeId ?? s.peer}>
            <span class="muted">{s.direction === 'in' ? 'from' : 'to'}</span> {s.peer}
          </span>
          <span class="mono small muted">{s.address}</span>
        </span>
      ),
    },
    { key: 'trust', title: 'Trust', by: (s) => s.trust, cell: (s) => <span>{s.trust}</span> },
    {
      key: 'suite',
      title: 'Suite',
      rank: 3,
      by: (s) => s.suite,
      cell: (s) => <span class="small mono">{s.suite}</span>,
    },
    {
      key: 'age',
      title: 'Age',
      right: true,
      rank: 2,
      by: (s) => now - s.openedAt,
      cell: (s) => <Ago at={s.openedAt} now={now} />,
    },
    {
      key: 'epoch',
      title: 'Epoch',
      right: true,
      rank: 3,
      by: (s) => s.epoch,
      cell: (s) => (
        <span class="num" title={s.resumed ? 'resumed' : 'full handshake'}>
          {count(s.epoch)}
        </span>
      ),
    },
    {
      key: 'streams',
      title: 'Streams',
      right: true,
      rank: 2,
      by: (s) => s.streams,
      cell: (s) => <span class="num">{count(s.streams)}</span>,
    },
    {
      key: 'unsent',
      title: 'Unsent',
      right: true,
      rank: 3,
      by: (s) => s.unsentBytes,
      cell: (s) => (
        <span>
          {s.stalled > 0 && <Badge tone="warning">{count(s.stalled)} stalled</Badge>}{' '}
          <Num q={bytes(s.unsentBytes)} />
        </span>
      ),
    },
    {
      key: 'resumed',
      title: 'Opened by',
      rank: 3,
      cell: (s) => <span class="muted">{s.resumed ? 'resumption' : 'handshake'}</span>,
    },
  ];
}

/** Lists the sessions of all instances. */
export function Sessions({ reports, now }: { reports: Report[]; now: number }) {
  const keys = new Map<SessionView, string>();
  for (const report of reports) {
    report.sessions.forEach((session, i) => keys.set(session, `${report.instance} ${i}`));
  }
  return (
    <Card title="Sessions" note={`${count(keys.size)} open`} bare>
      <Table
        caption="Open sessions"
        columns={columns(now)}
        rows={[...keys.keys()]}
        id={(s) => keys.get(s)!}
        rowHeight={52}
        empty="No session is open."
      />
    </Card>
  );
}
