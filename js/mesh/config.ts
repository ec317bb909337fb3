// The configuration in the form that the core receives. The core checks its options.

import { invalidOption } from '../base/arguments.js';
import { checkJson } from '../base/json-check.js';
import { Providers } from '../discovery/providers.js';
import { OWN_SECTIONS, type DiscoveryConfig } from './options.js';
import type { MeshConfig } from './types.js';

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
    // The core learns only that there is a provider. The providers stay in JavaScript, and so do the options of
    // a built-in source, which the core checks separately.
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
