// Permitted and observed calls between services, and the weak points.
import { useMemo, useState } from 'preact/hooks';
import type { CertificateView, Denial, Problem } from '../contract/types';
import { serviceHref } from '../data/route';
import { meshNow } from '../data/store';
import { type Access, type Pair, pairs, type Protection, protections } from '../figures/access';
import { count, span } from '../figures/format';
import { ofExpiry } from '../figures/health';
import { type Mesh, subjects } from '../figures/mesh';
import { Badge, Card, Nothing } from '../parts/card';
import { Ago } from '../parts/figure';
import { Filter } from '../parts/filter';
import { Problems } from '../parts/problems';
import { type Column, Table } from '../parts/table';
import { Matrix, Sign, WORDS } from './matrix';

/** More services than these are listed in pairs: a matrix of them could not be read. */
const MATRIX_MAX = 24;

/** The kinds of problems that weaken the security of the mesh. */
const WEAK = new Set([
  'certificate-expiring',
  'key-expiring',
  'peer-refused',
  'policy-broken',
  'first-contact-trust',
  'secret-in-grace',
  'plaintext-listener',
  'key-directory',
]);

/** The view of security. */
export function Security({ mesh }: { mesh: Mesh }) {
  const now = meshNow();
  const { picture } = mesh;
  const weak = picture.problems.filter((problem: Problem) => WEAK.has(problem.kind));
  const found = useMemo(() => pairs(mesh), [picture]);
  const guarded = useMemo(() => protections(mesh), [picture]);
  const involved = new Set(found.flatMap((pair) => [pair.from, pair.to]));
  return (
    <>
      <div class="headline">
        <h1>Security</h1>
        <p class="muted">
          Policies and identities as the services report them, over the calls observed.
        </p>
      </div>
      <Card title="Weak points" bare>
        {weak.length === 0 ? (
          <Nothing>No service reports a weak point.</Nothing>
        ) : (
          <Problems problems={weak} about={subjects(picture)} now={now} />
        )}
      </Card>
      {involved.size > MATRIX_MAX ? (
        <PairList found={found} />
      ) : (
        <Card title="Who may call whom" note="callers on the left" bare>
          {found.length === 0 ? (
            <Nothing>No call and no rule yet.</Nothing>
          ) : (
            <Matrix pairs={found} />
          )}
        </Card>
      )}
      <Card title="Identity and policy by service" bare>
        <Table<Protection>
          caption="Services with their identity and policy"
          columns={protectionColumns(now)}
          rows={guarded}
          id={(p) => p.service.name}
          empty="No service reports itself."
        />
      </Card>
      <Denials mesh={mesh} now={now} />
    </>
  );
}

function PairList({ found }: { found: Pair[] }) {
  const [text, setText] = useState('');
  const [access, setAccess] = useState<Access | ''>('');
  const words = text.trim().toLowerCase();
  const rows = useMemo(
    () =>
      found.filter(
        (pair) =>
          (access === '' || pair.access === access) &&
          `${pair.from} ${pair.to}`.toLowerCase().includes(words),
      ),
    [found, words, access],
  );
  return (
    <Card
      title="Who may call whom"
      note={`${count(rows.length)} pairs`}
      bare
      tools={
        <>
          <label class="select">
            <span class="hidden">Kind of access</span>
            <select
              value={access}
              onChange={(event) => setAccess(event.currentTarget.value as Access | '')}
            >
              <option value="">All</option>
              {Object.entries(WORDS).map(([key, word]) => (
                <option key={key} value={key}>
                  {word}
                </option>
              ))}
            </select>
          </label>
          <Filter label="Filter services" value={text} set={setText} />
        </>
      }
    >
      <Table<Pair>
        caption="Pairs of services with a rule, a call or a denial"
        columns={PAIR_COLUMNS}
        rows={rows}
        id={(pair) => `${pair.from}\n${pair.to}`}
        empty="No pair passes the filter."
      />
    </Card>
  );
}

const PAIR_COLUMNS: Column<Pair>[] = [
  { key: 'from', title: 'Caller', by: (p) => p.from, cell: (p) => <Name name={p.from} /> },
  { key: 'to', title: 'Called', by: (p) => p.to, cell: (p) => <Name name={p.to} /> },
  {
    key: 'access',
    title: 'Access',
    by: (p) => p.access,
    cell: (p) => (
      <span class="named">
        <Sign access={p.access} />
        <span class="rank-2">{WORDS[p.access]}</span>
      </span>
    ),
  },
  {
    key: 'denied',
    title: 'Denied',
    right: true,
    rank: 3,
    by: (p) => p.denied,
    cell: (p) => <span class="num">{count(p.denied)}</span>,
  },
];

function Name({ name }: { name: string }) {
  return (
    <a class="clip" href={serviceHref(name)} title={name}>
      {name}
    </a>
  );
}

function protectionColumns(now: number): Column<Protection>[] {
  return [
    {
      key: 'name',
      title: 'Service',
      by: (p) => p.service.name,
      cell: (p) => <Name name={p.service.name} />,
    },
    { key: 'trust', title: 'Trust', by: (p) => p.modes.join(), cell: (p) => p.modes.join(', ') },
    {
      key: 'tls',
      title: 'Listener',
      rank: 2,
      by: (p) => Number(p.tls),
      cell: (p) =>
        p.tls ? <span class="muted">TLS</span> : <Badge tone="warning">plaintext</Badge>,
    },
    {
      key: 'policy',
      title: 'Policy',
      by: (p) => p.policy,
      cell: (p) => (
        <span class="badges">
          {p.policy === 'none' && <span class="muted">none: every caller may</span>}
          {p.policy === 'audit' && <Badge tone="warning">audits only</Badge>}
          {p.policy === 'enforce' && `${count(p.rules)} ${p.rules === 1 ? 'rule' : 'rules'}`}
          {p.problem !== undefined && (
            <Badge tone="critical" title={p.problem}>
              broken
            </Badge>
          )}
        </span>
      ),
    },
    {
      key: 'ends',
      title: 'Certificate ends in',
      right: true,
      rank: 2,
      by: (p) => p.certificate?.notAfter,
      cell: (p) => <Ends certificate={p.certificate} now={now} />,
    },
  ];
}

function Ends(props: { certificate: CertificateView | undefined; now: number }) {
  const { certificate, now } = props;
  if (certificate === undefined) return <span class="muted">no certificate</span>;
  const { notBefore, notAfter } = certificate;
  const health = ofExpiry(notBefore, notAfter, now);
  return (
    <span class={`num ${health === 'ok' ? '' : `tone-${health}`}`}>
      {notAfter > now ? span(notAfter - now) : 'expired'}
    </span>
  );
}

type Row = Denial & { to: string };

function Denials({ mesh, now }: { mesh: Mesh; now: number }) {
  const rows = [...mesh.services.values()]
    .flatMap((service) =>
      service.node.instances.flatMap((report) =>
        report.denials.map((denial): Row => ({ ...denial, to: service.name })),
      ),
    )
    .sort((a, b) => b.lastAt - a.lastAt);
  const columns: Column<Row>[] = [
    { key: 'caller', title: 'Caller', by: (d) => d.caller, cell: (d) => <Name name={d.caller} /> },
    {
      key: 'method',
      title: 'Tried',
      by: (d) => d.method,
      cell: (d) => (
        <span class="stack">
          <span class="mono clip">{d.method}</span>
          <span class="muted small">at {d.to}</span>
        </span>
      ),
    },
    {
      key: 'rule',
      title: 'Denied by',
      rank: 2,
      cell: (d) => (d.rule === '' ? <span class="muted">no rule allows it</span> : d.rule),
    },
    {
      key: 'count',
      title: 'Times',
      right: true,
      by: (d) => d.count,
      cell: (d) => <span class="num">{count(d.count)}</span>,
    },
    {
      key: 'last',
      title: 'Last',
      right: true,
      rank: 2,
      by: (d) => d.lastAt,
      cell: (d) => (
        <span>
          <Ago at={d.lastAt} now={now} />
          <span class="unit"> ago</span>
        </span>
      ),
    },
  ];
  const keys = new Map(rows.map((row, i) => [row, String(i)]));
  return (
    <Card title="Denied requests" bare>
      <Table
        caption="Denied requests, the last one first"
        columns={columns}
        rows={rows}
        id={(row) => keys.get(row)!}
        rowHeight={52}
        empty="No request has been denied."
      />
    </Card>
  );
}
