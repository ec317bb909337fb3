// The identity of a command in the mesh: its id, its key directory and the configuration of its own mesh.

import { homedir } from 'node:os';
import { join } from 'node:path';
import { SecureMesh, type MeshConfig, type ServiceConfig } from '../index.js';
import type { Config, GlobalOptions } from './config.js';

/** The service id of the command line, unless `--as` names another one. */
export const OWN_ID = 'mesh-cli';

/** Sections about serving, which do not concern a command that only calls. */
const OF_SERVICES = [
  'port',
  'host',
  'reusePort',
  'authorization',
  'resilience',
  'monitoring',
  'rotation',
  'logger',
  'observe',
  'admin',
  'tracing',
];

/** Variables that would make a command listen like the service whose configuration it reads. */
const OF_LISTENERS = [
  'SECURE_MESH_PORT',
  'SECURE_MESH_HOST',
  'SECURE_MESH_ADMIN_PORT',
  'SECURE_MESH_ADMIN_TOKEN',
  'SECURE_MESH_OTLP',
];

const variable = (name: string): string | undefined => process.env[name] || undefined;

const hasCertificate = ({ security }: Config): boolean =>
  security?.certificate !== undefined || variable('SECURE_MESH_CERT') !== undefined;

/** Whether a configuration has no option about trust, so that the embedded secret is the root of trust. */
export function isEmbedded(config: Config): boolean {
  const secret = config.security?.jwtSecret ?? variable('SECURE_MESH_JWT_SECRET');
  const pins = config.discovery?.services?.some(({ publicKey }) => publicKey !== undefined);
  return secret === undefined && !hasCertificate(config) && pins !== true;
}

/** The id under which a command calls. With a certificate it is the service that the certificate names. */
export function ownId(config: Config, { as }: GlobalOptions): string {
  return as ?? (hasCertificate(config) ? (config.serviceId ?? OWN_ID) : OWN_ID);
}

/** The default key directory of the library. */
export function defaultKeysDir(): string {
  const { platform } = process;
  if (platform === 'win32') {
    return join(variable('LOCALAPPDATA') ?? homedir(), 'secure-stack-mesh');
  }
  if (platform === 'darwin') {
    return join(homedir(), 'Library', 'Application Support', 'secure-stack-mesh');
  }
  const state = variable('XDG_STATE_HOME') ?? join(homedir(), '.local', 'state');
  return join(state, 'secure-stack-mesh');
}

/**
 * The key directory of a command: that of the configuration, if there is one. Embedded trust needs the
 * library's directory, which has the secret. Otherwise the command keeps its key apart from those of
 * services.
 */
export function keysDirOf(config: Config, options: GlobalOptions): string {
  const own = (): string => join(homedir(), '.secure-stack-mesh', 'cli');
  return configuredKeysDir(config, options) ?? (isEmbedded(config) ? defaultKeysDir() : own());
}

/** The key directory of the service with a configuration. */
export function keysDirOfService(config: Config, options: GlobalOptions): string {
  return configuredKeysDir(config, options) ?? defaultKeysDir();
}

function configuredKeysDir(config: Config, { keysDir }: GlobalOptions): string | undefined {
  const { paths, security } = config;
  return keysDir ?? paths?.keysDir ?? security?.keysDir ?? variable('SECURE_MESH_KEYS_DIR');
}

/**
 * Creates a mesh that only makes calls, with the trust of a configuration. It is not initialized.
 *
 * @param more further options of this mesh
 */
export function callingMesh(
  config: Config,
  options: GlobalOptions,
  services: ServiceConfig[] | undefined = config.discovery?.services,
  more: Partial<MeshConfig> = {},
): SecureMesh {
  const serviceId = ownId(config, options);
  const kept = Object.entries(config).filter(([name]) => !OF_SERVICES.includes(name));
  const { keysDir: _, privateKey, ...security } = config.security ?? {};
  const own: MeshConfig = {
    ...Object.fromEntries(kept),
    ...more,
    serviceId,
    security: {
      ...security,
      // The key of a service belongs to it alone, so the command uses the key only under the id of that service.
      ...(serviceId === config.serviceId && privateKey !== undefined ? { privateKey } : {}),
    },
    paths: { keysDir: keysDirOf(config, options) },
  };
  if (services !== undefined) own.discovery = { ...config.discovery, services };
  const hidden = serviceId === config.serviceId ? [] : ['SECURE_MESH_PRIVATE_KEY'];
  return withoutVariables([...OF_LISTENERS, ...hidden], () => new SecureMesh(own));
}

/** Runs a function while some environment variables are not set. */
function withoutVariables<T>(names: readonly string[], run: () => T): T {
  const kept = names.map((name) => [name, process.env[name]] as const);
  for (const name of names) delete process.env[name];
  try {
    return run();
  } finally {
    for (const [name, value] of kept) if (value !== undefined) process.env[name] = value;
  }
}
