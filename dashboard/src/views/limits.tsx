// How near a service is to its limits.
import type { Limit, Report } from '../contract/types';
import { bytes, count, plain } from '../figures/format';
import { ofLimit } from '../figures/health';
import { Card, Nothing } from '../parts/card';

/** Shows the nearest instance for each limit. */
export function Limits({ reports }: { reports: Report[] }) {
  const nearest = new Map<string, { limit: Limit; report: Report }>();
  for (const report of reports) {
    for (const limit of report.limits) {
      const known = nearest.get(limit.name);
      if (known === undefined || share(limit) > share(known.limit)) {
        nearest.set(limit.name, { limit, report });
      }
    }
  }
  const rows = [...nearest.values()].sort((a, b) => share(b.limit) - share(a.limit));
  return (
    <Card title="Limits" note={reports.length > 1 ? 'the instance nearest to each' : undefined}>
      {rows.length === 0 && <Nothing>The service reports no limits.</Nothing>}
      <ul class="plain-list">
        {rows.map(({ limit, report }) => (
          <li key={limit.name} class="limit">
            <span class="limit-name">{limit.name}</span>
            <span class="num">
              {amount(limit, limit.used)}
              <span class="unit"> of {amount(limit, limit.max)}</span>
            </span>
            <span class="bar wide" aria-hidden="true">
              <i
                class={ofLimit(limit.used, limit.max)}
                style={{ width: `${Math.round(Math.min(1, share(limit)) * 100)}%` }}
              />
            </span>
            {ofLimit(limit.used, limit.max) !== 'ok' && (
              <span class="small muted">at {report.address ?? report.instance}</span>
            )}
          </li>
        ))}
      </ul>
    </Card>
  );
}

const share = (limit: Limit): number => (limit.max > 0 ? limit.used / limit.max : 0);

const amount = (limit: Limit, n: number): string =>
  limit.unit === 'bytes' ? plain(bytes(n)) : count(n);
