// The instances of a service, as they and their callers see them.
import { useMemo } from 'preact/hooks';
import { duration, percent, span, type Quantity } from '../figures/format';
import { type Instance, instances } from '../figures/instances';
import type { Mesh, Service } from '../figures/mesh';
import { Badge, Card } from '../parts/card';
import { Num } from '../parts/figure';
import { Mark } from '../parts/icon';
import { type Column, Table } from '../parts/table';

const whole = (share: number | undefined): Quantity =>
  share === undefined ? percent(undefined) : { value: String(Math.round(share * 100)), unit: '%' };

function columns(now: number): Column<Instance>[] {
  return [
    {
      key: 'address',
      title: 'Address',
      by: (i) => i.address,
      cell: (i) => (
        <span class="named">
          <Mark health={i.health} />
          <span class="clip mono" title={i.id}>
            {i.address}
          </span>
        </span>
      ),
    },
    {
      key: 'state',
      title: 'State',
      cell: (i) => <States instance={i} now={now} />,
    },
    {
      key: 'ewma',
      title: 'Latency (EWMA)',
      right: true,
      by: (i) => i.ewmaMs,
      cell: (i) => <Num q={duration(i.ewmaMs)} />,
    },
    {
      key: 'share',
      title: 'Share of calls',
      right: true,
      rank: 2,
      by: (i) => i.share,
      cell: (i) => (
        <span class="bar-cell">
          <span class="bar" aria-hidden="true">
            <i style={{ width: `${Math.round((i.share ?? 0) * 100)}%` }} />
          </span>
          <Num q={whole(i.share)} />
        </span>
      ),
    },
    {
      key: 'weight',
      title: 'Weight',
      right: true,
      rank: 3,
      by: (i) => i.weight,
      cell: (i) => <span class="num">{i.weight ?? '–'}</span>,
    },
    {
      key: 'zone',
      title: 'Zone',
      rank: 3,
      by: (i) => i.zone,
      cell: (i) => i.zone ?? '–',
    },
    {
      key: 'source',
      title: 'Found by',
      rank: 3,
      by: (i) => i.source,
      cell: (i) => (
        <span>
          {i.source ?? '–'}
          {i.ageMs !== undefined && <span class="muted"> {span(i.ageMs)} ago</span>}
        </span>
      ),
    },
    {
      key: 'loop',
      title: 'Loop delay',
      right: true,
      rank: 3,
      by: (i) => i.report?.eventLoopDelayMs,
      cell: (i) => <Num q={duration(i.report?.eventLoopDelayMs)} />,
    },
  ];
}

function States({ instance, now }: { instance: Instance; now: number }) {
  const { breaker, ejectedUntil, report, seen } = instance;
  const by = seen.filter(({ view }) => view.breaker !== 'closed').map((one) => one.by);
  return (
    <span class="badges">
      {breaker === 'open' && (
        <Badge tone="critical">breaker open at {[...new Set(by)].join(', ')}</Badge>
      )}
      {breaker === 'half-open' && <Badge tone="warning">breaker half-open</Badge>}
      {ejectedUntil !== undefined && (
        <Badge tone="warning">ejected, {span(ejectedUntil - now)} left</Badge>
      )}
      {report !== undefined && report.state !== 'ready' && (
        <Badge tone="warning">{report.state}</Badge>
      )}
      {report === undefined && (
        <Badge tone="hearsay">
          seen by {[...new Set(seen.map((one) => one.by))].join(', ')} only
        </Badge>
      )}
      {report?.state === 'ready' &&
        breaker !== 'open' &&
        breaker !== 'half-open' &&
        ejectedUntil === undefined && <span class="muted">ready</span>}
    </span>
  );
}

/** Lists the instances. */
export function Instances(props: { mesh: Mesh; service: Service; now: number }) {
  const { mesh, service, now } = props;
  const rows = useMemo(() => instances(mesh, service, now), [mesh, service]);
  return (
    <Card title="Instances" note="latency and share as callers measure them" bare>
      <Table
        caption="Instances with their state, latency and share of calls"
        columns={columns(now)}
        rows={rows}
        id={(i) => i.key}
        empty="No caller knows an instance, and none has reported."
      />
    </Card>
  );
}
