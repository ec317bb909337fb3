// The sources of instances that the core contains, in the form of a provider.

import { wrapNative, wrapNativeAsync } from '../base/errors.js';
import { checkJson } from '../base/json-check.js';
import type { SafeLogger } from '../base/logger.js';
import { native as addon } from '../base/native.js';
import { onAbort } from '../base/signals.js';
import type { DiscoveryProvider, Instance } from './provider.js';

/** An event of the core about a service or a registration. */
interface Told {
  /** All instances. */
  instances?: Instance[];
  /** A sentence for the operator. */
  trouble?: string;
  /** Whether the source is away: nobody can tell whether its last list still holds. */
  away?: boolean;
  /** The reason for the end of the watch. */
  failed?: string;
}

/**
 * A source of the core, such as DNS.
 *
 * @param path the place of the options, for errors: `discovery` or `discovery.providers[1]`
 * @param options the options of the source, with its name as `provider`
 * @param environment the `SECURE_MESH_…` variables as JSON
 * @throws MeshError `INVALID_ARGUMENT`, reason `CONFIG`
 */
export function builtIn(
  path: string,
  options: object,
  environment: string,
  logger: SafeLogger,
): DiscoveryProvider {
  const complain = (text: string, service?: string): void => {
    logger.warn(text, { event: 'discovery.trouble', service });
  };
  checkJson(options, path);
  const native = wrapNative(
    () =>
      new (addon().NativeProvider)(path, JSON.stringify(options), environment, (text) => {
        const { trouble } = JSON.parse(text) as Told;
        if (trouble !== undefined) complain(trouble);
      }),
  );
  const provider: DiscoveryProvider = {
    watch: (serviceId, update, signal, away) =>
      new Promise((resolve, reject) => {
        const stop = onAbort(signal, () => {
          native.stop();
          resolve();
        });
        wrapNative(() =>
          native.watch(serviceId, (text) => {
            const { instances, trouble, failed, away: isAway } = JSON.parse(text) as Told;
            if (instances !== undefined) update(instances);
            if (isAway !== undefined) away?.(isAway);
            if (trouble !== undefined) complain(trouble, serviceId);
            if (failed === undefined) return;
            stop();
            reject(new Error(failed));
          }),
        );
      }),
  };
  if (!native.registers) return provider;
  return {
    ...provider,
    async register(serviceId, self) {
      await wrapNativeAsync(native.register(serviceId, JSON.stringify(self)));
      return () => wrapNativeAsync(native.withdraw());
    },
  };
}
