// Strings of peers. Preact writes text as text; this file keeps a string from looking like another one.

/** The longest string that the page keeps, in characters. */
export const MAX_TEXT = 300;

// Control and format characters (bidirectional overrides and zero-width ones among them), separators that
// break lines, lone surrogates, private use, and unassigned code points.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\u2028\u2029]/u;
const EACH_HIDDEN = new RegExp(HIDDEN.source, 'gu');
// More than two marks on one letter overlap the lines around it.
const PILED_MARKS = /(\p{M}{2})\p{M}+/gu;

/** Returns a string that can be shown: hidden characters as `\u{…}`, and clipped to `max` characters. */
export function shown(text: string, max: number = MAX_TEXT): string {
  // A cut before the expensive part; it leaves at least `max` characters, since each has at most two units.
  const head = text.length > max * 2 ? text.slice(0, max * 2) : text;
  const visible = HIDDEN.test(head)
    ? head.replace(EACH_HIDDEN, (c) => `\\u{${c.codePointAt(0)!.toString(16)}}`)
    : head;
  const calm = visible.replace(PILED_MARKS, '$1');
  if (calm.length <= max && head === text) return calm;
  const characters = [...calm];
  return characters.length > max || head !== text ? `${characters.slice(0, max).join('')}…` : calm;
}
