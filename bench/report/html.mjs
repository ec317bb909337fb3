// The report as one self-contained page with its style and charts.
import { readFileSync } from 'node:fs';
import { bars, bullet, escape, ranges } from './charts.mjs';
import { bound, figure } from './numbers.mjs';
import { tables } from './tables.mjs';

const STYLE = readFileSync(new URL('style.css', import.meta.url), 'utf8');

const WORDS = {
  reached: '★ reached',
  met: '✓ met',
  short: '○ short',
  missed: '✗ missed',
  'not measured': 'not measured',
};

/** The page. */
export function htmlReport(report) {
  const { machine, suites, titles, targets, began, quick } = report;
  const sections = [
    targetSection(targets),
    suites.calls && callSection(suites.calls, titles),
    suites.pace && paceSection(suites.pace, titles),
    suites.streams && streamSection(suites.streams, titles),
    suites.crypto && cryptoSection(suites.crypto),
    suites.sessions && sessionSection(suites.sessions),
    tableSection(tables(suites, titles)),
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>secure-stack-mesh: benchmark of ${escape(began.slice(0, 10))}</title>
<style>
${STYLE}</style>
</head>
<body>
<header>
<p class="kicker">secure-stack-mesh ${escape(machine.version)}</p>
<h1>How fast it is, and beside what</h1>
<p>Two processes over loopback, the same JSON and the same bytes for everyone, all in one run; medians of interleaved rounds.${quick ? ' <strong>A quick run: good for a look, not for quoting.</strong>' : ''}</p>
${headline(targets)}
${machineList(machine, began)}
</header>
<main>
${sections.filter(Boolean).join('\n')}
</main>
</body>
</html>
`;
}

function headline(targets) {
  const tiles = targets
    .slice(0, 3)
    .filter(({ value }) => value !== null)
    .map(
      ({ value, what, state }) =>
        `<li class="${state}"><b>${figure(value)} ×</b><span>${escape(what.replace('Calls/s, 1 KiB × 64, against ', 'the calls a second of '))}</span></li>`,
    );
  return tiles.length === 0 ? '' : `<ul class="tiles">${tiles.join('')}</ul>`;
}

function machineList(machine, began) {
  const { cpu, cores, memoryGiB, kernel, arch, node, openssl, rustc, commit, loadBefore, peers } =
    machine;
  const facts = {
    Machine: `${cores} × ${cpu}, ${memoryGiB} GiB`,
    System: `${kernel}, ${arch}`,
    Software: `Node ${node}, OpenSSL ${openssl}, ${rustc}`,
    Peers: Object.entries(peers)
      .map(([name, version]) => `${name} ${version}`)
      .join(', '),
    Run: `${began.replace('T', ' ').slice(0, 16)} UTC, commit ${commit}, load before it ${loadBefore.join(', ')}`,
  };
  const rows = Object.entries(facts).map(
    ([term, fact]) => `<dt>${term}</dt><dd>${escape(fact)}</dd>`,
  );
  return `<dl class="machine">${rows.join('')}</dl>`;
}

function section(id, title, text, body) {
  return `<section aria-labelledby="${id}"><h2 id="${id}">${escape(title)}</h2>${text ? `<p>${text}</p>` : ''}${body}</section>`;
}

function targetSection(targets) {
  const rows = targets.map(
    (row) => `<tr class="${row.state.replace(' ', '-')}">
<th scope="row">${escape(row.what)}</th>
<td class="number">${row.value === null ? '–' : `${figure(row.value)} ${escape(row.unit)}`}</td>
<td class="chart">${bullet(row)}</td>
<td class="number">${escape(bound(row, row.must))}</td>
<td class="number">${escape(bound(row, row.reach))}</td>
<td class="state">${WORDS[row.state]}</td>
</tr>`,
  );
  return section(
    'targets',
    'Targets',
    'The solid line is what must be, the dashed one what is hoped for; further to the right is better.',
    `<div class="scroll"><table class="targets"><thead><tr><th scope="col">What</th><th scope="col">Measured</th><th scope="col"></th><th scope="col">Must</th><th scope="col">Reach for</th><th scope="col"></th></tr></thead><tbody>${rows.join('')}</tbody></table></div>`,
  );
}

const figureOf = (caption, chart) =>
  `<figure><figcaption>${escape(caption)}</figcaption>${chart}</figure>`;

function callSection(calls, titles) {
  const pick = (kind, size, inFlight) =>
    calls.filter((one) => one.kind === kind && one.size === size && one.inFlight === inFlight);
  const rate = (caption, list) =>
    figureOf(
      caption,
      bars(
        caption,
        'calls/s',
        list.map((one) => row(one, titles, { value: one.rate })),
      ),
    );
  const single = pick('json', 1024, 1);
  const many = pick('json', 1024, 64);
  const latency = (caption, list) =>
    figureOf(
      caption,
      ranges(
        caption,
        'ms',
        list.map((one) => row(one, titles, one)),
      ),
    );
  const cpu = bars(
    'CPU of a call, client and server together',
    'µs',
    many.map((one) => row(one, titles, { value: one.clientCpuUs + one.serverCpuUs })),
  );
  return section(
    'calls',
    'Calls',
    'As many as are answered, always so many in flight. Encrypted: this package, and whatever says TLS.',
    [
      rate('1 KiB of JSON, 64 in flight', many),
      rate('100 bytes of JSON, 64 in flight', pick('json', 100, 64)),
      rate('64 KiB of bytes, 64 in flight', pick('bytes', 65_536, 64)),
      latency('Time of a call, 1 KiB, one at a time: p50 ●, p99 ○, p99.9 |', single),
      latency('Time of a call, 1 KiB, 64 in flight', many),
      figureOf('CPU of a call, 1 KiB, 64 in flight, client and server together', cpu),
    ].join(''),
  );
}

const row = ({ peer }, titles, more) => ({ ...more, label: titles[peer], ours: peer === 'mesh' });

function paceSection(pace, titles) {
  const chart = ranges(
    'Time of a call at half of the peak rate',
    'ms',
    pace.map((one) => row(one, titles, one)),
  );
  return section(
    'pace',
    'Busy, but not overrun',
    'Calls of 1 KiB begun at half of each peer’s own peak rate, whether or not earlier ones are answered; times count from when a call was due.',
    figureOf('p50 ●, p99 ○, p99.9 |', chart),
  );
}

function streamSection(streams, titles) {
  const chart = (kind, caption) =>
    figureOf(
      caption,
      bars(
        caption,
        'items/s',
        streams
          .filter((one) => one.kind === kind)
          .map((one) => row(one, titles, { value: one.rate })),
      ),
    );
  return section(
    'streams',
    'Streams',
    'One stream at a time, 1 KiB of JSON an item.',
    chart('down', 'From the server') + chart('up', 'To the server'),
  );
}

function cryptoSection(crypto) {
  const rows = crypto
    .filter(({ node }) => node !== null)
    .flatMap(({ name, core, node }) => [
      { label: name, value: core, ours: true },
      { label: 'node:crypto', value: node, ours: false },
    ]);
  const chart = bars('Time of each part, core and node:crypto', 'µs', rows);
  return section(
    'crypto',
    'The parts',
    'The core in Rust, and the same work written with <code>node:crypto</code>.',
    figureOf('Each part beside its like', chart),
  );
}

function sessionSection({ growth }) {
  const chart = bars(
    'Calls a second by connected peers',
    'calls/s',
    growth.map(({ peers, rate }) => ({ label: `${peers} peers`, value: rate, ours: true })),
  );
  return section(
    'sessions',
    'Many peers',
    'Each with a session of its own and 64 calls in flight.',
    figureOf('Calls a second', chart),
  );
}

function tableSection(all) {
  const one = ({ heading, columns, rows }) => {
    const head = columns.map((column) => `<th scope="col">${escape(column)}</th>`).join('');
    const body = rows.map(
      ([first, ...rest]) =>
        `<tr><th scope="row">${escape(first)}</th>${rest.map((cell) => `<td class="number">${escape(cell)}</td>`).join('')}</tr>`,
    );
    return `<details><summary>${escape(heading)}</summary><div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${body.join('')}</tbody></table></div></details>`;
  };
  return section('tables', 'All figures', '', all.map(one).join(''));
}
