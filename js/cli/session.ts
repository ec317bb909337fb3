// A command's client of one service.

import type { MeshError, SecureMesh, SecureMeshClient, ServiceConfig } from '../index.js';
import { hostAndPort } from './arguments.js';
import { readConfig, type Config, type GlobalOptions } from './config.js';
import { CommandError } from './exits.js';
import { callingMesh } from './identity.js';

/** The options of commands that call a service. */
export interface SessionOptions extends GlobalOptions {
  address?: string;
}

/** Runs a function with a client of a service, and closes its mesh afterwards. */
export async function withClient<T>(
  service: string,
  options: SessionOptions,
  use: (client: SecureMeshClient, mesh: SecureMesh) => Promise<T>,
): Promise<T> {
  const config = await readConfig(options);
  const mesh = callingMesh(config, options, servicesFor(service, config, options));
  try {
    await mesh.initialize();
    return await use(mesh.connect(service), mesh);
  } finally {
    await mesh.cleanup();
  }
}

/** The addresses of a service: that of `--address`, or those of the configuration. */
function servicesFor(
  service: string,
  { discovery }: Config,
  { address }: SessionOptions,
): ServiceConfig[] | undefined {
  const services = discovery?.services;
  if (address !== undefined) {
    // A pin of the configuration stays.
    const publicKey = services?.find(({ id }) => id === service)?.publicKey;
    const pin = publicKey === undefined ? {} : { publicKey };
    return [{ id: service, ...hostAndPort('--address', address), ...pin }];
  }
  const elsewhere =
    discovery !== undefined && Object.keys(discovery).some((key) => key !== 'services');
  const known = services?.map(({ id }) => id) ?? [];
  if (!elsewhere && !known.includes(service)) {
    throw new CommandError(
      `nothing says where ${service} is`,
      known.length === 0
        ? 'Give its address with --address host:port, or a configuration with discovery.services: --config mesh.json.'
        : `Give its address with --address host:port. The configuration has ${known.join(', ')}.`,
    );
  }
  return services;
}

/** The facts about the session with a service. */
export function sessionOf(
  mesh: SecureMesh,
  service: string,
): { service: string; trust: string; suite: string } | null {
  const peer = mesh.getStats().peers.find(({ serviceId }) => serviceId === service);
  return peer === undefined ? null : { service, trust: peer.trust, suite: peer.suite };
}

/** Whether a service refuses to describe itself, or is too old to do so. */
export function isUndescribed({ code, remote }: MeshError): boolean {
  return remote && (code === 'UNIMPLEMENTED' || code === 'PERMISSION_DENIED');
}
