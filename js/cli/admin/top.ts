// top

import { setTimeout as sleep } from 'node:timers/promises';
import { milliseconds } from '../arguments.js';
import { CommandError } from '../exits.js';
import type { Output } from '../output.js';
import type { Add, Surroundings } from '../runner.js';
import { oneLine } from '../text.js';
import { between, percentile, picture, type Figures, type Picture } from './documents.js';
import { ADMIN_OPTION, adminPort, type AdminOptions } from './port.js';

interface Options extends AdminOptions {
  interval: string;
  count?: string;
}

export const addTop: Add = (program, runner) => {
  program
    .command('top')
    .description('shows the calls of the whole mesh by service and method, until Ctrl-C')
    .option(...ADMIN_OPTION)
    .option('--interval <time>', 'the time between two tables', '2s')
    .option('--count <n>', 'tables before the end (default: 1 without a terminal)')
    .action(runner<[]>(top));
};

/** The calls of one method, of the time between two pictures. */
interface Row {
  from: string;
  to: string;
  method: string;
  perSecond: number;
  /** From 0 to 1; null without calls. */
  success: number | null;
  p50Ms: number | null;
  p95Ms: number | null;
  p99Ms: number | null;
  inFlight: number;
}

/** A terminal shows so many lines of each kind besides. */
const FRAME_LINES = 3;

async function top({ options, output }: Surroundings<Options>): Promise<void> {
  const interval = milliseconds('--interval', options.interval);
  const lives = process.stdout.isTTY && !output.json;
  const count = options.count === undefined ? (lives ? Infinity : 1) : countOf(options.count);
  const port = await adminPort(options);
  const look = async (): Promise<Picture> => picture(await port.document('api/v1/mesh'));
  let before = await look();
  for (let i = 0; i < count; i++) {
    await sleep(interval);
    const now = await look();
    const rows = rowsOf(before, now);
    output.document({ v: 1, at: now.at, observer: now.observer, rows });
    // The cursor goes home, and what is left of the former table goes away.
    if (lives) process.stdout.write('\u001b[H\u001b[J');
    show(now, rows, lives ? process.stdout.rows - FRAME_LINES : Infinity, output);
    before = now;
  }
}

function countOf(given: string): number {
  if (/^[1-9]\d{0,8}$/.test(given)) return Number(given);
  throw new CommandError(
    `--count must be a number above 0, got ${JSON.stringify(given)}`,
    'Leave it out to see tables until Ctrl-C.',
  );
}

/** The rows, the busiest first. */
export function rowsOf(before: Picture, now: Picture): Row[] {
  const key = (...names: string[]): string => names.join('\n');
  const known = new Map<string, Figures>();
  for (const { from, to, methods } of before.edges) {
    for (const flow of methods) known.set(key(from, to, flow.method), flow);
  }
  // A picture of a moment ago is shown again.
  const seconds = Math.max(0.001, (now.at - before.at) / 1000);
  const rows = now.edges.flatMap(({ from, to, methods }) =>
    methods.map((flow): Row => {
      const own = known.get(key(from, to, flow.method));
      const delta = between(own, flow);
      const of = (share: number): number | null => percentile(delta, share) ?? null;
      return {
        from,
        to,
        method: flow.method,
        perSecond: own === undefined ? 0 : delta.total / seconds,
        success: delta.total > 0 ? 1 - delta.failed / delta.total : null,
        p50Ms: of(0.5),
        p95Ms: of(0.95),
        p99Ms: of(0.99),
        inFlight: flow.inFlight,
      };
    }),
  );
  return rows.sort((a, b) => b.perSecond - a.perSecond || (a.to < b.to ? -1 : 1));
}

type Cell = (row: Row) => string;

const TEXT: [string, number, Cell][] = [
  ['FROM', 24, ({ from }) => from],
  ['TO', 24, ({ to }) => to],
  ['METHOD', 36, ({ method }) => method],
];
const NUMBERS: [string, number, Cell][] = [
  ['CALLS/S', 9, ({ perSecond }) => perSecond.toFixed(1)],
  ['SUCCESS', 9, ({ success }) => (success === null ? '-' : `${(success * 100).toFixed(1)} %`)],
  ['P50', 9, ({ p50Ms }) => ms(p50Ms)],
  ['P95', 9, ({ p95Ms }) => ms(p95Ms)],
  ['P99', 9, ({ p99Ms }) => ms(p99Ms)],
  ['RUNNING', 8, ({ inFlight }) => String(inFlight)],
];

function show(now: Picture, rows: Row[], most: number, output: Output): void {
  const shown = rows.slice(0, Math.max(1, most));
  const cells = shown.map((row) => TEXT.map(([, width, cell]) => cut(oneLine(cell(row)), width)));
  const widths = TEXT.map(([title], i) =>
    Math.max(title.length, ...cells.map((line) => line[i]?.length ?? 0)),
  );
  const title = [
    ...TEXT.map(([name], i) => name.padEnd(widths[i] ?? 0)),
    ...NUMBERS.map(([name, width]) => name.padStart(width)),
  ];
  output.line(output.paint('bold', title.join('  ')));
  shown.forEach((row, i) => {
    const texts = TEXT.map((_, at) => (cells[i]?.[at] ?? '').padEnd(widths[at] ?? 0));
    const line = [...texts, ...NUMBERS.map(([, width, cell]) => cell(row).padStart(width))];
    const bad = row.success !== null && row.success < 0.95;
    output.line(bad ? output.paint('red', line.join('  ')) : line.join('  '));
  });
  const left = rows.length - shown.length;
  if (left > 0) output.line(output.paint('grey', `and ${left} more`));
  if (rows.length === 0) output.line(`${oneLine(now.observer)} sees no calls yet`);
}

function cut(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

function ms(value: number | null): string {
  if (value === null) return '-';
  return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`;
}
