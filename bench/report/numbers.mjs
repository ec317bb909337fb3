// The format of figures.

/** Three significant digits; whole numbers with separators from 1,000 on. */
export function figure(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1000) return Number(value.toPrecision(3)).toLocaleString('en');
  return size >= 0.001 ? String(Number(value.toPrecision(3))) : value.toExponential(1);
}

/** A bound as `≥ 1.5 ×`. */
export function bound({ better, unit }, value) {
  if (value === undefined) return '';
  return `${better === 'more' ? '≥' : '≤'} ${value}${unit === '%' ? '' : ' '}${unit}`;
}

export const mib = (bytes) => bytes / 1024 / 1024;
