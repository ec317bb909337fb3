// The client of 0.2.0, which has its own mesh for one service.

import { invalidArgument } from '../base/arguments.js';
import { MeshError } from '../base/errors.js';
import { SecureMesh } from '../mesh/mesh.js';
import type { Link } from '../rpc/client.js';

/** Creates the link of a client with its own mesh, as in 0.2.0. */
export function standaloneLink(
  serviceId: unknown,
  service: unknown,
  address: unknown,
  keysDir: string | undefined,
): Link {
  if (typeof service !== 'string') throw invalidArgument('targetServiceId must be a string');
  const { host, port } = parseAddress(address);
  const mesh = new SecureMesh({
    serviceId: serviceId as string,
    discovery: { services: [{ id: service, host, port }] },
    ...(keysDir === undefined ? {} : { security: { keysDir } }),
  });
  const client = mesh.connect(service);
  return {
    service,
    start: async (method, input, options) => {
      // 0.2.0 required a call of `connect` first; this version connects if needed.
      await mesh.initialize();
      return client.call(method, input, options);
    },
    serverStream: async function* (method, input, options) {
      await mesh.initialize();
      yield* client.serverStream(method, input, options);
    },
    clientStream: async (method, items, options) => {
      await mesh.initialize();
      return client.clientStream(method, items, options);
    },
    bidiStream: async function* (method, items, options) {
      await mesh.initialize();
      yield* client.bidiStream(method, items, options);
    },
    ready: () => mesh.initialize(),
    close: () => mesh.cleanup(),
  };
}

function parseAddress(address: unknown): { host: string; port: number } {
  const match =
    typeof address === 'string' ? /^(?:\[([^\]]+)\]|([^:/]+)):(\d{1,5})$/.exec(address) : null;
  if (match === null) {
    throw new MeshError('INVALID_ARGUMENT', `address must be host:port, got ${String(address)}`, {
      reason: 'ARGUMENT',
    });
  }
  return { host: (match[1] ?? match[2]) as string, port: Number(match[3]) };
}
