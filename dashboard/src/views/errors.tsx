// The recent errors of a service.
import type { CallError, Report } from '../contract/types';
import { Card } from '../parts/card';
import { Clock } from '../parts/figure';
import { type Column, Table } from '../parts/table';

const SHOWN = 50;

function columns(now: number): Column<CallError>[] {
  return [
    {
      key: 'at',
      title: 'Time',
      rank: 2,
      by: (e) => e.at,
      cell: (e) => <Clock at={e.at} now={now} />,
    },
    {
      key: 'code',
      title: 'Code and reason',
      by: (e) => e.code,
      cell: (e) => (
        <span class="stack">
          <span class="mono">{e.code}</span>
          {e.reason !== undefined && <span class="mono muted small">{e.reason}</span>}
        </span>
      ),
    },
    {
      key: 'method',
      title: 'Method and peer',
      rank: 2,
      by: (e) => e.method,
      cell: (e) => (
        <span class="stack">
          <span class="mono">{e.method}</span>
          <span class="muted small">
            {e.direction === 'in' ? 'from' : 'to'} {e.peer}
          </span>
        </span>
      ),
    },
    {
      key: 'message',
      title: 'Message',
      cell: (e) => <span class="message-cell">{e.message}</span>,
    },
    {
      key: 'ids',
      title: 'Error and trace id',
      rank: 3,
      cell: (e) => (
        <span class="stack">
          <span class="mono small">{e.errorId ?? '–'}</span>
          <span class="mono small muted clip-id" title={e.traceId}>
            {e.traceId ?? 'no trace'}
          </span>
        </span>
      ),
    },
  ];
}

/** Lists the newest errors of all instances. */
export function Errors({ reports, now }: { reports: Report[]; now: number }) {
  const rows = reports
    .flatMap((report) =>
      report.errors.map((error, i) => ({ error, key: `${report.instance} ${i}` })),
    )
    .sort((a, b) => b.error.at - a.error.at)
    .slice(0, SHOWN);
  const keys = new Map(rows.map(({ error, key }) => [error, key]));
  return (
    <Card title="Recent errors" note={rows.length > 0 ? 'newest first' : undefined} bare>
      <Table
        caption="Recent errors, newest first"
        columns={columns(now)}
        rows={rows.map(({ error }) => error)}
        id={(e) => keys.get(e)!}
        empty="No call has failed since the start."
      />
    </Card>
  );
}
