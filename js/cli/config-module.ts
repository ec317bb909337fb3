// A configuration that a module exports.

import { pathToFileURL } from 'node:url';

/** Imports a module and returns its default export, or its export `config`. */
export async function importConfig(file: string): Promise<unknown> {
  const exports = (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  // The default export of a CommonJS module is `module.exports`, which may itself have a member `default`.
  const outer = exports['default'] ?? exports['config'];
  const inner =
    typeof outer === 'object' && outer !== null && 'default' in outer ? outer.default : outer;
  return typeof inner === 'function' ? ((await inner()) as unknown) : inner;
}
