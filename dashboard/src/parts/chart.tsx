// A chart over time, by uPlot. Colours come from the style sheet.
import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import { onTheme } from '../data/theme';
import { plain, type Quantity } from '../figures/format';

export interface Line {
  name: string;
  /** The name of a custom property of the style sheet, such as `--ok`. */
  color: string;
  values: readonly (number | null)[];
  /** Fills the area below. */
  area?: boolean;
  dash?: number[];
}

interface Props {
  title: string;
  /** Epoch milliseconds. */
  at: readonly number[];
  lines: Line[];
  format: (value: number | undefined) => Quantity;
}

const HEIGHT = 168;
const DAY_S = 86_400;

/** Draws lines over time, with their values at the pointer, or else the last ones, above. */
export function Chart({ title, at, lines, format }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | undefined>(undefined);
  const [index, setIndex] = useState<number | null>(null);
  const data = [at.map((ms) => ms / 1000), ...lines.map((line) => [...line.values])];
  const latest = useRef(data);
  latest.current = data;
  const names = lines.map((line) => line.name).join();

  useEffect(() => {
    const element = box.current!;
    const make = (): void => {
      chart.current?.destroy();
      chart.current = new uPlot(
        options(element, lines, format, setIndex),
        latest.current as uPlot.AlignedData,
        element,
      );
    };
    make();
    const observer = new ResizeObserver(() =>
      chart.current?.setSize({ width: element.clientWidth, height: HEIGHT }),
    );
    observer.observe(element);
    const end = onTheme(make);
    return () => {
      end();
      observer.disconnect();
      chart.current?.destroy();
    };
  }, [names]);

  useEffect(() => {
    chart.current?.setData(latest.current as uPlot.AlignedData);
  }, [at, lines.length]);

  const shown = index ?? at.length - 1;
  return (
    <figure class="chart">
      <figcaption>
        <span class="chart-title">{title}</span>
        <span class="chart-legend">
          {lines.map((line) => (
            <span key={line.name}>
              <i class="key" style={{ background: `var(${line.color})` }} />
              {line.name} <b class="num">{plain(format(line.values[shown] ?? undefined))}</b>
            </span>
          ))}
        </span>
      </figcaption>
      <div ref={box} class="plot" aria-hidden="true" />
    </figure>
  );
}

function options(
  element: HTMLElement,
  lines: readonly Line[],
  format: Props['format'],
  setIndex: (index: number | null) => void,
): uPlot.Options {
  const style = getComputedStyle(element);
  const color = (name: string): string => style.getPropertyValue(name).trim();
  const axis = {
    stroke: color('--muted'),
    font: `11px ${style.fontFamily}`,
    grid: { stroke: color('--line'), width: 1 },
    ticks: { show: false },
  };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
    padding: [8, 20, 0, 0],
    scales: { y: { range: (_, __, max) => [0, max > 0 ? max * 1.12 : 1] } },
    axes: [
      {
        ...axis,
        size: 26,
        gap: 4,
        space: 70,
        grid: { show: false },
        values: (_, seconds, __, ___, distance) =>
          seconds.map((second) => (distance >= DAY_S ? date(second) : hour(second))),
      },
      {
        ...axis,
        size: 58,
        gap: 6,
        space: 36,
        values: (_, values) => values.map((value) => plain(format(value))),
      },
    ],
    series: [
      {},
      ...lines.map((line) => ({
        label: line.name,
        stroke: color(line.color),
        width: 1.75,
        points: { show: false },
        ...(line.dash ? { dash: line.dash } : {}),
        ...(line.area ? { fill: `${color(line.color)}22` } : {}),
      })),
    ],
    hooks: { setCursor: [(plot) => setIndex(plot.cursor.idx ?? null)] },
  };
}

const two = (n: number): string => String(n).padStart(2, '0');

/** The time of day; a midnight is its date. */
function hour(seconds: number): string {
  const at = new Date(seconds * 1000);
  const [hours, minutes] = [at.getHours(), at.getMinutes()];
  return hours + minutes === 0 ? date(seconds) : `${two(hours)}:${two(minutes)}`;
}

function date(seconds: number): string {
  const at = new Date(seconds * 1000);
  return `${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}
