import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { credentials, makeClientConstructor, status } from '@grpc/grpc-js';
import { describe, expect, it, onTestFinished } from 'vitest';
import { SecureMesh, type MeshConfig } from '../../js/index.js';
import { Authority } from '../support/authority.js';
import { errorOf } from '../support/promises.js';

const SECRET = 'a secret of the TLS tests, of more than 32 bytes';

async function start(
  serviceId: string,
  security: MeshConfig['security'],
  extra: Partial<MeshConfig> = {},
): Promise<SecureMesh> {
  const mesh = new SecureMesh({
    serviceId,
    host: '127.0.0.1',
    ...extra,
    security: { rsaKeySize: 2048, ...security },
  });
  onTestFinished(() => mesh.cleanup());
  mesh.handle('echo', (input) => input);
  await mesh.initialize();
  return mesh;
}

const server = (security: MeshConfig['security']): Promise<SecureMesh> =>
  start('server', security, { port: 0 });

/** The output of `openssl s_client` at the port, which ends with its input. */
function sClient(mesh: SecureMesh, ...args: string[]): Promise<string> {
  const { host, port } = mesh.address()!;
  const options = ['s_client', '-connect', `${host}:${port}`, ...args];
  return new Promise((resolve) => {
    const child = spawn('openssl', options, { stdio: ['pipe', 'pipe', 'pipe'] });
    let text = '';
    const keep = (chunk: Buffer): void => void (text += chunk.toString('latin1'));
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('close', () => resolve(text));
    setTimeout(() => child.stdin.end(), 500);
  });
}

/** Asks `grpc.health.v1` as an ordinary client does: 1 is SERVING. */
function health(mesh: SecureMesh, channel = credentials.createInsecure()): Promise<number> {
  const raw = (bytes: Buffer): Buffer => bytes;
  const check = {
    path: '/grpc.health.v1.Health/Check',
    requestStream: false,
    responseStream: false,
    requestSerialize: raw,
    requestDeserialize: raw,
    responseSerialize: raw,
    responseDeserialize: raw,
  };
  const Health = makeClientConstructor({ check }, 'Health');
  const client = new Health(`localhost:${mesh.address()!.port}`, channel);
  onTestFinished(() => client.close());
  return new Promise((resolve, reject) => {
    const method = client['check']!.bind(client) as (
      input: Buffer,
      done: (error: Error | null, answer?: Buffer) => void,
    ) => void;
    method(Buffer.alloc(0), (error, answer) => (error ? reject(error) : resolve(answer![1]!)));
  });
}

describe('a port with TLS', () => {
  it.each(['ec', 'rsa', 'ed25519'])('speaks TLS 1.3 with h2 to openssl (%s)', async (key) => {
    const authority = new Authority();
    const mesh = await server({ certificate: authority.issue('server', { key }) });
    const text = await sClient(mesh, '-tls1_3', '-alpn', 'h2', '-CAfile', authority.path('ca.crt'));
    expect(text).toContain('ALPN protocol: h2');
    expect(text).toContain('Verify return code: 0 (ok)');
    expect(text).toMatch(/New, TLSv1\.3, Cipher is TLS_AES_256_GCM_SHA384/);
    const { details } = await mesh.healthCheck();
    expect(details['leafSignatures']).toBe(1);
  });

  it('speaks nothing older', async () => {
    const authority = new Authority();
    const mesh = await server({ certificate: authority.issue('server') });
    expect(await sClient(mesh, '-tls1_2')).toMatch(/alert protocol version|handshake failure/);
    expect((await mesh.healthCheck()).details['leafSignatures']).toBe(0);
  });

  it('answers an ordinary gRPC client about its health', async () => {
    const authority = new Authority();
    const certificate = authority.issue('server', { dns: 'localhost' });
    for (const security of [{ certificate }, { jwtSecret: SECRET, tls: certificate }]) {
      const mesh = await server(security);
      const ca = readFileSync(certificate.ca);
      expect(await health(mesh, credentials.createSsl(ca))).toBe(1);
      expect(await errorOf(health(mesh))).toMatchObject({
        code: status.FAILED_PRECONDITION,
        details: 'TLS is required',
      });
    }
  });

  it('shows a new certificate to new connections', async () => {
    const authority = new Authority();
    const mesh = await server({ certificate: authority.issue('server') });
    const shown = async (): Promise<string> =>
      /-----BEGIN CERTIFICATE-----[^-]+/.exec(await sClient(mesh, '-tls1_3', '-alpn', 'h2'))![0];
    const first = await shown();
    authority.issue('server');
    const wanted = readFileSync(authority.path('server.crt'), 'utf8').trim();
    let now = first;
    for (let tries = 0; tries < 10 && now === first; tries += 1) now = await shown();
    expect(now).not.toBe(first);
    expect(wanted).toContain(now.trim());
  });
});

describe('services with and without TLS', () => {
  it('tell each other so', async () => {
    const authority = new Authority();
    const tls = authority.issue('server');
    const mesh = await server({ jwtSecret: SECRET, tls });
    const discovery = { services: [{ id: 'server', ...mesh.address()! }] };
    const caller = await start('caller', { jwtSecret: SECRET }, { discovery });
    expect(await errorOf(caller.connect('server').call('echo', 1))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'TLS_REQUIRED',
      retryable: false,
    });
    const other = await start(
      'other',
      { jwtSecret: SECRET, tls: authority.issue('other') },
      { discovery },
    );
    expect(await other.connect('server').call('echo', 1)).toBe(1);
  });

  it('are refused where TLS cannot be', async () => {
    expect(await errorOf(start('server', { jwtSecret: SECRET, tls: 'required' }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'CONFIG',
      message: expect.stringContaining('security.tls'),
    });
  });
});
