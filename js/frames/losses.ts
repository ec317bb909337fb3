// Values that JSON would lose silently. They leave traces in the JSON, so that ordinary values are not searched.

import { isAnyArrayBuffer, isMap, isNativeError, isPromise, isSet } from 'node:util/types';

/**
 * Whether the JSON has a trace of a map, a promise, an error or bytes. A false positive is harmless: `{}` is
 * also the JSON of an empty object. Errors of Node's system calls have a member `errno`; their message is lost.
 */
export function hasTrace(json: string): boolean {
  return (
    json.includes('{}') ||
    json.includes('{"0":') ||
    json.includes('"type":"Buffer"') ||
    json.includes('"errno":')
  );
}

interface Place {
  readonly value: unknown;
  readonly key: string | number | undefined;
  readonly parent: Place | undefined;
  /** Whether the value is the result of a `toJSON`. JSON takes it as it is, even if it has another. */
  readonly isSpoken?: boolean;
}

/**
 * The first part of a value that JSON would lose, with its path: `a Map at items[0].tags`. The value has been
 * encoded, so that the search ends.
 */
export function findLoss(value: unknown): string | undefined {
  return search(value, lossOf, true);
}

/** The cause of an error of `JSON.stringify`: `a BigInt at total`, `a cycle at parent.child`. */
export function findObstacle(value: unknown): string | undefined {
  // The value of a `toJSON` may have no end.
  return search(value, obstacleOf, false);
}

/**
 * The first place for which `judge` returns a name, from the outside in.
 *
 * @param speak whether to search the result of a `toJSON`; without it, such an object is left out
 */
function search(
  value: unknown,
  judge: (place: Place) => string | undefined,
  speak: boolean,
): string | undefined {
  const todo: Place[] = [{ value, key: undefined, parent: undefined }];
  for (let place = todo.pop(); place !== undefined; place = todo.pop()) {
    const found = judge(place);
    if (found !== undefined)
      return place.parent === undefined ? found : `${found} at ${path(place)}`;
    if (!isObject(place.value)) continue;
    if (speaks(place)) {
      if (speak) todo.push({ ...place, value: spokenBy(place), isSpoken: true });
      continue;
    }
    const parent = place;
    const inner = Array.isArray(place.value)
      ? Array.from(place.value, (item: unknown, key) => ({ value: item, key, parent }))
      : Object.entries(place.value).map(([key, item]) => ({ value: item as unknown, key, parent }));
    for (let index = inner.length - 1; index >= 0; index -= 1) todo.push(inner[index] as Place);
  }
  return undefined;
}

function obstacleOf(place: Place): string | undefined {
  if (typeof place.value === 'bigint') return 'a BigInt';
  for (let above = place.parent; above !== undefined; above = above.parent) {
    if (above.value === place.value && isObject(place.value)) return 'a cycle';
  }
  return undefined;
}

/** The names of objects that JSON can carry, even without members. */
const PLAIN = new Set(['Object', 'Array', 'Arguments', 'Boolean', 'Number', 'String']);

function lossOf(place: Place): string | undefined {
  const { value } = place;
  if (!isObject(value)) return undefined;
  // The check precedes that of `toJSON`: a Buffer has one, which makes an object with four characters for
  // each byte.
  if (ArrayBuffer.isView(value) || isAnyArrayBuffer(value)) return 'bytes';
  if (speaks(place)) return undefined;
  if (isMap(value)) return 'a Map';
  if (isSet(value)) return 'a Set';
  if (isPromise(value)) return 'a promise (is an await missing?)';
  if (isNativeError(value)) return 'an Error';
  if (Object.keys(value).length > 0) return undefined;
  // JSON has nothing of what an iterator, a regular expression, `Headers` or a `Blob` hold.
  const kind = Object.prototype.toString.call(value).slice('[object '.length, -1);
  return PLAIN.has(kind) ? undefined : `${/^[AEIOU]/.test(kind) ? 'an' : 'a'} ${kind.slice(0, 80)}`;
}

function speaks({ value, isSpoken = false }: Place): boolean {
  return !isSpoken && typeof (value as { toJSON?: unknown }).toJSON === 'function';
}

function spokenBy({ value, key = '' }: Place): unknown {
  return (value as { toJSON(key: string): unknown }).toJSON(String(key));
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function path(place: Place): string {
  const parts: (string | number)[] = [];
  for (let at: Place | undefined = place; at?.key !== undefined; at = at.parent)
    parts.unshift(at.key);
  let text = '';
  for (const part of parts) {
    if (typeof part === 'number') text += `[${part}]`;
    else if (/^[A-Za-z_$][\w$]*$/.test(part)) text += text === '' ? part : `.${part}`;
    else text += `[${JSON.stringify(part.slice(0, 80))}]`;
  }
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
