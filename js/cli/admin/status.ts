// status

import { NO, OK } from '../exits.js';
import type { Output } from '../output.js';
import type { Add, Surroundings } from '../runner.js';
import { oneLine } from '../text.js';
import { figures, list, number, object, problems, text, type Problem } from './documents.js';
import { ADMIN_OPTION, adminPort, type AdminOptions } from './port.js';

export const addStatus: Add = (program, runner) => {
  program
    .command('status')
    .description('shows the state of a process and what is wrong; exits with 1 if that is critical')
    .option(...ADMIN_OPTION)
    .action(runner<[]>(status));
};

async function status({ options, output }: Surroundings<AdminOptions>): Promise<number> {
  const port = await adminPort(options);
  const report = await port.document<Record<string, unknown>>('api/v1/self');
  output.document(report);
  const found = problems(report['problems']);
  if (!output.json) show(report, found, output);
  return found.some(({ severity }) => severity === 'critical') ? NO : OK;
}

function show(report: Record<string, unknown>, found: Problem[], output: Output): void {
  const name = (member: string): string => oneLine(text(report[member]));
  const service = output.paint('bold', name('service'));
  output.line(`${service}, version ${name('version')}, ${name('state')}`);
  const line = (title: string, value: string): void => output.line(`  ${title.padEnd(10)}${value}`);
  const { at, startedAt } = report;
  line('since', `${duration(number(at) - number(startedAt))}, instance ${name('instance')}`);
  line('address', name('address') || 'none: it only calls');
  line('trust', name('mode'));
  line('sessions', String(list(report['sessions']).length));
  line('requests', counts(report['inbound']));
  line('calls', counts(report['outbound']));
  const { certificate } = object(report['identity']) as { certificate?: unknown };
  const ends = number(object(certificate)['notAfter']);
  if (ends > 0) line('certified', `until ${new Date(Math.min(ends, 8.64e15)).toISOString()}`);
  for (const problem of found) showProblem(problem, output);
  if (found.length === 0) output.line(output.paint('green', 'nothing is wrong'));
}

function showProblem({ severity, text: what, repair }: Problem, output: Output): void {
  const colour = severity === 'critical' ? 'red' : severity === 'warning' ? 'yellow' : 'grey';
  output.line(`${output.paint(colour, oneLine(severity).padEnd(8))}  ${oneLine(what)}`);
  if (repair !== '') output.line(`          repair: ${oneLine(repair)}`);
}

function counts(flows: unknown): string {
  const all = list(flows).map(figures);
  const sum = (of: 'total' | 'failed' | 'inFlight'): number =>
    all.reduce((so, flow) => so + flow[of], 0);
  return `${sum('total')}, of which ${sum('failed')} failed, ${sum('inFlight')} under way`;
}

/** A time in at most two units. */
function duration(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 120) return `${s} s`;
  const min = Math.floor(s / 60);
  if (min < 120) return `${min} min`;
  const h = Math.floor(min / 60);
  return h < 48 ? `${h} h ${min % 60} min` : `${Math.floor(h / 24)} d ${h % 24} h`;
}
