// Strings and JSON for parsers that are stricter than V8: the core rejects unpaired surrogates and deep nesting.

/** The replacement of an unpaired surrogate: U+FFFD, as Unicode recommends. */
const REPLACEMENT = '\ufffd';

// V8 writes an unpaired surrogate as an escape, such as \ud800. The last alternative consumes every other
// escape, so that an escaped backslash is not taken for the start of one.
const ESCAPES = /\\(?:u(d[89a-f][0-9a-f]{2})|[^])/g;

/** Replaces unpaired surrogates by U+FFFD in an output of `JSON.stringify`. */
export function repairJson(json: string): string {
  if (!json.includes('\\ud')) return json;
  return json.replace(ESCAPES, (escape, half: string | undefined) =>
    half === undefined ? escape : REPLACEMENT,
  );
}

/** Whether a string has no unpaired surrogates. */
export function isWellFormed(text: string): boolean {
  return !LONE.test(text);
}

const LONE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** Cuts a string to at most `maxBytes` of UTF-8; a mark with the original length replaces the rest. */
export function cutText(text: string, maxBytes: number): string {
  if (text.length * 3 <= maxBytes) return text;
  if (text.length <= maxBytes && Buffer.byteLength(text) <= maxBytes) return text;
  const mark = `… [cut: ${text.length} characters]`;
  // Each character has at least one byte, so the first slice is long enough.
  const head = Buffer.from(text.slice(0, maxBytes)).subarray(
    0,
    Math.max(0, maxBytes - Buffer.byteLength(mark)),
  );
  // `stream: true` drops a partial character at the end.
  return new TextDecoder().decode(head, { stream: true }) + mark;
}

/** Replaces parts of a JSON value that are nested deeper than `depth` by a mark. */
export function cutDepth(json: string, depth: number): string {
  return isDeeper(json, depth) ? JSON.stringify(shallow(JSON.parse(json), depth)) : json;
}

function isDeeper(json: string, depth: number): boolean {
  // Each level takes two characters, so a short string cannot be too deep.
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
