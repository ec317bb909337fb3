// The probe of one address: its TCP port, the server behind it, its clock, and a session.

import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { MeshError, type ServiceConfig, type ServiceDescription } from '../../index.js';
import { DESCRIBE } from '../describe.js';
import { callingMesh } from '../identity.js';
import { sessionOf } from '../session.js';
import type { Patient } from './finding.js';

/** An instance of a service with its address. */
export type Instance = ServiceConfig & { host: string; port: number };

/** An address in the form of a URL. */
export function authority({ host, port }: Pick<Instance, 'host' | 'port'>): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The facts about a session. */
export interface Probe {
  /** The reason why there is no session. */
  error?: MeshError;
  trust?: string;
  suite?: string;
  /** The version of the package at the other end, if the peer states it. */
  version?: string;
  /** The time of the first call, with its handshake. */
  handshakeMs?: number;
  /** The time of a call on the session. */
  roundTripMs?: number;
  /** The end of the peer's certificate. */
  certificateEnds?: number;
}

const CALL_MS = 10_000;

/** Opens a session with an instance and makes two calls. */
export async function probe(
  instance: Instance,
  { config, options }: Pick<Patient, 'config' | 'options'>,
): Promise<Probe> {
  let mesh;
  try {
    mesh = callingMesh(config, options, [instance]);
    await mesh.initialize();
    const client = mesh.connect(instance.id);
    const ask = async (): Promise<{ ms: number; version: string | undefined }> => {
      const start = performance.now();
      const version = await client
        .call<undefined, ServiceDescription>(DESCRIBE, undefined, { timeoutMs: CALL_MS })
        .then((description) => description.version)
        .catch((error: unknown) => {
          // A refusal by the service proves that the session works, which is enough here.
          if (error instanceof MeshError && error.remote) return undefined;
          throw error;
        });
      return { ms: Math.round((performance.now() - start) * 1000) / 1000, version };
    };
    const first = await ask();
    const second = await ask();
    const found: Probe = { handshakeMs: first.ms, roundTripMs: second.ms };
    const session = sessionOf(mesh, instance.id);
    const certificate = mesh
      .getStats()
      .peers.find(({ serviceId }) => serviceId === instance.id)?.certificate;
    if (session !== null) Object.assign(found, { trust: session.trust, suite: session.suite });
    if (first.version !== undefined) found.version = first.version;
    if (certificate !== undefined) found.certificateEnds = certificate.expiresAt;
    return found;
  } catch (error) {
    return { error: MeshError.from(error) };
  } finally {
    await mesh?.cleanup();
  }
}

/** The error code of a TCP connection to an address; undefined if it succeeds. */
export function knock(host: string, port: number, ms: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (code: string | undefined): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(code);
    };
    const timer = setTimeout(() => end('ETIMEDOUT'), ms);
    socket.once('connect', () => end(undefined));
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  });
}

/**
 * The lead of a peer's clock over this one, in ms, within about a second. It comes from the date header of
 * the peer's answer to a gRPC health check, which needs no session. Undefined without such an answer.
 */
export function clockOffset(host: string, port: number, ms: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const start = Date.now();
    const session = connectHttp2(`http://${authority({ host, port })}`);
    const end = (offset: number | undefined): void => {
      clearTimeout(timer);
      session.destroy();
      resolve(offset);
    };
    const timer = setTimeout(() => end(undefined), ms);
    session.once('error', () => end(undefined));
    const request = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    request.once('error', () => end(undefined));
    request.once('response', ({ date }) => {
      const theirs = Date.parse(date ?? '');
      const now = Date.now();
      // The date has whole seconds, so on average half of one is missing.
      end(Number.isNaN(theirs) ? undefined : theirs + 500 - (start + now) / 2);
    });
    // A gRPC message of no bytes.
    request.end(Buffer.alloc(5));
  });
}
