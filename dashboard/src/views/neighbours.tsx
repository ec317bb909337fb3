// The callers of a service, or the services that it calls.
import { serviceHref } from '../data/route';
import { duration, percent, rate } from '../figures/format';
import type { MeshEdge, Service } from '../figures/mesh';
import { Card } from '../parts/card';
import { Num } from '../parts/figure';
import { Mark } from '../parts/icon';
import { type Column, Table } from '../parts/table';

type Side = 'callers' | 'callees';

const WORD = { caller: "the caller's word", callee: "the callee's word", both: '' } as const;

function columns(side: Side): Column<MeshEdge>[] {
  const other = (e: MeshEdge): string => (side === 'callers' ? e.edge.from : e.edge.to);
  return [
    {
      key: 'name',
      title: 'Service',
      by: other,
      cell: (e) => (
        <span class="named">
          <Mark health={e.health} />
          <a class="clip" href={serviceHref(other(e))} title={other(e)}>
            {other(e)}
          </a>
          {WORD[e.edge.by] !== '' && <span class="muted small rank-3">{WORD[e.edge.by]}</span>}
        </span>
      ),
    },
    {
      key: 'success',
      title: 'Success',
      right: true,
      by: (e) => e.now.success,
      cell: (e) => (
        <Num
          q={percent(e.now.success)}
          class={e.health === 'ok' || e.health === 'unknown' ? '' : `tone-${e.health}`}
        />
      ),
    },
    {
      key: 'rate',
      title: 'Calls',
      right: true,
      by: (e) => e.now.rate,
      cell: (e) => <Num q={rate(e.now.rate)} />,
    },
    {
      key: 'p95',
      title: 'p95',
      right: true,
      rank: 2,
      by: (e) => e.now.p95,
      cell: (e) => <Num q={duration(e.now.p95)} />,
    },
  ];
}

/** Lists one side. */
export function Neighbours(props: { title: string; service: Service; side: Side }) {
  const { title, service, side } = props;
  return (
    <Card title={title} bare>
      <Table
        caption={
          side === 'callers' ? 'Services that call this one' : 'Services that this one calls'
        }
        columns={columns(side)}
        rows={service[side].toSorted((a, b) => (b.now.rate ?? 0) - (a.now.rate ?? 0))}
        id={(e) => `${e.edge.from}\n${e.edge.to}`}
        empty={side === 'callers' ? 'Nothing calls this service.' : 'This service calls nothing.'}
      />
    </Card>
  );
}
