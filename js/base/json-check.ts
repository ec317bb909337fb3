// Values for the core, as JSON. The core checks them. This file checks only what JSON would lose or change
// silently, and what the core's parser rejects without a path.

import { invalidOption } from './arguments.js';
import { isWellFormed } from './json-text.js';

const MAX_DEPTH = 32;

/**
 * Rejects values that JSON cannot express.
 *
 * @param path the place of the value, for errors; empty for the configuration itself
 * @throws MeshError `INVALID_ARGUMENT`, reason `CONFIG`, with the path
 */
export function checkJson(value: unknown, path: string, depth = 0): void {
  switch (typeof value) {
    case 'string':
      if (isWellFormed(value)) return;
      throw invalidOption(
        `${path} has half of a character (an unpaired surrogate): write it again`,
      );
    case 'boolean':
    case 'undefined':
      return;
    case 'number':
      if (!Number.isFinite(value))
        throw invalidOption(`${path} must be a finite number, got ${value}`);
      return;
    case 'object':
      if (value === null) return;
      // No option is this deep, so this is a cycle or a mistake.
      if (depth > MAX_DEPTH) throw invalidOption(`${path.slice(0, 80)}… is nested too deeply`);
      checkSays(value, path);
      for (const [key, item] of Object.entries(value)) {
        if (!isWellFormed(key)) {
          throw invalidOption(
            `${path === '' ? 'an option' : path} has a name with half of a character`,
          );
        }
        checkJson(
          item,
          Array.isArray(value) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`,
          depth + 1,
        );
      }
      return;
    default:
      throw invalidOption(`${path} must not be a ${typeof value}`);
  }
}

/** Rejects an object of a class with empty JSON, because it would silently count as an empty option. */
function checkSays(value: object, path: string): void {
  const prototype: unknown = Object.getPrototypeOf(value);
  // An object is plain, in any realm, if nothing is above its prototype.
  const isPlain = prototype === null || Object.getPrototypeOf(prototype) === null;
  if (isPlain || Array.isArray(value) || value instanceof Date || Object.keys(value).length > 0) {
    return;
  }
  const kind = value.constructor?.name || 'an object of a class';
  const hint =
    value instanceof Promise
      ? '; await it first'
      : path === 'discovery' && 'listServices' in value
        ? '; give discovery: { services: await registry.listServices() }'
        : '';
  throw invalidOption(`${path} must be a plain object with its options, got a ${kind}${hint}`);
}
