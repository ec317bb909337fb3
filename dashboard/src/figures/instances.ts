// The instances of a service: what each says of itself, beside what its callers see of it.
import type { Breaker, InstanceView, Report } from '../contract/types';
import type { Health } from './health';
import type { Mesh, Service } from './mesh';

export interface Instance {
  key: string;
  address: string;
  id: string | undefined;
  zone: string | undefined;
  report: Report | undefined;
  /** The views of callers, each with the service that has it. */
  seen: { by: string; view: InstanceView }[];
  weight: number | undefined;
  /** The largest that a caller measures. */
  ewmaMs: number | undefined;
  /** The mean of the callers' shares. */
  share: number | undefined;
  breaker: Breaker | undefined;
  ejectedUntil: number | undefined;
  source: string | undefined;
  ageMs: number | undefined;
  health: Health;
}

/** Returns the instances of a service, by address. `now` is the mesh's time. */
export function instances(mesh: Mesh, service: Service, now: number): Instance[] {
  const seen = views(mesh, service.name);
  const addresses = new Set(seen.map(({ view }) => view.address));
  const rows: Instance[] = [];
  const taken = new Set<number>();
  for (const report of service.node.instances) {
    const address = calledAt(report, service.node.instances, addresses);
    const own = seen.filter(({ view }, i) => {
      const same = view.instance === report.instance || view.address === address;
      if (same) taken.add(i);
      return same;
    });
    rows.push(instance(report.instance, report, own, now));
  }
  const rest = new Map<string, Instance['seen']>();
  seen.forEach((one, i) => {
    if (taken.has(i)) return;
    const key = one.view.instance ?? one.view.address;
    rest.set(key, [...(rest.get(key) ?? []), one]);
  });
  for (const [key, own] of rest) rows.push(instance(key, undefined, own, now));
  return rows.sort((a, b) => (a.address < b.address ? -1 : 1));
}

/**
 * Returns the address at which callers call a process. One that listens on every interface does not know it: its port
 * tells, where no other process and no other address of the service has the same.
 */
function calledAt(
  report: Report,
  all: readonly Report[],
  addresses: ReadonlySet<string>,
): string | undefined {
  const port = portOfAll(report);
  if (port === undefined || all.some((one) => one !== report && portOfAll(one) === port)) {
    return report.address;
  }
  const [first, ...others] = [...addresses].filter((address) => address.endsWith(`:${port}`));
  return first !== undefined && others.length === 0 ? first : report.address;
}

/** Returns the port of a process that listens on every interface. */
function portOfAll({ address = '' }: Report): string | undefined {
  return /^(?:\[::\]|0\.0\.0\.0):(\d+)$/.exec(address)?.[1];
}

function views(mesh: Mesh, name: string): Instance['seen'] {
  return mesh.picture.nodes.flatMap((node) =>
    node.instances.flatMap((report) =>
      report.instances
        .filter((view) => view.service === name)
        .map((view) => ({ by: node.service, view })),
    ),
  );
}

const BREAKERS: readonly Breaker[] = ['open', 'half-open', 'closed'];

function instance(
  key: string,
  report: Report | undefined,
  seen: Instance['seen'],
  now: number,
): Instance {
  const all = seen.map(({ view }) => view);
  const max = (values: (number | undefined)[]): number | undefined => {
    const known = values.filter((value) => value !== undefined);
    return known.length > 0 ? Math.max(...known) : undefined;
  };
  const ejectedUntil = max(all.map((view) => view.ejectedUntil));
  const breaker = BREAKERS.find((state) => all.some((view) => view.breaker === state));
  return {
    key,
    report,
    seen,
    address: all[0]?.address ?? report?.address ?? '–',
    id: report?.instance ?? all[0]?.instance,
    zone: report?.zone ?? all.find((view) => view.zone !== undefined)?.zone,
    weight: all[0]?.weight,
    ewmaMs: max(all.map((view) => view.ewmaMs)),
    share: all.length > 0 ? all.reduce((sum, view) => sum + view.share, 0) / all.length : undefined,
    breaker,
    ejectedUntil: ejectedUntil !== undefined && ejectedUntil > now ? ejectedUntil : undefined,
    source: all[0]?.source,
    ageMs: max(all.map((view) => view.ageMs)),
    health: health(report, breaker, ejectedUntil !== undefined && ejectedUntil > now),
  };
}

function health(
  report: Report | undefined,
  breaker: Breaker | undefined,
  ejected: boolean,
): Health {
  if (breaker === 'open') return 'critical';
  if (ejected || breaker === 'half-open') return 'warning';
  if (report === undefined) return breaker === undefined ? 'unknown' : 'ok';
  return report.state === 'ready' ? 'ok' : 'warning';
}
