// The configuration as the core gets it. The core checks it. Checked here are only
// the values that JSON would lose or change without a word.

import { invalidOption } from '../base/arguments.js';
import { isWellFormed } from '../base/json-text.js';
import type { SafeLogger } from '../base/logger.js';
import { Providers } from '../discovery/providers.js';
import { OWN_SECTIONS } from './options.js';
import type { MeshConfig } from './types.js';

const MAX_DEPTH = 32;

/** The configuration as JSON for the core. */
export function encodeConfig(config: MeshConfig, logger: SafeLogger): string {
  if (typeof config !== 'object' || config === null) {
    throw invalidOption(`the configuration must be an object, got ${String(config)}`);
  }
  const plain: Record<string, unknown> = { ...config };
  for (const section of OWN_SECTIONS) delete plain[section];
  // The core reads this one, all but `idempotency`.
  plain['resilience'] = config.resilience;
  if (config.paths?.protoFile !== undefined) {
    const { protoFile, ...paths } = config.paths;
    plain['paths'] = paths;
    logger.warn('paths.protoFile is ignored: the protocol is built in', {
      event: 'config.ignored',
      protoFile,
    });
  }
  if (Providers.configured(config.discovery)) {
    const { provider, providers, advertise, ...discovery } = config.discovery ?? {};
    // The core knows that there is one; the providers themselves stay here.
    plain['discovery'] = { ...discovery, provider: 'application' };
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

/** Refuses values that JSON has no word for. */
function checkJson(value: unknown, path: string, depth = 0): void {
  switch (typeof value) {
    case 'string':
      if (isWellFormed(value)) return;
      throw invalidOption(`${path} has half of a character (an unpaired surrogate): write it anew`);
    case 'boolean':
    case 'undefined':
      return;
    case 'number':
      if (!Number.isFinite(value))
        throw invalidOption(`${path} must be a finite number, got ${value}`);
      return;
    case 'object':
      if (value === null) return;
      // Deeper than any option is, or a cycle.
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

/** Refuses an object of a class that has nothing to say in JSON: it would count as no option at all. */
function checkSays(value: object, path: string): void {
  const prototype: unknown = Object.getPrototypeOf(value);
  // Plain ones, of whatever realm, are told by what is above their prototype.
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
