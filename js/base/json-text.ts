// Text and JSON for readers stricter than V8: the core refuses JSON with half
// of a surrogate pair, and JSON that is nested deeply.

/** What stands for half a character: U+FFFD, as everywhere in Unicode. */
const REPLACEMENT = '\ufffd';

// V8 writes a lone surrogate as an escape, such as \ud800. A backslash that stands for itself is
// written as two, which the first alternative steps over.
const ESCAPES = /\\(?:u(d[89a-f][0-9a-f]{2})|[^])/g;

/** The same JSON, with U+FFFD in place of half characters. Made by `JSON.stringify`. */
export function repairJson(json: string): string {
  if (!json.includes('\\ud')) return json;
  return json.replace(ESCAPES, (escape, half: string | undefined) =>
    half === undefined ? escape : REPLACEMENT,
  );
}

/** Whether a text has no half characters. */
export function isWellFormed(text: string): boolean {
  return !LONE.test(text);
}

const LONE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** A text of at most `maxBytes` as UTF-8; what is cut is marked, with the length it had. */
export function cutText(text: string, maxBytes: number): string {
  if (text.length * 3 <= maxBytes) return text;
  if (text.length <= maxBytes && Buffer.byteLength(text) <= maxBytes) return text;
  const mark = `… [cut: ${text.length} characters]`;
  // No character has less than a byte.
  const head = Buffer.from(text.slice(0, maxBytes)).subarray(
    0,
    Math.max(0, maxBytes - Buffer.byteLength(mark)),
  );
  // A character that was cut in two is left out.
  return new TextDecoder().decode(head, { stream: true }) + mark;
}

/** The same JSON value, with a mark in place of what is nested deeper than `depth`. */
export function cutDepth(json: string, depth: number): string {
  return isDeeper(json, depth) ? JSON.stringify(shallow(JSON.parse(json), depth)) : json;
}

function isDeeper(json: string, depth: number): boolean {
  // Each level takes two characters.
  if (json.length <= 2 * depth) return false;
  let level = 0;
  let quoted = false;
  for (let index = 0; index < json.length; index += 1) {
    const unit = json.charCodeAt(index);
    if (quoted) {
      if (unit === 0x5c) index += 1;
      else if (unit === 0x22) quoted = false;
    } else if (unit === 0x22) {
      quoted = true;
    } else if (unit === 0x5b || unit === 0x7b) {
      level += 1;
      if (level > depth) return true;
    } else if (unit === 0x5d || unit === 0x7d) {
      level -= 1;
    }
  }
  return false;
}

function shallow(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth === 0) return '[cut: nested too deeply]';
  if (Array.isArray(value)) return value.map((item) => shallow(item, depth - 1));
  const entries = Object.entries(value).map(([key, item]) => [key, shallow(item, depth - 1)]);
  return Object.fromEntries(entries);
}
