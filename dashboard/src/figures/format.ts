// Numbers as people read them: few digits, a unit, the same width for the same kind.

/** Stands for a figure that is not known. */
export const NONE = '–';

/** A number and its unit, which is shown smaller. */
export interface Quantity {
  value: string;
  unit: string;
}

const of = (value: string, unit = ''): Quantity => ({ value, unit });

/** Returns `n` with digits for its size: 0.42, 4.2, 42, 4,200. */
function digits(n: number): string {
  if (n !== 0 && n < 1) return n.toFixed(2);
  if (n < 10 && !Number.isInteger(n)) return n.toFixed(1);
  return Math.round(n).toLocaleString('en');
}

/** Formats a count; above a hundred thousand in thousands, millions, billions. */
export function count(n: number | undefined): string {
  if (n === undefined) return NONE;
  for (const [size, letter] of [
    [1e12, 'T'],
    [1e9, 'G'],
    [1e6, 'M'],
    [1e5, 'k'],
  ] as const) {
    if (n >= size) return `${digits(n / (letter === 'k' ? 1e3 : size))} ${letter}`;
  }
  return digits(n);
}

/** Formats calls in a second; few of them as calls in a minute. */
export function rate(perSecond: number | undefined): Quantity {
  if (perSecond === undefined) return of(NONE);
  if (perSecond === 0) return of('0', '/s');
  if (perSecond < 0.01) return of('< 1', '/min');
  if (perSecond < 0.5) return of(digits(perSecond * 60), '/min');
  return of(count(perSecond), '/s');
}

/** Formats a duration of a call. Infinity is more than the last bucket's bound. */
export function duration(ms: number | undefined): Quantity {
  if (ms === undefined) return of(NONE);
  if (ms === Infinity) return of('> 10', 's');
  if (ms < 1000) return of(digits(ms), 'ms');
  if (ms < 100_000) return of((ms / 1000).toFixed(ms < 10_000 ? 2 : 1), 's');
  return of(span(ms));
}

/** Formats a share. 100 % is written only where nothing failed. */
export function percent(share: number | undefined): Quantity {
  if (share === undefined) return of(NONE);
  if (share >= 1) return of('100', '%');
  if (share >= 0.9999) return of('99.99', '%');
  return of((share * 100).toFixed(share > 0.99 ? 2 : 1), '%');
}

/** Formats a number of bytes. */
export function bytes(n: number | undefined): Quantity {
  if (n === undefined) return of(NONE);
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  const step = n < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(n) / 10));
  return of(digits(n / 1024 ** step), units[step]);
}

/** Formats a span of time in at most two units: 12 s, 4 min, 2 h 10 min, 3 d 4 h. */
export function span(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 90) return `${s} s`;
  const min = Math.round(s / 60);
  if (min < 90) return `${min} min`;
  const h = Math.floor(min / 60);
  if (h < 48) return min % 60 === 0 || h >= 12 ? `${h} h` : `${h} h ${min % 60} min`;
  const d = Math.floor(h / 24);
  return h % 24 === 0 || d >= 7 ? `${d} d` : `${d} d ${h % 24} h`;
}

const two = (n: number): string => String(n).padStart(2, '0');

/** Formats a moment as the time of day, with its date where that is another day. */
export function clock(at: number, now: number): string {
  if (at <= 0) return NONE;
  const date = new Date(at);
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
  const sameDay = new Date(now).toDateString() === date.toDateString();
  return sameDay ? time : `${day(at)} ${time}`;
}

/** Formats a moment as its date. */
export function day(at: number): string {
  if (at <= 0) return NONE;
  const date = new Date(at);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** Writes a quantity in one string. */
export function plain({ value, unit }: Quantity): string {
  return unit === '' ? value : `${value} ${unit}`;
}
