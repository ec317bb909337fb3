// Charts as inline SVG. Colours come from the page's style sheet, so that they follow its light or dark
// theme. Each chart has a title with its content in words.
import { figure } from './numbers.mjs';

const LABEL = 190;
const WIDTH = 720;
const ROW = 26;
const PLOT = WIDTH - LABEL - 90;

/** Escapes a string for markup. */
export const escape = (text) =>
  String(text).replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

function svg(title, height, body) {
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escape(title)}"><title>${escape(title)}</title>${body}</svg>`;
}

const text = (x, y, content, attributes = '') =>
  `<text x="${x.toFixed(1)}" y="${y}" ${attributes}>${escape(content)}</text>`;

/** A scale from values to pixels, and its grid lines: logarithmic if the values differ much. */
function scale(values) {
  const positive = values.filter((value) => value > 0);
  const [low, high] = [Math.min(...positive), Math.max(...positive)];
  if (high / low > 30) {
    const [from, to] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
    const ticks = Array.from({ length: to - from + 1 }, (_, step) => 10 ** (from + step));
    const at = (value) => (PLOT * (Math.log10(Math.max(value, ticks[0])) - from)) / (to - from);
    return { at, ticks, logarithmic: true };
  }
  const rough = high / 4;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * unit).find((size) => size >= rough);
  const ticks = Array.from({ length: Math.ceil(high / step) + 1 }, (_, index) => index * step);
  return { at: (value) => (PLOT * value) / ticks.at(-1), ticks, logarithmic: false };
}

function grid({ at, ticks, logarithmic }, height, unit) {
  const lines = ticks.map((tick) => {
    const x = LABEL + at(tick);
    const label = text(x, height - 4, figure(tick), 'class="tick" text-anchor="middle"');
    return `<line class="grid" x1="${x.toFixed(1)}" x2="${x.toFixed(1)}" y1="4" y2="${height - 18}"/>${label}`;
  });
  const name = `${unit}${logarithmic ? ', log' : ''}`;
  return lines.join('') + text(WIDTH, height - 4, name, 'class="tick" text-anchor="end"');
}

const name = (label, y, ours) =>
  text(LABEL - 8, y + 17, label, `text-anchor="end" class="${ours ? 'name ours' : 'name'}"`);

/**
 * Bars, one to a row.
 *
 * @param rows `{ label, value, ours }`
 */
export function bars(title, unit, rows) {
  const axis = scale(rows.map(({ value }) => value));
  const height = rows.length * ROW + 28;
  const body = rows.map(({ label, value, ours }, index) => {
    const y = index * ROW + 6;
    const width = Math.max(1.5, axis.at(value));
    const bar = `<rect class="${ours ? 'bar ours' : 'bar'}" x="${LABEL}" y="${y + 3}" width="${width.toFixed(1)}" height="${ROW - 10}" rx="2"/>`;
    const said = text(LABEL + width + 6, y + 17, figure(value), 'class="value"');
    return name(label, y, ours) + bar + said;
  });
  const said = rows.map(({ label, value }) => `${label} ${figure(value)}`).join('; ');
  return svg(`${title}, ${unit}: ${said}`, height, grid(axis, height, unit) + body.join(''));
}

/**
 * Ranges: a line from p50 to p99.9 with a mark at each and at p99.
 *
 * @param rows `{ label, p50, p99, p999, ours }`
 */
export function ranges(title, unit, rows) {
  const axis = scale(rows.flatMap(({ p50, p999 }) => [p50, p999]));
  const height = rows.length * ROW + 28;
  const body = rows.map(({ label, p50, p99, p999, ours }, index) => {
    const y = index * ROW + 18;
    const [a, b, c] = [p50, p99, p999].map((value) => (LABEL + axis.at(value)).toFixed(1));
    const mark = ours ? ' ours' : '';
    return `${name(label, y - 12, ours)}<line class="range${mark}" x1="${a}" x2="${c}" y1="${y}" y2="${y}"/><circle class="dot${mark}" cx="${a}" cy="${y}" r="5"/><circle class="dot hollow${mark}" cx="${b}" cy="${y}" r="4.5"/><line class="range${mark}" x1="${c}" x2="${c}" y1="${y - 5}" y2="${y + 5}"/>${text(Number(c) + 8, y + 5, `${figure(p50)} – ${figure(p99)}`, 'class="value"')}`;
  });
  const said = rows
    .map(({ label, p50, p99, p999 }) => `${label} ${[p50, p99, p999].map(figure).join(', ')}`)
    .join('; ');
  const words = `${title}, ${unit}, p50, p99 and p99.9: ${said}`;
  return svg(words, height, grid(axis, height, unit) + body.join(''));
}

const BULLET = 260;

/**
 * A figure in relation to its bounds, on a logarithmic scale: `must` is always at a third, and better values
 * are to the right.
 */
export function bullet({ better, must, reach, value, unit, what }) {
  const base = must || reach;
  if (value === null || !base) return '';
  const distance = (of) => {
    const times = better === 'more' ? of / base : base / Math.max(of, base / 1e6);
    return Math.max(0, Math.min(1, 1 / 3 + Math.log10(Math.max(times, 1e-6)) / 2.4));
  };
  const x = (of) => (distance(of) * BULLET).toFixed(1);
  const mark = (of, kind) =>
    of === undefined
      ? ''
      : `<line class="bound ${kind}" x1="${x(of)}" x2="${x(of)}" y1="1" y2="19"/>`;
  const words = `${what}: ${figure(value)} ${unit}`;
  return `<svg class="bullet" viewBox="0 0 ${BULLET} 20" role="img" aria-label="${escape(words)}"><title>${escape(words)}</title><rect class="track" y="8" width="${BULLET}" height="4" rx="2"/><rect class="fill" y="6" width="${x(value)}" height="8" rx="2"/>${mark(must, 'must')}${mark(reach, 'reach')}</svg>`;
}
