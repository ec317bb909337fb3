// The methods of a service.
import { count, duration, percent, rate } from '../figures/format';
import type { Method } from '../figures/methods';
import { Card } from '../parts/card';
import { Num } from '../parts/figure';
import { Mark } from '../parts/icon';
import { type Column, Table } from '../parts/table';

const COLUMNS: Column<Method>[] = [
  {
    key: 'name',
    title: 'Method',
    by: (m) => m.name,
    cell: (m) => (
      <span class="named">
        <Mark health={m.health} />
        <span class="clip mono" title={m.name}>
          {m.name}
        </span>
        {m.kind !== 'unary' && <span class="muted small">{m.kind}</span>}
      </span>
    ),
  },
  {
    key: 'success',
    title: 'Success',
    right: true,
    by: (m) => m.now.success,
    cell: (m) => (
      <Num
        q={percent(m.now.success)}
        class={m.health === 'ok' || m.health === 'unknown' ? '' : `tone-${m.health}`}
      />
    ),
  },
  {
    key: 'rate',
    title: 'Calls',
    right: true,
    by: (m) => m.now.rate,
    cell: (m) => <Num q={rate(m.now.rate)} />,
  },
  {
    key: 'p50',
    title: 'p50',
    right: true,
    rank: 3,
    by: (m) => m.now.p50,
    cell: (m) => <Num q={duration(m.now.p50)} />,
  },
  {
    key: 'p95',
    title: 'p95',
    right: true,
    rank: 2,
    by: (m) => m.now.p95,
    cell: (m) => <Num q={duration(m.now.p95)} />,
  },
  {
    key: 'p99',
    title: 'p99',
    right: true,
    rank: 3,
    by: (m) => m.now.p99,
    cell: (m) => <Num q={duration(m.now.p99)} />,
  },
  {
    key: 'codes',
    title: 'Failures since start',
    rank: 2,
    cell: (m) =>
      m.codes.length === 0 ? (
        <span class="muted">none</span>
      ) : (
        <span class="codes">
          {m.codes.slice(0, 3).map(([code, n]) => (
            <span key={code}>
              <span class="mono">{code}</span> <span class="num">{count(n)}</span>
            </span>
          ))}
        </span>
      ),
  },
];

/** Lists the methods. */
export function Methods({ rows }: { rows: Method[] }) {
  return (
    <Card title="Methods" bare>
      <Table
        caption="Methods with their success, rate and latency of the last 10 seconds"
        columns={COLUMNS}
        rows={rows}
        id={(m) => m.name}
        empty="Nothing has called a method here yet."
      />
    </Card>
  );
}
