// visualize

import { CommandError } from '../exits.js';
import type { Add, Surroundings } from '../runner.js';
import { oneLine } from '../text.js';
import { picture, type Edge, type Node, type Picture } from './documents.js';
import { ADMIN_OPTION, adminPort, type AdminOptions } from './port.js';

interface Options extends AdminOptions {
  format: string;
}

const FORMATS: Readonly<Record<string, (of: Picture) => string[]>> = { mermaid, dot };

export const addVisualize: Add = (program, runner) => {
  program
    .command('visualize')
    .description('draws who calls whom in the language of Mermaid or Graphviz')
    .option(...ADMIN_OPTION)
    .option('--format <format>', Object.keys(FORMATS).join(', '), 'mermaid')
    .action(runner<[]>(visualize));
};

async function visualize({ options, output }: Surroundings<Options>): Promise<void> {
  const draw = Object.hasOwn(FORMATS, options.format) ? FORMATS[options.format] : undefined;
  if (draw === undefined) {
    throw new CommandError(
      `--format must be one of ${Object.keys(FORMATS).join(', ')}; got ${JSON.stringify(options.format)}`,
      'Leave it out for Mermaid.',
    );
  }
  const port = await adminPort(options);
  const seen = picture(await port.document('api/v1/mesh'));
  const text = draw(seen).join('\n');
  output.document({ v: 1, format: options.format, text });
  output.line(text);
}

const isHearsay = ({ report }: Node): boolean => report !== 'self' && report !== 'direct';

/** Numbers by name: a name may hold anything. */
function numbered({ nodes, edges }: Picture): Map<string, number> {
  const names = [...nodes.map(({ service }) => service), ...edges.flatMap((e) => [e.from, e.to])];
  return new Map([...new Set(names)].map((name, i) => [name, i]));
}

/** Calls since the start, and the share of these that fails. */
function label({ figures: { total, failed } }: Edge): string {
  const calls = `${total} ${total === 1 ? 'call' : 'calls'}`;
  return failed > 0
    ? `${calls}, ${((failed / Math.max(1, total)) * 100).toFixed(1)} % fail`
    : calls;
}

/** A flowchart of Mermaid. Names are entities, so that none of them is its syntax. */
function mermaid(of: Picture): string[] {
  const ids = numbered(of);
  const quoted = (name: string): string =>
    oneLine(name).replaceAll(/[^A-Za-z0-9 .,:/_-]/gu, (c) => `#${c.codePointAt(0)};`);
  const hearsay = of.nodes.filter(isHearsay).map(({ service }) => `n${ids.get(service)}`);
  return [
    'flowchart LR',
    ...[...ids].map(([name, id]) => `  n${id}["${quoted(name)}"]`),
    ...of.edges.map(
      (edge) => `  n${ids.get(edge.from)} -->|"${quoted(label(edge))}"| n${ids.get(edge.to)}`,
    ),
    ...(hearsay.length === 0
      ? []
      : ['  classDef hearsay stroke-dasharray: 4 3', `  class ${hearsay.join(',')} hearsay`]),
  ];
}

/** A graph of Graphviz. */
function dot(of: Picture): string[] {
  const ids = numbered(of);
  const quoted = (text: string): string => `"${oneLine(text).replaceAll(/["\\]/g, '\\$&')}"`;
  const dashed = new Set(of.nodes.filter(isHearsay).map(({ service }) => service));
  return [
    'digraph mesh {',
    '  rankdir=LR; node [shape=box, style=rounded];',
    ...[...ids].map(([name, id]) => {
      const style = dashed.has(name) ? ', style="rounded,dashed"' : '';
      return `  n${id} [label=${quoted(name)}${style}];`;
    }),
    ...of.edges.map(
      (edge) => `  n${ids.get(edge.from)} -> n${ids.get(edge.to)} [label=${quoted(label(edge))}];`,
    ),
    '}',
  ];
}
