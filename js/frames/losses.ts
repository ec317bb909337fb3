// Values that JSON would lose silently. They leave traces in the JSON, so that ordinary values are not searched.

import { isAnyArrayBuffer, isMap, isNativeError, isPromise, isSet } from 'node:util/types';

/**
 * Whether the JSON has a trace of a map, a promise, an error or bytes. A false positive is harmless: `{}` is
 * also the JSON of an empty object.
 */
export function hasTrace(json: string): boolean {
  return json.includes('{}') || json.includes('{"0":') || json.includes('"type":"Buffer"');
}

interface Place {
  readonly value: unknown;
  readonly key: string | number | undefined;
  readonly parent: Place | undefined;
}

/** The first part of a value that JSON would lose, with its path: `a Map at items[0].tags`. */
export function findLoss(value: unknown): string | undefined {
  return search(value, (place) => lossOf(place.value));
}

/** The cause of an error of `JSON.stringify`: `a BigInt at total`, `a cycle at parent.child`. */
export function findObstacle(value: unknown): string | undefined {
  return search(value, (place) => {
    if (typeof place.value === 'bigint') return 'a BigInt';
    for (let above = place.parent; above !== undefined; above = above.parent) {
      if (above.value === place.value && isObject(place.value)) return 'a cycle';
    }
    return undefined;
  });
}

/**
 * The first place for which `judge` returns a name, from the outside in. An object with a `toJSON` is not
 * searched.
 */
function search(value: unknown, judge: (place: Place) => string | undefined): string | undefined {
  const todo: Place[] = [{ value, key: undefined, parent: undefined }];
  for (let place = todo.pop(); place !== undefined; place = todo.pop()) {
    const found = judge(place);
    if (found !== undefined)
      return place.parent === undefined ? found : `${found} at ${path(place)}`;
    if (!isObject(place.value) || hasToJson(place.value)) continue;
    const parent = place;
    const inner = Array.isArray(place.value)
      ? Array.from(place.value, (item: unknown, key) => ({ value: item, key, parent }))
      : Object.entries(place.value).map(([key, item]) => ({ value: item as unknown, key, parent }));
    for (let index = inner.length - 1; index >= 0; index -= 1) todo.push(inner[index] as Place);
  }
  return undefined;
}

function lossOf(value: unknown): string | undefined {
  if (!isObject(value)) return undefined;
  // The check precedes that of `toJSON`: a Buffer has one, which makes an object with four characters for
  // each byte.
  if (ArrayBuffer.isView(value) || isAnyArrayBuffer(value)) return 'bytes';
  if (hasToJson(value)) return undefined;
  if (isMap(value)) return 'a Map';
  if (isSet(value)) return 'a Set';
  if (isPromise(value)) return 'a promise (is an await missing?)';
  return isNativeError(value) ? 'an Error' : undefined;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function hasToJson(value: object): boolean {
  return typeof (value as { toJSON?: unknown }).toJSON === 'function';
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
