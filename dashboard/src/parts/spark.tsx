// A small line of the past.

/** A value is null where nobody looked. */
type Values = readonly (number | null)[];

const WIDTH = 120;
const HEIGHT = 24;

interface Paths {
  line: string;
  failing: string;
}

/** The paths of series that have been drawn; a series does not change. */
const drawn = new WeakMap<Values, Paths>();

/** Draws values from zero upwards; `marks` are drawn below as ticks where they are above zero. */
export function Spark({ values, marks }: { values: Values; marks: Values }) {
  if (values.length < 2) return <span class="num muted">–</span>;
  const { line, failing } = paths(values, marks);
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true">
      <path class="area" d={`${line}L${WIDTH} ${HEIGHT - 2}L0 ${HEIGHT - 2}Z`} />
      <path class="line" d={line} />
      {failing !== '' && <path class="fail" d={failing} />}
    </svg>
  );
}

function paths(values: Values, marks: Values): Paths {
  const known = drawn.get(values);
  if (known !== undefined) return known;
  const top = Math.max(...values.map((v) => v ?? 0), 1e-9);
  const x = (i: number): number => Math.round((i / (values.length - 1)) * WIDTH * 10) / 10;
  const y = (v: number): number => Math.round((HEIGHT - 3 - (v / top) * (HEIGHT - 5)) * 10) / 10;
  const made = {
    line: values.map((v, i) => `${i === 0 ? 'M' : 'L'}${x(i)} ${y(v ?? 0)}`).join(''),
    failing: marks
      .map((mark, i) => {
        const [v, all] = [mark ?? 0, values[i] ?? 0];
        return v > 0 && v >= all * 0.01 ? `M${x(i)} ${HEIGHT - 1}v-${tick(v, all)}` : '';
      })
      .join(''),
  };
  drawn.set(values, made);
  return made;
}

function tick(failures: number, rate: number): number {
  return Math.round(3 + Math.min(1, rate > 0 ? failures / rate : 1) * 16);
}
