// The overview: what is wrong, who calls whom, and a table of the services.
import { useMemo, useState } from 'preact/hooks';
import { meshNow, type State } from '../data/store';
import { count, duration, percent, rate } from '../figures/format';
import { byTrouble, type Mesh, type Service, subjects } from '../figures/mesh';
import { Card, Facts } from '../parts/card';
import { Num } from '../parts/figure';
import { Filter } from '../parts/filter';
import { Graph } from '../parts/graph';
import { Problems } from '../parts/problems';
import { ReachField } from '../parts/reach';
import { Table } from '../parts/table';
import { serviceColumns } from './overview-columns';

/** The first view. */
export function Overview({ mesh, state }: { mesh: Mesh; state: State }) {
  const [text, setText] = useState('');
  const filter = text.trim().toLowerCase();
  const { picture } = mesh;
  const about = useMemo(() => subjects(picture), [picture]);
  const all = useMemo(() => [...mesh.services.values()].sort(byTrouble), [mesh]);
  const listed = useMemo(
    () => all.filter((service) => service.name.toLowerCase().includes(filter)),
    [all, filter],
  );
  return (
    <>
      <Headline mesh={mesh} />
      {picture.leftOut.map((sentence) => (
        <p key={sentence} class="left-out" role="status">
          {sentence}
        </p>
      ))}
      {picture.problems.length > 0 && (
        <Card title="What is wrong" bare>
          <Problems problems={picture.problems} about={about} now={meshNow()} />
        </Card>
      )}
      <Card
        title="Topology"
        note={`${count(mesh.services.size)} services, ${count(mesh.edges.length)} edges`}
        bare
      >
        <Graph mesh={mesh} filter={filter} />
      </Card>
      <Card
        title="Services"
        tools={
          <>
            <ReachField state={state} />
            <Filter label="Filter services" value={text} set={setText} />
          </>
        }
        bare
      >
        <Table<Service>
          caption="Services with their success, rate and latency of the last 10 seconds"
          columns={serviceColumns(state.pasts, state.reach)}
          rows={listed}
          id={(service) => service.name}
          empty={`No service has “${text.trim()}” in its name.`}
        />
      </Card>
    </>
  );
}

/** The state of the mesh in one sentence, with the figures of all of it. */
function Headline({ mesh }: { mesh: Mesh }) {
  const { problems } = mesh.picture;
  const critical = problems.filter((p) => p.severity === 'critical').length;
  const warnings = problems.filter((p) => p.severity === 'warning').length;
  const services = [...mesh.services.values()];
  const answering = services.filter((service) => service.node.report !== 'hearsay').length;
  const { total } = mesh;
  return (
    <div class="headline">
      <h1>{sentence(critical, warnings, services)}</h1>
      <Facts
        items={[
          {
            name: 'Services that report',
            value: (
              <span class="num">
                {answering}
                <span class="unit"> of {services.length}</span>
              </span>
            ),
          },
          { name: 'Calls', value: <Num q={rate(total.rate)} /> },
          { name: 'Success', value: <Num q={percent(total.success)} /> },
          { name: 'p50', value: <Num q={duration(total.p50)} /> },
          { name: 'p95', value: <Num q={duration(total.p95)} /> },
          { name: 'p99', value: <Num q={duration(total.p99)} /> },
        ]}
      />
    </div>
  );
}

function sentence(critical: number, warnings: number, services: readonly Service[]): string {
  const things = (n: number, one: string, many: string): string => `${n} ${n === 1 ? one : many}`;
  if (critical > 0 && warnings > 0) {
    return `${things(critical, 'critical problem', 'critical problems')}, ${things(warnings, 'warning', 'warnings')}`;
  }
  if (critical > 0) return things(critical, 'critical problem', 'critical problems');
  if (warnings > 0) return things(warnings, 'warning', 'warnings');
  const failing = services.filter(
    ({ health }) => health === 'critical' || health === 'warning',
  ).length;
  if (failing > 0) return `Calls fail at ${things(failing, 'service', 'services')}`;
  return 'Everything is well';
}
