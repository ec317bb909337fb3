// A registry that is filled by hand, as the provider of a mesh.

import type { DiscoveryProvider, Instance } from './provider.js';
import type { ServiceInfo, StaticDiscovery } from './static-discovery.js';

/** Reports what a registry holds, after each change of it. Instances known to be unhealthy get no calls. */
export function fromStatic(registry: StaticDiscovery): DiscoveryProvider {
  return {
    watch(serviceId, update, signal) {
      const report = (): void =>
        update(
          registry
            .lookupAll(serviceId)
            .filter((service) => service.status !== 'unhealthy')
            .map(instanceOf),
        );
      const stop = registry.watch((change) => {
        if (change.service.id === serviceId) report();
      });
      signal.addEventListener('abort', stop, { once: true });
      report();
    },
  };
}

function instanceOf({ host, port, metadata }: ServiceInfo): Instance {
  return { host, port, metadata };
}
