// A service: what is wrong with it, its figures, and everything that it and others say of it.
import { useMemo } from 'preact/hooks';
import { meshNow, type State } from '../data/store';
import { duration, percent, rate, span } from '../figures/format';
import { methods } from '../figures/methods';
import { type Mesh, reports, type Service, subjects } from '../figures/mesh';
import { Badge, Card, Facts, Nothing } from '../parts/card';
import { Chart } from '../parts/chart';
import { Num } from '../parts/figure';
import { Mark } from '../parts/icon';
import { Problems, Repair } from '../parts/problems';
import { ReachField } from '../parts/reach';
import { Errors } from './errors';
import { Identity } from './identity';
import { Instances } from './instances';
import { Limits } from './limits';
import { Methods } from './methods';
import { seenBy } from './overview-columns';
import { Neighbours } from './neighbours';
import { Sessions } from './sessions';

interface Props {
  name: string;
  mesh: Mesh;
  state: State;
}

/** The view of one service. */
export function ServiceView({ name, mesh, state }: Props) {
  const service = mesh.services.get(name);
  if (service === undefined) {
    return (
      <div class="message">
        <h1>{name}</h1>
        <p>
          No service of this name is in the picture. It may have ended, or no longer be observable.
        </p>
        <p>
          <a href="#/">Back to the overview</a>
        </p>
      </div>
    );
  }
  return <Known service={service} mesh={mesh} state={state} />;
}

function Known({ service, mesh, state }: { service: Service; mesh: Mesh; state: State }) {
  const { name } = service;
  const now = meshNow();
  const past = state.pasts?.of(name);
  const rows = useMemo(() => methods(service, state.window), [service]);
  const own = reports(service);
  return (
    <>
      <Head service={service} now={now} />
      {service.problems.length > 0 && (
        <Card title="What is wrong" bare>
          <Problems
            problems={service.problems}
            about={subjects(mesh.picture)}
            now={now}
            on={name}
          />
        </Card>
      )}
      {past && past.at.length > 1 && (
        <Card
          title={`The last ${state.reach.name}`}
          tools={<ReachField state={state} />}
          note={service.basis === 'out' ? 'calls that it makes' : undefined}
        >
          <div class="charts">
            <Chart
              title="Calls"
              at={past.at}
              format={rate}
              lines={[
                { name: 'all', color: '--chart-1', values: past.rate, area: true },
                { name: 'failed', color: '--bad', values: past.failures, dash: [5, 3] },
              ]}
            />
            <Chart
              title="Latency"
              at={past.at}
              format={duration}
              lines={[
                { name: 'p50', color: '--chart-3', values: past.p50 },
                { name: 'p95', color: '--chart-1', values: past.p95 },
                { name: 'p99', color: '--chart-2', values: past.p99, dash: [2, 3] },
              ]}
            />
          </div>
        </Card>
      )}
      {state.pastProblem !== '' && (
        <p class="left-out" role="status">
          The history could not be read. {state.pastProblem} The page tries again in half a minute.
        </p>
      )}
      <Methods rows={rows} />
      <Instances mesh={mesh} service={service} now={now} />
      <div class="pair">
        <Neighbours title="Callers" service={service} side="callers" />
        <Neighbours title="Calls to" service={service} side="callees" />
      </div>
      {own.length === 0 ? (
        <Card title="Sessions, keys, limits and errors">
          <Nothing>
            {name} could not be asked
            {service.node.unreachable === undefined ? '' : `: ${service.node.unreachable}`}. Only
            the service itself knows these.
          </Nothing>
        </Card>
      ) : (
        <>
          <Errors reports={own} now={now} />
          <div class="pair">
            <Identity reports={own} now={now} />
            <Limits reports={own} />
          </div>
          <Sessions reports={own} now={now} />
        </>
      )}
    </>
  );
}

function Head({ service, now }: { service: Service; now: number }) {
  const { node, basis } = service;
  const own = reports(service);
  const figures = service.now;
  const unique = (values: (string | undefined)[]): string =>
    [...new Set(values.filter((value) => value !== undefined))].join(', ');
  const words = [
    own.length > 0 && `${own.length} ${own.length === 1 ? 'instance' : 'instances'}`,
    own.length > 0 && `version ${unique(own.map((report) => report.version))}`,
    own.length > 0 && `trust: ${unique(own.map((report) => report.mode))}`,
    own[0] && `started ${span(now - own[0].startedAt)} ago`,
  ].filter((word) => typeof word === 'string');
  return (
    <div class="headline">
      <nav class="crumb" aria-label="Way here">
        <a href="#/">Overview</a> <span aria-hidden="true">/</span> Service
      </nav>
      <h1 class="service-title">
        <Mark health={service.health} />
        <span class="clip" title={service.name}>
          {service.name}
        </span>
        {node.report === 'hearsay' && <Badge tone="hearsay">{seenBy(node.seenBy)}</Badge>}
        {own.some((report) => report.state !== 'ready') && (
          <Badge tone="warning">{unique(own.map((report) => report.state))}</Badge>
        )}
      </h1>
      <p class="muted">
        {words.join(' · ')}
        {node.unreachable !== undefined && (
          <span>This is what others say of it. It could not be asked: {node.unreachable}.</span>
        )}
      </p>
      <Repair text={node.repair} />
      <Facts
        items={[
          { name: basis === 'out' ? 'Calls made' : 'Calls', value: <Num q={rate(figures.rate)} /> },
          { name: 'Success', value: <Num q={percent(figures.success)} /> },
          { name: 'p50', value: <Num q={duration(figures.p50)} /> },
          { name: 'p95', value: <Num q={duration(figures.p95)} /> },
          { name: 'p99', value: <Num q={duration(figures.p99)} /> },
          { name: 'In flight', value: <span class="num">{figures.inFlight}</span> },
        ]}
      />
    </div>
  );
}
