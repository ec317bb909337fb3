// A table that sorts, and that draws only the rows in sight when there are many.
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';

export interface Column<T> {
  key: string;
  title: string;
  /** Numbers stand on the right. */
  right?: boolean;
  /** 2 and 3 disappear on narrow screens, 3 first. */
  rank?: 1 | 2 | 3;
  /** The value by which the column sorts; a column without one does not. */
  by?: (row: T) => number | string | undefined;
  cell: (row: T) => ComponentChildren;
}

interface Props<T> {
  /** Says what the table lists; for those who cannot see it. */
  caption: string;
  columns: Column<T>[];
  rows: readonly T[];
  id: (row: T) => string;
  empty: ComponentChildren;
  /** The content of a row that has one cell only; undefined for a row with all of them. */
  whole?: (row: T) => ComponentChildren;
  /** The height of a row, in pixels. */
  rowHeight?: number;
}

/** From so many rows on only those in sight are drawn. */
const MANY = 60;
/** Rows are drawn in blocks, so that scrolling draws once for each block and not for each row. */
const BLOCK = 10;

type Order = { key: string; down: boolean };

/** Draws the table. */
export function Table<T>(props: Props<T>) {
  const [order, setOrder] = useState<Order | undefined>();
  const rows = useMemo(() => sorted(props, order), [props.rows, order]);
  if (rows.length === 0) return <p class="nothing">{props.empty}</p>;
  return (
    <Scroller count={rows.length} rowHeight={props.rowHeight ?? 40} label={props.caption}>
      {(from, to, before, after) => (
        <table aria-rowcount={rows.length + 1} style={{ '--row': `${props.rowHeight ?? 40}px` }}>
          <caption class="hidden">{props.caption}</caption>
          <thead>
            <tr aria-rowindex={1}>
              {props.columns.map((column) => (
                <Head key={column.key} column={column} order={order} set={setOrder} />
              ))}
            </tr>
          </thead>
          <tbody>
            {before > 0 && <Gap height={before} columns={props.columns.length} />}
            {rows.slice(from, to).map((row, i) => (
              <tr key={props.id(row)} aria-rowindex={from + i + 2}>
                <Cells {...props} row={row} />
              </tr>
            ))}
            {after > 0 && <Gap height={after} columns={props.columns.length} />}
          </tbody>
        </table>
      )}
    </Scroller>
  );
}

const classes = (column: { right?: boolean; rank?: number }): string =>
  `${column.right ? 'right' : ''} rank-${column.rank ?? 1}`;

function Cells<T>({ columns, whole, row }: Props<T> & { row: T }) {
  const content = whole?.(row);
  if (content !== undefined) return <td colSpan={columns.length}>{content}</td>;
  return (
    <>
      {columns.map((column, c) => (
        <Cell key={column.key} column={column} row={row} head={c === 0} />
      ))}
    </>
  );
}

function Cell<T>({ column, row, head }: { column: Column<T>; row: T; head: boolean }) {
  const content = column.cell(row);
  if (!head) return <td class={classes(column)}>{content}</td>;
  return (
    <th scope="row" class={classes(column)}>
      {content}
    </th>
  );
}

function Gap({ height, columns }: { height: number; columns: number }) {
  return (
    <tr class="gap" aria-hidden="true">
      <td colSpan={columns} style={{ height: `${height}px` }} />
    </tr>
  );
}

function Head<T>(props: {
  column: Column<T>;
  order: Order | undefined;
  set: (order: Order | undefined) => void;
}) {
  const { column, order } = props;
  const own = order?.key === column.key ? order : undefined;
  const state = own === undefined ? 'none' : own.down ? 'descending' : 'ascending';
  if (column.by === undefined) {
    return (
      <th scope="col" class={classes(column)}>
        {column.title}
      </th>
    );
  }
  // Numbers begin with the largest, words with the first; a third click gives the order back.
  const first = column.right === true;
  const next =
    own === undefined
      ? { key: column.key, down: first }
      : own.down === first
        ? { key: column.key, down: !first }
        : undefined;
  return (
    <th scope="col" class={classes(column)} aria-sort={state}>
      <button type="button" class="sort" onClick={() => props.set(next)}>
        {column.title}
        <span class="arrow" aria-hidden="true">
          {own === undefined ? '' : own.down ? '↓' : '↑'}
        </span>
      </button>
    </th>
  );
}

function sorted<T>(props: Props<T>, order: Order | undefined): readonly T[] {
  const by = props.columns.find((column) => column.key === order?.key)?.by;
  if (order === undefined || by === undefined) return props.rows;
  const sign = order.down ? -1 : 1;
  return props.rows.toSorted((a, b) => {
    const [x, y] = [by(a), by(b)];
    // Unknown figures are last in either order.
    if (x === undefined || y === undefined)
      return Number(x === undefined) - Number(y === undefined);
    return sign * (x < y ? -1 : x > y ? 1 : 0);
  });
}

/** A box that scrolls sideways if it must, and downwards where there are many rows. */
function Scroller(props: {
  count: number;
  rowHeight: number;
  label: string;
  children: (from: number, to: number, before: number, after: number) => ComponentChildren;
}) {
  const { count, rowHeight } = props;
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 600 });
  const many = count > MANY;
  useLayoutEffect(() => {
    if (many && box.current)
      setView({ top: box.current.scrollTop, height: box.current.clientHeight });
  }, [many]);
  const blocks = (top: number, height: number): [from: number, to: number] => [
    Math.max(0, Math.floor(top / rowHeight / BLOCK) - 1) * BLOCK,
    Math.min(count, (Math.ceil((top + height) / rowHeight / BLOCK) + 1) * BLOCK),
  ];
  const [from, to] = many ? blocks(view.top, view.height) : [0, count];
  const scrolled = (): void => {
    const { scrollTop, clientHeight } = box.current!;
    const [first, last] = blocks(scrollTop, clientHeight);
    if (first !== from || last !== to) setView({ top: scrollTop, height: clientHeight });
  };
  return (
    <div
      ref={box}
      class={`scroller ${many ? 'many' : ''}`}
      tabIndex={0}
      role="region"
      aria-label={props.label}
      onScroll={many ? scrolled : undefined}
    >
      {props.children(from, to, from * rowHeight, (count - to) * rowHeight)}
    </div>
  );
}
