// dashboard

import { resolve } from 'node:path';
import type { Logger, MeshConfig, ServiceConfig } from '../index.js';
import { hostAndPort, pairs, portNumber } from './arguments.js';
import { readConfig, type Config, type GlobalOptions } from './config.js';
import { CommandError } from './exits.js';
import { callingMesh } from './identity.js';
import type { Output } from './output.js';
import type { Add, Surroundings } from './runner.js';

interface Options extends GlobalOptions {
  port: string;
  history?: string;
  service?: string[];
}

export const addDashboard: Add = (program, runner) => {
  program
    .command('dashboard')
    .description('serves the page of the mesh on this machine, until Ctrl-C')
    .option('--port <port>', 'the port of the page; 0 lets the system choose one', '9901')
    .option(
      '--service <id=host:port...>',
      'services to begin with, beside those of the configuration',
    )
    .option('--history <dir>', 'the directory that keeps the last seven days over a restart')
    .action(runner<[]>(dashboard));
};

async function dashboard({ options, output }: Surroundings<Options>): Promise<void> {
  const admin: MeshConfig['admin'] = { port: portNumber('--port', options.port) };
  if (options.history !== undefined) admin.history = resolve(options.history);
  const config = await readConfig(options);
  const services = servicesOf(config, options.service);
  // Its port is on loopback: everybody on this machine may read, and nobody else.
  const mesh = callingMesh(config, options, services, { admin, logger: remarks(output) });
  try {
    await mesh.initialize();
    const { host, port } = mesh.adminAddress() ?? { host: '', port: 0 };
    const url = `http://${host.includes(':') ? `[${host}]` : host}:${port}/`;
    output.document({ v: 1, url, observer: mesh.getStats().service });
    output.line(`${output.paint('bold', url)} shows the mesh. Ctrl-C ends it.`);
    await interrupted();
  } finally {
    await mesh.cleanup();
  }
}

/** The services that are asked first; the others are those that these name. */
function servicesOf(config: Config, given: readonly string[] = []): ServiceConfig[] | undefined {
  const configured = config.discovery?.services ?? [];
  const pairsOf = given.flatMap((one) => Object.entries(pairs('--service', [one])));
  const added = pairsOf.map(([id, address]): ServiceConfig => {
    // A pin of the configuration stays.
    const publicKey = configured.find((service) => service.id === id)?.publicKey;
    const pin = publicKey === undefined ? {} : { publicKey };
    return { id, ...hostAndPort('--service', address), ...pin };
  });
  const elsewhere = Object.keys(config.discovery ?? {}).some((key) => key !== 'services');
  const named = process.env['SECURE_MESH_SERVICES'] !== undefined;
  if (added.length + configured.length === 0 && !elsewhere && !named) {
    throw new CommandError(
      'nothing says which services there are',
      'Name one or more with --service orders=127.0.0.1:50051, or give a configuration with discovery: --config mesh.json.',
    );
  }
  if (added.length === 0) return config.discovery?.services;
  return [...configured.filter(({ id }) => !added.some((service) => service.id === id)), ...added];
}

/** Shows what the reader of the page has to know; the page itself shows the rest. */
function remarks(output: Output): Logger {
  const show = (message: string): void => {
    if (message.startsWith('admin.')) output.remark(message);
  };
  return { warn: show, error: show };
}

/** Waits for Ctrl-C or for the end that a supervisor asks for. */
async function interrupted(): Promise<void> {
  await new Promise<void>((resolve) => {
    // Neither the admin port nor a listener for signals keeps a process alive.
    const alive = setInterval(() => undefined, 1 << 30);
    const end = (): void => {
      clearInterval(alive);
      process.off('SIGINT', end).off('SIGTERM', end);
      resolve();
    };
    process.on('SIGINT', end).on('SIGTERM', end);
  });
}
