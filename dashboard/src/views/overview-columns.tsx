// The columns of the table of services.
import { serviceHref } from '../data/route';
import { count, duration, percent, rate } from '../figures/format';
import { ofSuccess } from '../figures/health';
import type { Service } from '../figures/mesh';
import type { Pasts } from '../figures/past';
import type { Reach } from '../figures/reach';
import { Badge } from '../parts/card';
import { Num } from '../parts/figure';
import { Mark } from '../parts/icon';
import { Spark } from '../parts/spark';
import type { Column } from '../parts/table';

/** Returns the columns; the sparkline needs the past. */
export function serviceColumns(pasts: Pasts | undefined, reach: Reach): Column<Service>[] {
  return [
    {
      key: 'name',
      title: 'Service',
      by: (s) => s.name,
      cell: (s) => (
        <span class="named">
          <Mark health={s.health} />
          <a class="clip" href={serviceHref(s.name)} title={s.name}>
            {s.name}
          </a>
          <Word service={s} />
        </span>
      ),
    },
    {
      key: 'instances',
      title: 'Instances',
      right: true,
      rank: 3,
      by: (s) => s.node.instances.length,
      cell: (s) => <span class="num">{count(s.node.instances.length || undefined)}</span>,
    },
    {
      key: 'success',
      title: 'Success',
      right: true,
      by: (s) => s.now.success,
      cell: (s) => <Num q={percent(s.now.success)} class={tone(s)} />,
    },
    {
      key: 'rate',
      title: 'Calls',
      right: true,
      by: (s) => s.now.rate,
      cell: (s) => <Num q={rate(s.now.rate)} />,
    },
    {
      key: 'p50',
      title: 'p50',
      right: true,
      rank: 3,
      by: (s) => s.now.p50,
      cell: (s) => <Num q={duration(s.now.p50)} />,
    },
    {
      key: 'p95',
      title: 'p95',
      right: true,
      rank: 2,
      by: (s) => s.now.p95,
      cell: (s) => <Num q={duration(s.now.p95)} />,
    },
    {
      key: 'p99',
      title: 'p99',
      right: true,
      rank: 3,
      by: (s) => s.now.p99,
      cell: (s) => <Num q={duration(s.now.p99)} />,
    },
    {
      key: 'hour',
      title: `Calls, last ${reach.name}`,
      rank: 2,
      cell: (s) => {
        const past = pasts?.of(s.name);
        return <Spark values={past?.rate ?? []} marks={past?.failures ?? []} />;
      },
    },
  ];
}

/** Says whose word the row is, where it is not the service's own. */
function Word({ service }: { service: Service }) {
  const { node, basis } = service;
  if (node.report === 'hearsay') {
    return (
      <Badge tone="hearsay" title={node.unreachable ?? 'This service could not be asked.'}>
        {seenBy(node.seenBy)}
      </Badge>
    );
  }
  if (basis === 'out') return <Badge title="Figures of the calls that it makes">caller</Badge>;
  return null;
}

/** Says which services see another that does not report itself. */
export function seenBy(names: readonly string[]): string {
  const [first, ...rest] = names;
  if (first === undefined) return 'not seen';
  if (rest.length === 0) return `seen by ${first} only`;
  return `seen by ${first} and ${rest.length} more`;
}

function tone(service: Service): string {
  const health = ofSuccess(service.now.success);
  return health === 'critical' || health === 'warning' ? `tone-${health}` : '';
}
