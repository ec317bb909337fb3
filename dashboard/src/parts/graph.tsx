// The topology: services in layers, edges as thick as their rate and drawn by their success.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { byTrouble, type Mesh, type MeshEdge } from '../figures/mesh';
import type { Placed, Plan } from '../layout/layers';
import { placeAside } from '../layout/worker';
import { Edges } from './edges';
import { GraphNode } from './graph-node';

/** So many services are drawn before the reader asks for all: the troubled and the busy ones. */
const FEW = 40;
const NODE = { width: 212, height: 52 };
const DENSE = { width: 150, height: 28 };

/** Draws the topology. Services whose name does not contain `filter` are dimmed. */
export function Graph({ mesh, filter }: { mesh: Mesh; filter: string }) {
  const [all, setAll] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const known = [...mesh.services.keys()].sort().join('\n');
  // Which ones are drawn is decided when services come or go, not at each new figure.
  const chosen = useMemo(() => choose(mesh, all), [known, all]);
  const services = chosen.filter((name) => mesh.services.has(name));
  const edges = mesh.edges.filter(
    (e) => chosen.includes(e.edge.from) && chosen.includes(e.edge.to),
  );
  const dense = services.length > FEW;
  const size = dense ? DENSE : NODE;
  const plan = usePlan(services, edges, size, width);
  const placed = usePlaced(plan);
  const [active, setActive] = useState('');
  const focus = services.includes(active) ? active : '';
  return (
    <div class="graph-box">
      <div class={`graph-scroll ${dense ? 'dense' : ''}`} ref={box}>
        {placed && placed.plan === plan ? (
          <Picture
            {...{ mesh, edges, services, size, filter }}
            placed={placed.placed}
            focus={focus}
            setFocus={setActive}
            dense={dense}
          />
        ) : (
          <p class="nothing" role="status">
            Placing {services.length} services…
          </p>
        )}
      </div>
      <Legend />
      {mesh.services.size > FEW && (
        <button type="button" class="more" onClick={() => setAll(!all)}>
          {all
            ? `Draw the ${FEW} troubled and busiest only`
            : `The ${FEW} troubled and busiest of ${mesh.services.size} services. Draw all`}
        </button>
      )}
    </div>
  );
}

function choose(mesh: Mesh, all: boolean): string[] {
  const services = [...mesh.services.values()];
  const kept = all ? services : services.toSorted(byTrouble).slice(0, FEW);
  return kept.map((service) => service.name).sort();
}

function usePlan(
  services: readonly string[],
  edges: readonly MeshEdge[],
  size: typeof NODE,
  width: number,
): Plan {
  const key = `${width}|${services.join('\n')}|${edges.map((e) => `${e.edge.from}\n${e.edge.to}`).join('|')}`;
  return useMemo(() => {
    const index = new Map(services.map((name, i) => [name, i]));
    return {
      nodes: [...services],
      edges: edges.map(({ edge }): [number, number, number] => [
        index.get(edge.from)!,
        index.get(edge.to)!,
        edge.figures.total,
      ]),
      nodeWidth: size.width,
      nodeHeight: size.height,
      width,
    };
  }, [key]);
}

function usePlaced(plan: Plan): { plan: Plan; placed: Placed } | undefined {
  const [done, setDone] = useState<{ plan: Plan; placed: Placed }>();
  useEffect(() => {
    if (plan.width === 0) return;
    let wanted = true;
    void placeAside(plan).then((placed) => {
      if (wanted) setDone({ plan, placed });
    });
    return () => {
      wanted = false;
    };
  }, [plan]);
  return done;
}

/** The width of a box, in steps, so that a scroll bar does not cause another layout. */
function useWidth(box: { current: HTMLElement | null }): number {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const measure = (): void => {
      // The observer may report once more after the view has gone.
      if (box.current === null) return;
      const { clientWidth } = box.current;
      const { paddingLeft, paddingRight } = getComputedStyle(box.current);
      const inner = clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight);
      setWidth(Math.max(20, Math.floor(inner / 20) * 20));
    };
    const observer = new ResizeObserver(measure);
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, []);
  return width;
}

interface PictureProps {
  mesh: Mesh;
  edges: readonly MeshEdge[];
  services: readonly string[];
  placed: Placed;
  size: typeof NODE;
  filter: string;
  dense: boolean;
  focus: string;
  setFocus: (service: string) => void;
}

function Picture(props: PictureProps) {
  const { mesh, edges, services, placed, size, filter, dense, focus, setFocus } = props;
  const [stop, setStop] = useState('');
  const near = useMemo(() => neighbours(edges, focus), [edges, focus]);
  const entry = services.includes(stop) ? stop : services[0];
  const move = (event: KeyboardEvent): void => {
    const from = services.indexOf(document.activeElement?.getAttribute('data-service') ?? '');
    const to = from < 0 ? -1 : nearest(placed.places, from, event.key);
    if (to < 0) return;
    event.preventDefault();
    const links = (event.currentTarget as HTMLElement).querySelectorAll<HTMLElement>('a.node');
    links[to]?.focus();
  };
  return (
    <div
      class={`graph ${focus === '' ? '' : 'focused'}`}
      role="group"
      aria-label="Topology. Arrow keys move between services."
      style={{ width: `${placed.width}px`, height: `${placed.height}px` }}
      onKeyDown={move}
    >
      <Edges {...placed} edges={edges} focus={focus} dense={dense} />
      {services.map((name, i) => (
        <GraphNode
          key={name}
          service={mesh.services.get(name)!}
          place={placed.places[i]!}
          size={size}
          dense={dense}
          stop={name === entry}
          dim={
            (filter !== '' && !name.toLowerCase().includes(filter)) ||
            (focus !== '' && !near.has(name))
          }
          onPoint={setFocus}
          onFocus={setStop}
        />
      ))}
    </div>
  );
}

function neighbours(edges: readonly MeshEdge[], focus: string): Set<string> {
  const near = new Set([focus]);
  for (const { edge } of edges) {
    if (edge.from === focus) near.add(edge.to);
    if (edge.to === focus) near.add(edge.from);
  }
  return near;
}

/** Returns the place that an arrow key leads to: the nearest in its direction, -1 for none. */
function nearest(places: readonly [number, number][], from: number, key: string): number {
  const axis = key === 'ArrowLeft' || key === 'ArrowRight' ? 0 : 1;
  const sign = key === 'ArrowRight' || key === 'ArrowDown' ? 1 : -1;
  if (!key.startsWith('Arrow')) return -1;
  let [best, least] = [-1, Infinity];
  places.forEach((place, i) => {
    const along = (place[axis] - places[from]![axis]) * sign;
    const across = Math.abs(place[1 - axis]! - places[from]![1 - axis]!);
    const far = along + across * 3;
    if (along > 4 && far < least) [best, least] = [i, far];
  });
  return best;
}

function Legend() {
  return (
    <p class="legend">
      <span>
        <i class="stroke ok" /> succeeding
      </span>
      <span>
        <i class="stroke warning" /> below 99 %
      </span>
      <span>
        <i class="stroke critical" /> below 95 %
      </span>
      <span>
        <i class="stroke unknown" /> no calls now
      </span>
      <span>
        <i class="frame" /> seen by others only
      </span>
      <span class="muted">Thickness: calls per second</span>
    </p>
  );
}
