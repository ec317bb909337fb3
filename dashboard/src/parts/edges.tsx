// The edges of the topology, on canvases: thousands of curves are a picture that scrolls without being drawn
// again, and dimming them costs nothing.
import { useEffect, useRef, useState } from 'preact/hooks';
import { onTheme } from '../data/theme';
import { percent, plain } from '../figures/format';
import type { Health } from '../figures/health';
import type { MeshEdge } from '../figures/mesh';
import type { Stroke } from '../layout/strokes';
import { Canvas } from '../layout/worker';

interface Props {
  edges: readonly MeshEdge[];
  paths: readonly string[];
  width: number;
  height: number;
  /** The service whose edges are lit; '' for none. */
  focus: string;
  dense: boolean;
}

/** Draws the edges; below the services. */
export function Edges({ edges, paths, width, height, focus, dense }: Props) {
  const lit = edges.map(({ edge }) => focus !== '' && (edge.from === focus || edge.to === focus));
  const own = <T,>(all: readonly T[]): T[] => all.filter((_, i) => lit[i]);
  const size = { width, height };
  return (
    <>
      <Layer
        {...size}
        edges={edges}
        paths={paths}
        crowded={edges.length > CROWD}
        dim={focus !== ''}
      />
      {focus !== '' && <Layer {...size} edges={own(edges)} paths={own(paths)} crowded={false} />}
      {!dense &&
        edges.map((edge, i) =>
          edge.health === 'critical' || edge.health === 'warning' ? (
            <Label key={i} edge={edge} path={paths[i] ?? ''} />
          ) : null,
        )}
    </>
  );
}

/** From so many edges on they are thin and pale, except troubled ones. */
const CROWD = 120;
/** A canvas has at most so many pixels; a larger picture gets fewer for each of its own. */
const MAX_PIXELS = 12_000_000;

/** Colours by state, and dashes that tell the states apart without them. */
const STYLES: Record<Health, { color: string; dash: number[]; order: number }> = {
  unknown: { color: '--strong-line', dash: [2, 5], order: 0 },
  ok: { color: '--edge', dash: [], order: 1 },
  warning: { color: '--warn', dash: [], order: 2 },
  critical: { color: '--bad', dash: [9, 6], order: 3 },
};

interface LayerProps {
  edges: readonly MeshEdge[];
  paths: readonly string[];
  width: number;
  height: number;
  crowded: boolean;
  dim?: boolean;
}

function Layer({ edges, paths, width, height, crowded, dim }: LayerProps) {
  const element = useRef<HTMLCanvasElement>(null);
  const canvas = useRef<Canvas | undefined>(undefined);
  const last = useRef('');
  const [colors, setColors] = useState(0);
  useEffect(() => onTheme(() => setColors((n) => n + 1)), []);
  useEffect(() => () => canvas.current?.drop(), []);
  useEffect(() => {
    const sheet = {
      width,
      height,
      scale: Math.min(devicePixelRatio, Math.sqrt(MAX_PIXELS / Math.max(1, width * height))),
      strokes: strokes(getComputedStyle(element.current!), edges, paths, crowded),
    };
    // Most new pictures have other figures and look the same.
    const look = JSON.stringify(sheet);
    if (look === last.current) return;
    last.current = look;
    canvas.current ??= new Canvas(element.current!);
    canvas.current.paint(sheet);
  }, [edges, paths, width, height, crowded, colors]);
  return (
    <canvas
      ref={element}
      class={`edges ${dim ? 'dim' : ''}`}
      data-edges={edges.length}
      style={{ width: `${width}px`, height: `${height}px` }}
      aria-hidden="true"
    />
  );
}

function strokes(
  style: CSSStyleDeclaration,
  edges: readonly MeshEdge[],
  paths: readonly string[],
  crowded: boolean,
): Stroke[] {
  const colors = new Map(
    Object.values(STYLES).map(({ color }) => [color, style.getPropertyValue(color).trim()]),
  );
  return (
    edges
      .map((edge, i) => ({ edge, path: paths[i] ?? '', style: STYLES[edge.health] }))
      // Troubled edges lie above the others.
      .sort((a, b) => a.style.order - b.style.order)
      .map(({ edge, path, style: { color, dash, order } }): Stroke => {
        // Of thousands of curves the quiet ones are a background, whose dashes could not be told apart.
        const quiet = crowded && order < 2;
        return {
          path,
          color: colors.get(color)!,
          width: thickness(edge.now.rate) * (crowded ? 0.6 : 1),
          alpha: quiet ? 0.4 : 1,
          dash: quiet ? [] : dash,
        };
      })
  );
}

/** Returns one of seven widths, by the logarithm of the rate: 0.1 to 100,000 calls a second. */
function thickness(rate: number | undefined): number {
  if (rate === undefined || rate <= 0) return 1.25;
  const step = Math.round(Math.min(6, Math.max(0, Math.log10(rate) + 1)));
  return 1.5 + step * 1.1;
}

/** The share of failures, on the edge. */
function Label({ edge, path }: { edge: MeshEdge; path: string }) {
  const [x, y] = middle(path);
  const failing = edge.now.success === undefined ? undefined : 1 - edge.now.success;
  return (
    <span class={`edge-label ${edge.health}`} style={{ left: `${x}px`, top: `${y}px` }}>
      {plain(percent(failing))}
      <span class="hidden">
        {' '}
        of calls from {edge.edge.from} to {edge.edge.to} fail
      </span>
    </span>
  );
}

/** Returns a point near the middle of a path of cubic pieces: of its middle piece, or between the middle two. */
function middle(path: string): [number, number] {
  const numbers = (path.match(/-?\d+(?:\.\d+)?/g) ?? []).map(Number);
  const pieces = Math.floor((numbers.length - 2) / 6);
  const at = Math.floor(pieces / 2) * 6;
  if (pieces < 1 || pieces % 2 === 0) return [numbers[at] ?? 0, numbers[at + 1] ?? 0];
  const [x0, y0, x1, y1, x2, y2, x3, y3] = numbers.slice(at, at + 8);
  const mid = (a = 0, b = 0, c = 0, d = 0): number => (a + 3 * b + 3 * c + d) / 8;
  return [mid(x0, x1, x2, x3), mid(y0, y1, y2, y3)];
}
