// Strings that are safe on a terminal.

// Control characters, and characters that change the direction or the lines of a text. A peer could forge
// output with them.
const UNSAFE =
  /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

const escapeUnit = (character: string): string =>
  `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** A string of this machine in a form that is safe on a terminal. Its line breaks are kept. */
export function printable(text: string): string {
  return text.replaceAll(UNSAFE, escapeUnit);
}

/** A string of another process as one line that is safe on a terminal. */
export function oneLine(text: string): string {
  return printable(text).replaceAll('\n', '\\n');
}

/**
 * A value as equivalent JSON that is safe on a terminal: unsafe characters in strings are escaped.
 *
 * @param indent the spaces of a level; 0 for one line
 */
export function toJson(value: unknown, indent = 0): string {
  return printable(JSON.stringify(value, encodeBytes, indent) ?? 'null');
}

/** Bytes have no JSON form of their own. */
function encodeBytes(this: Record<string, unknown>, key: string, value: unknown): unknown {
  const own = this[key];
  return own instanceof Uint8Array ? { base64: Buffer.from(own).toString('base64') } : value;
}
