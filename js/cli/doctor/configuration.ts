// The configuration: its options, its secret, its own identity, its port.

import { createServer } from 'node:net';
import { MeshError, SecureMesh } from '../../index.js';
import { callingMesh, isEmbedded, ownId } from '../identity.js';
import { repairFor } from '../repairs.js';
import { bad, failure, ok, skipped, type Finding, type Patient } from './finding.js';
import { probe } from './probe.js';

/** Checks the options as a service does when it is created. Nothing is opened. */
export function checkConfiguration({ config, configured }: Patient): Finding[] {
  if (!configured) {
    const text = 'no configuration is given, so only this machine is checked; --config names one';
    return [skipped('configuration', '', text)];
  }
  try {
    // A configuration that only the command line uses needs no id.
    new SecureMesh({ serviceId: 'mesh-cli', ...config });
  } catch (error) {
    const { reason } = MeshError.from(error);
    const check = reason === 'WEAK_SECRET' ? 'secret' : 'configuration';
    return [failure(check, '', error)];
  }
  const options = ok('configuration', '', 'the options are valid');
  const secret = config.security?.jwtSecret ?? process.env['SECURE_MESH_JWT_SECRET'];
  if (secret !== undefined && secret !== '') {
    return [options, ok('secret', '', 'the mesh secret is strong enough')];
  }
  if (isEmbedded(config)) {
    const text =
      'no secret is configured: services of this user on this machine trust each other, and nobody else';
    return [options, ok('secret', '', text)];
  }
  return [options];
}

/** Initializes a mesh that only calls: its key, and its certificate against its own anchors. */
export async function checkIdentity({ config, options }: Patient): Promise<Finding> {
  const id = ownId(config, options);
  let mesh: SecureMesh;
  try {
    mesh = callingMesh(config, options, []);
  } catch (error) {
    return failure('identity', id, error);
  }
  try {
    await mesh.initialize();
    const { keyThumbprint } = mesh.getStats();
    return ok('identity', id, `calls are made as ${id}, with the key ${keyThumbprint}`, {
      thumbprint: keyThumbprint,
    });
  } catch (error) {
    return failure('identity', id, error);
  } finally {
    await mesh.cleanup();
  }
}

/** Checks whether the port of the service is free, or in use by the service itself. */
export async function checkPort(patient: Patient): Promise<Finding[]> {
  const { config } = patient;
  const port = config.port ?? Number(process.env['SECURE_MESH_PORT'] || 0);
  if (!(port > 0)) return [];
  const configured = config.host ?? (process.env['SECURE_MESH_HOST'] || undefined);
  const host = configured ?? (isEmbedded(config) ? '127.0.0.1' : undefined);
  const subject = `${host ?? '*'}:${port}`;
  const code = await listen(port, host);
  if (code === undefined) return [ok('port', subject, `port ${port} is free`)];
  if (code === 'EADDRINUSE') return [await holderOf(port, host, subject, patient)];
  const text = `this process cannot listen on ${subject}: ${code}`;
  const repair =
    code === 'EACCES'
      ? 'Choose a port above 1023, or give the program the right to listen there.'
      : repairFor('LISTEN');
  return [{ ...bad('fail', 'port', subject, text, repair), reason: 'LISTEN' }];
}

/** The error code of an attempt to listen; undefined if it succeeds. */
function listen(port: number, host: string | undefined): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

/** The finding about a port in use: by the service itself, which is fine, or by another program. */
async function holderOf(
  port: number,
  host: string | undefined,
  subject: string,
  patient: Patient,
): Promise<Finding> {
  const { config } = patient;
  const own = host === undefined || host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  const id = config.serviceId;
  if (id !== undefined && id !== ownId(config, patient.options)) {
    const { error } = await probe({ id, host: own, port }, patient);
    if (error === undefined) return ok('port', subject, `${id} itself runs and listens on ${port}`);
    if (error.reason !== 'WRONG_PORT') {
      const text = `something listens on port ${port}, and does not prove that it is ${id}: ${error.message}`;
      return { ...bad('fail', 'port', subject, text, repairFor('LISTEN')), reason: 'LISTEN' };
    }
  }
  const text = `port ${port} is taken by another program`;
  return { ...bad('fail', 'port', subject, text, repairFor('LISTEN')), reason: 'LISTEN' };
}
