// The configuration in the form that the core receives. The core checks it. This file checks only values that
// JSON would lose or change silently.

import { invalidOption } from '../base/arguments.js';
import { isWellFormed } from '../base/json-text.js';
import { Providers } from '../discovery/providers.js';
import { OWN_SECTIONS, type DiscoveryConfig } from './options.js';
import type { MeshConfig } from './types.js';

const MAX_DEPTH = 32;

/** The configuration as JSON for the core. */
export function encodeConfig(config: MeshConfig): string {
  if (typeof config !== 'object' || config === null) {
    throw invalidOption(`the configuration must be an object, got ${String(config)}`);
  }
  const plain: Record<string, unknown> = { ...config };
  for (const section of OWN_SECTIONS) delete plain[section];
  // The core reads this section, except `idempotency`.
  plain['resilience'] = config.resilience;
  // JavaScript declares this option, and the core reads it.
  plain['observe'] = config.observe;
  if (Providers.configured(config.discovery)) {
    const { provider, providers, advertise, ...discovery } = config.discovery as DiscoveryConfig;
    // The core knows that there is one; the providers themselves stay here, and so do the options of a source of
    // the package, which it checks.
    const rest =
      typeof provider === 'string'
        ? { services: discovery.services, maxStaleMs: discovery.maxStaleMs }
        : discovery;
    plain['discovery'] = { ...rest, provider: 'application' };
  } else if (config.discovery?.advertise !== undefined) {
    throw invalidOption('discovery.advertise is for a provider: give discovery.provider too');
  }
  checkJson(plain, '');
  return JSON.stringify(plain);
}

/** The environment variables the core may read, as JSON. */
export function encodeEnvironment(environment: NodeJS.ProcessEnv): string {
  const own = Object.entries(environment).filter(([name]) => name.startsWith('SECURE_MESH_'));
  return JSON.stringify(Object.fromEntries(own));
}

/** Rejects values that JSON cannot express. */
function checkJson(value: unknown, path: string, depth = 0): void {
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

/** Rejects an object of a class whose JSON is empty: it would silently count as an empty option. */
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
