// The report for a terminal.
import { bound, figure } from './numbers.mjs';
import { tables } from './tables.mjs';

const MARKS = { reached: '★', met: '✓', short: '○', missed: '✗', 'not measured': ' ' };

/** Formats columns as wide as their widest cell; all except the first are aligned to the right. */
function table({ heading, columns, rows }) {
  const all = [columns, ...rows];
  const widths = columns.map((_, column) => Math.max(...all.map((row) => row[column].length)));
  const line = (row) =>
    row
      .map((text, column) =>
        column === 0 ? text.padEnd(widths[0]) : text.padStart(widths[column]),
      )
      .join('  ')
      .trimEnd();
  return [heading, ...all.map((row) => `  ${line(row)}`), ''].join('\n');
}

/** The machine in a few lines. */
export function machineText(machine) {
  const { cpu, cores, memoryGiB, kernel, node, rustc, version, commit, loadBefore, peers } =
    machine;
  const versions = Object.entries(peers).map(([name, of]) => `${name} ${of}`);
  return [
    `${cores} × ${cpu}, ${memoryGiB} GiB, ${kernel}; load before: ${loadBefore.join(' ')}`,
    `secure-stack-mesh ${version} (${commit}), Node ${node}, ${rustc}`,
    versions.join(', '),
  ].join('\n');
}

/** The whole report; the targets are last. */
export function textReport({ machine, suites, titles, targets }) {
  const rows = targets.map((row) => [
    `${MARKS[row.state]} ${row.what}`,
    row.value === null ? 'not measured' : `${figure(row.value)} ${row.unit}`,
    bound(row, row.must),
    bound(row, row.reach),
  ]);
  const judged = {
    heading:
      'Targets (★ reached what is hoped for, ✓ met what must be, ○ short of what is hoped for, ✗ missed)',
    columns: ['', 'measured', 'must', 'reach for'],
    rows,
  };
  return [machineText(machine), '', ...tables(suites, titles).map(table), table(judged)].join('\n');
}
