// TLS on the admin port, with certificates of openssl: the clients that it answers, and the renewal of its files.
import { chmodSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { request, type RequestOptions } from 'node:https';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { SecureMesh, type MeshConfig } from '../../js/index.js';
import { Authority, type Files } from '../support/authority.js';
import { config, make } from '../support/meshes.js';

const TOKEN = 'a-token-of-these-tests-0123456789';

/** A mesh with an admin port under a certificate. */
async function open(admin: MeshConfig['admin']): Promise<SecureMesh> {
  const mesh = make('server', { admin: { port: 0, ...admin } });
  await mesh.initialize();
  return mesh;
}

interface Answer {
  status: number;
  body: string;
  cookie: string | undefined;
  /** The serial number of the certificate of the port. */
  serial: string;
}

/** Asks the port, with `input` as JSON. */
function ask(
  mesh: SecureMesh,
  path: string,
  options: RequestOptions,
  input?: object,
): Promise<Answer> {
  const { port } = mesh.adminAddress()!;
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: '127.0.0.1', port, path, servername: 'localhost', agent: false, ...options },
      (answer) => {
        const { serialNumber: serial } = (answer.socket as any).getPeerCertificate();
        const status = answer.statusCode as number;
        const cookie = answer.headers['set-cookie']?.[0];
        text(answer).then((body) => resolve({ status, body, cookie, serial }), reject);
      },
    );
    asked.on('error', reject).end(input && JSON.stringify(input));
  });
}

const trust = (files: Files): RequestOptions => ({ ca: readFileSync(files.ca) });
const own = (files: Files): RequestOptions => ({
  cert: readFileSync(files.cert),
  key: readFileSync(files.key),
});

it('speaks TLS 1.3 only', async () => {
  const files = new Authority().issue('server', { dns: 'localhost' });
  const mesh = await open({ token: TOKEN, tls: { cert: files.cert, key: files.key } });
  expect(await ask(mesh, '/livez', trust(files))).toMatchObject({ status: 200, body: 'ok\n' });
  const status = async (options: RequestOptions): Promise<number> =>
    (await ask(mesh, '/metrics', { ...trust(files), ...options })).status;
  expect(await status({ headers: { authorization: `Bearer ${TOKEN}` } })).toBe(200);
  expect(await status({})).toBe(401);
  const login = { method: 'POST', headers: { 'content-type': 'application/json' } };
  const { cookie } = await ask(mesh, '/login', { ...trust(files), ...login }, { token: TOKEN });
  expect(cookie).toMatch(/; HttpOnly; SameSite=Strict; .*; Secure$/);
  await expect(ask(mesh, '/livez', { ca: [] })).rejects.toThrow(/certificate/);
  await expect(ask(mesh, '/livez', { ...trust(files), maxVersion: 'TLSv1.2' })).rejects.toThrow();
  const { port } = mesh.adminAddress()!;
  const socket = connect(port, '127.0.0.1');
  socket.write('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n');
  expect(await text(socket)).not.toContain('200');
});

it('takes a certificate of its authority instead of the token, and no other', async () => {
  const authority = new Authority();
  const files = authority.issue('server', { dns: 'localhost' });
  const tls = { cert: files.cert, key: files.key, clientCa: files.ca };
  const client = authority.issue('prometheus');
  const refused = [
    new Authority('Another').issue('prometheus'),
    // The name of an authority proves nothing.
    new Authority().issue('prometheus'),
    authority.issue('late', { between: [new Date('2020-01-01'), new Date('2020-01-02')] }),
  ];
  for (const admin of [{ tls }, { tls, token: TOKEN }]) {
    const mesh = await open(admin);
    const status = async (path: string, options: RequestOptions): Promise<number> =>
      (await ask(mesh, path, { ...trust(files), ...options })).status;
    expect(await status('/metrics', own(client))).toBe(200);
    // By any name, since a page of another site cannot have this port's certificate.
    expect(await status('/metrics', { ...own(client), headers: { host: 'orders:9901' } })).toBe(
      200,
    );
    expect(await status('/metrics', {})).toBe(401);
    expect(await status('/api/v1/self', {})).toBe(401);
    expect(await status('/readyz', {})).toBe(200);
    const across = { ...own(client), headers: { origin: 'https://evil.example' } };
    expect(await status('/api/v1/self', across)).toBe(403);
    for (const other of refused) {
      await expect(ask(mesh, '/metrics', { ...trust(files), ...own(other) })).rejects.toThrow();
    }
    const authorization = `Bearer ${TOKEN}`;
    const bearer = await status('/metrics', { headers: { authorization } });
    expect(bearer).toBe('token' in admin ? 200 : 401);
  }
});

it('is enough beyond loopback with an authority of clients, and not without', async () => {
  const files = new Authority().issue('server', { dns: 'localhost' });
  const tls = { cert: files.cert, key: files.key };
  const admin = (more: object): MeshConfig =>
    config('server', { admin: { port: 0, host: '0.0.0.0', ...more } });
  expect(() => new SecureMesh(admin({ tls }))).toThrow(
    /admin\.token .*or give admin\.tls\.clientCa/,
  );
  new SecureMesh(admin({ tls: { ...tls, clientCa: files.ca } }));
  new SecureMesh(admin({ tls, token: TOKEN }));
});

it('uses renewed files, and keeps its certificate while the files are faulty', async () => {
  const authority = new Authority();
  const first = authority.issue('server', { dns: 'localhost' });
  const [cert, key] = [authority.path('live.crt'), authority.path('live.key')];
  copyFileSync(first.cert, cert);
  copyFileSync(first.key, key);
  const lines: string[] = [];
  const log = (...all: unknown[]): void => void lines.push(JSON.stringify(all));
  const mesh = make('server', {
    admin: { port: 0, tls: { cert, key } },
    logger: { debug: log, info: log, warn: log, error: log },
  });
  await mesh.initialize();
  const serial = async (): Promise<string> => (await ask(mesh, '/livez', trust(first))).serial;
  const before = await serial();
  const waited = async (holds: () => Promise<boolean>): Promise<void> => {
    for (const end = Date.now() + 15_000; !(await holds());) {
      if (Date.now() > end) throw new Error('it never came to hold');
    }
  };
  writeFileSync(key, 'no key');
  await waited(async () => {
    expect(await serial()).toBe(before);
    return lines.some((line) => line.includes('admin.tls.key'));
  });
  const second = authority.issue('server', { dns: 'localhost' });
  copyFileSync(second.cert, cert);
  copyFileSync(second.key, key);
  await waited(async () => (await serial()) !== before);
});

it('refuses a key that other users may read', async () => {
  const files = new Authority().issue('server');
  chmodSync(files.key, 0o644);
  const mesh = make('server', { admin: { port: 0, tls: { cert: files.cert, key: files.key } } });
  await expect(mesh.initialize()).rejects.toThrow(/admin\.tls\.key: .* is open to other users/);
});

it.each([
  [{ cert: 'CERT' }, /admin\.tls\.key must be PEM/],
  [{ cert: 'CERT', key: 'TEXT' }, /admin\.tls\.key: there is no private key/],
  [{ cert: 'KEY', key: 'KEY' }, /admin\.tls\.cert: there is no certificate/],
  [{ cert: 'CERT', key: 'OTHER' }, /admin\.tls: certificate and key/],
  [{ cert: 'CERT', key: '/none.key' }, /admin\.tls\.key: \/none\.key/],
  [{ cert: 'CERT', key: 'KEY', ca: 'CERT' }, /admin\.tls\.ca is not an option/],
])('refuses %j with the place of the fault', async (given, fault) => {
  const authority = new Authority();
  const files = authority.issue('server');
  const other = authority.issue('other');
  const names: Record<string, string> = { CERT: files.cert, KEY: files.key, OTHER: other.key };
  names['TEXT'] = readFileSync(files.cert, 'utf8');
  const tls = Object.fromEntries(
    Object.entries(given).map(([name, value]) => [name, names[value] ?? value]),
  ) as any;
  const start = async (): Promise<void> =>
    void (await make('server', { admin: { port: 0, tls } }).initialize());
  await expect(start()).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringMatching(fault),
  });
});
