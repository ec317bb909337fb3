// The targets in the form of docs/performance.md.
import { bound, figure } from './numbers.mjs';
import { machineText } from './text.mjs';

const WORDS = {
  reached: 'reached',
  met: 'met',
  short: 'short',
  missed: '**missed**',
  'not measured': '',
};

/** The machine in a block, then the table. */
export function markdownTargets({ machine, targets, began, quick }) {
  const rows = targets.map((row) => [
    row.what,
    row.value === null ? 'not measured' : `${figure(row.value)} ${row.unit}`,
    bound(row, row.must),
    bound(row, row.reach),
    WORDS[row.state],
  ]);
  const lines = [
    `${began.slice(0, 10)}${quick ? ', `--quick`' : ''}:`,
    '',
    '```',
    machineText(machine),
    '```',
    '',
    '| what | measured | must | reach for | |',
    '|---|--:|--:|--:|---|',
    ...rows.map((row) => `| ${row.join(' | ')} |`),
  ];
  return `${lines.join('\n')}\n`;
}
