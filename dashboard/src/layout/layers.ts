// The places of services and the ways of edges between them: layers from left to right, callers first.
import { Graph, layout } from '@dagrejs/dagre';

/** A graph without its figures: places depend on who calls whom only, so that nothing moves with a rate. */
export interface Plan {
  /** Names of services. */
  nodes: string[];
  /** Indexes of caller and callee in `nodes`, and the calls since the start. */
  edges: [from: number, to: number, calls: number][];
  nodeWidth: number;
  nodeHeight: number;
  /** The width to fill, in pixels, if the layers allow it. */
  width: number;
}

export interface Placed {
  width: number;
  height: number;
  /** The left upper corner of each node. */
  places: [x: number, y: number][];
  /** The path of each edge, as SVG has it. */
  paths: string[];
}

type Point = { x: number; y: number };

/** Beyond so many edges the strongest of each service decide the layers; the rest are drawn between them. */
const MANY_EDGES = 120;
const MAX_GAP = 220;
const PAD = 8;

/** Computes the places. */
export function place(plan: Plan): Placed {
  const { nodes, nodeWidth, nodeHeight } = plan;
  const small = plan.edges.length <= MANY_EDGES;
  const graph = new Graph();
  graph.setGraph({
    rankdir: 'LR',
    nodesep: small ? 22 : 10,
    ranksep: small ? 84 : 110,
    edgesep: 14,
    marginx: PAD,
    marginy: PAD,
    ranker: small ? 'network-simplex' : 'tight-tree',
  });
  graph.setDefaultEdgeLabel(() => ({}));
  nodes.forEach((_, i) => graph.setNode(String(i), { width: nodeWidth, height: nodeHeight }));
  const ranked = small ? plan.edges : strongest(plan);
  for (const [from, to] of ranked) if (from !== to) graph.setEdge(String(from), String(to), {});
  layout(graph);

  const raw = nodes.map((_, i): Point => {
    const { x, y } = graph.node(String(i)) as Point;
    return { x, y };
  });
  const stretch = stretched(raw, plan);
  const places = raw.map((p): [number, number] => [
    Math.round(stretch(p.x) - nodeWidth / 2),
    Math.round(p.y - nodeHeight / 2),
  ]);
  let [right, bottom] = [0, 0];
  for (const [x, y] of places) {
    right = Math.max(right, x + nodeWidth);
    bottom = Math.max(bottom, y + nodeHeight);
  }
  const paths = plan.edges.map(([from, to]) => {
    const bends = (graph.edge(String(from), String(to)) as { points?: Point[] } | undefined)
      ?.points;
    // dagre puts a point for a label between two layers, and one for the way through each layer: the latter
    // are the odd ones between the ends.
    const through = (bends ?? []).slice(1, -1).filter((_, i) => i % 2 === 1);
    const points = through.flatMap((p) => {
      bottom = Math.max(bottom, p.y + 6);
      const [x, half] = [stretch(p.x), nodeWidth / 2];
      // Level along the whole layer, so that it passes between the services and not through them.
      const sides = [x - half, x + half].map((side) => ({ x: side, y: p.y }));
      return places[to]![0] >= places[from]![0] ? sides : sides.reverse();
    });
    return way(places[from]!, places[to]!, points, nodeWidth, nodeHeight);
  });
  return { width: right + PAD, height: Math.ceil(bottom) + PAD, places, paths };
}

/** For each service the strongest edge to it and from it: enough to say which layer it is in. */
function strongest(plan: Plan): Plan['edges'] {
  const into = new Map<number, Plan['edges'][number]>();
  for (const edge of plan.edges) {
    const best = into.get(edge[1]);
    if (best === undefined || edge[2] > best[2]) into.set(edge[1], edge);
  }
  const linked = new Set([...into.values()].flatMap(([from, to]) => [from, to]));
  const rest = plan.edges.filter(([from, to]) => !linked.has(from) && linked.add(from) && to >= 0);
  return [...into.values(), ...rest];
}

/** Returns the function that widens the gaps between layers until they fill the width. */
function stretched(points: readonly Point[], plan: Plan): (x: number) => number {
  const layers = [...new Set(points.map((p) => Math.round(p.x)))].sort((a, b) => a - b);
  const [first, last] = [layers[0] ?? 0, layers.at(-1) ?? 0];
  if (layers.length < 2) {
    // One layer stands in the middle of the width.
    const middle = Math.max(first, plan.width / 2);
    return (x) => x - first + middle;
  }
  const gaps = layers.length - 1;
  const wanted = Math.min(plan.width - 2 * PAD - plan.nodeWidth, gaps * (plan.nodeWidth + MAX_GAP));
  const scale = Math.max(1, wanted / (last - first));
  const left = Math.max(first, (plan.width - (last - first) * scale) / 2);
  return (x) => (x - first) * scale + left;
}

/** Draws an edge that is level at both ends and at each bend. */
function way(
  [fx, fy]: readonly [number, number],
  [tx, ty]: readonly [number, number],
  bends: readonly Point[],
  width: number,
  height: number,
): string {
  const mid = height / 2;
  if (fx === tx && fy === ty) return loop(fx, fy, width, height);
  const forward = tx >= fx;
  const start = { x: forward ? fx + width : fx, y: fy + mid };
  const end = { x: forward ? tx : tx + width, y: ty + mid };
  if (tx === fx) {
    // The same layer: a bow on the right side.
    end.x = start.x;
    const out = start.x + 40;
    return `M${start.x} ${start.y}C${out} ${start.y} ${out} ${end.y} ${end.x} ${end.y}`;
  }
  let path = `M${start.x} ${start.y}`;
  let from = start;
  for (const to of [...bends.filter((p) => inside(p.x, start.x, end.x)), end]) {
    const x = Math.round((from.x + to.x) / 2);
    path += `C${x} ${Math.round(from.y)} ${x} ${Math.round(to.y)} ${Math.round(to.x)} ${Math.round(to.y)}`;
    from = to;
  }
  return path;
}

const inside = (x: number, a: number, b: number): boolean =>
  x > Math.min(a, b) + 20 && x < Math.max(a, b) - 20;

function loop(x: number, y: number, width: number, height: number): string {
  const [right, top] = [x + width, y + height / 2];
  return `M${right} ${top - 8}c26 -14 26 30 0 16`;
}
