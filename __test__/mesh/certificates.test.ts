import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { SecureMesh, type MeshConfig } from '../../js/index.js';
import { Authority } from '../support/authority.js';
import { run } from '../support/processes.js';
import { errorOf, until } from '../support/promises.js';
import { compared } from '../support/compared.js';

const NAME = 'spiffe://shop.example/ns/test/sa/';

async function start(
  serviceId: string,
  certificate: object,
  extra: Partial<MeshConfig> = {},
): Promise<SecureMesh> {
  const mesh = new SecureMesh({
    serviceId,
    host: '127.0.0.1',
    ...extra,
    security: { rsaKeySize: 2048, certificate: certificate },
  });
  onTestFinished(() => mesh.cleanup());
  mesh.handle('echo', (input) => input);
  mesh.handle('slow', () => new Promise(() => undefined));
  await mesh.initialize();
  return mesh;
}

const at = (id: string, address: { host: string; port: number }): Partial<MeshConfig> => ({
  discovery: { services: [{ id, ...address }] },
});

async function pair(
  authority: Authority,
  more: object = {},
): Promise<{ server: SecureMesh; caller: SecureMesh }> {
  const server = await start('server', { ...authority.issue('server'), ...more }, { port: 0 });
  const caller = await start('caller', authority.issue('caller'), at('server', server.address()!));
  return { server, caller };
}

describe('services with certificates', () => {
  it.each(['ec', 'rsa', 'ed25519'])('know each other across processes (%s)', async (key) => {
    const authority = new Authority();
    const service = run('certified', {
      id: 'orders',
      certificate: authority.issue('orders', { key }),
    });
    const mesh = await start(
      'gateway',
      authority.issue('gateway'),
      at('orders', await service.next()),
    );
    expect(await mesh.connect('orders').call('who')).toEqual({
      serviceId: 'gateway',
      trust: 'certificate',
      spiffeId: `${NAME}gateway`,
    });
    const [peer] = mesh.getStats().peers;
    expect(peer).toMatchObject({
      trust: 'certificate',
      certificate: { name: `${NAME}orders`, subject: 'CN=orders', issuer: 'CN=Test Root' },
    });
    const inTwoDays = Date.now() + 2 * 24 * 3600 * 1000;
    expect(Math.abs(peer!.certificate!.expiresAt - inTwoDays)).toBeLessThan(120_000);
    const serial = authority.run('x509', '-in', 'orders.crt', '-noout', '-serial').trim();
    expect(serial.toLowerCase()).toBe(`serial=${peer!.certificate!.serial}`);
    const { details } = await mesh.healthCheck();
    expect(details['certificate']).toMatchObject({ name: `${NAME}gateway` });
  });

  it('are judged by policies under their SPIFFE ids', async () => {
    const authority = new Authority();
    const server = await start('server', authority.issue('server'), {
      port: 0,
      authorization: { rules: [{ from: [`${NAME}caller`], to: ['echo'] }] },
    });
    const where = at('server', server.address()!);
    const caller = await start('caller', authority.issue('caller'), where);
    expect(await caller.connect('server').call('echo', 1)).toBe(1);
    const other = await start('other', authority.issue('other'), where);
    expect(await errorOf(other.connect('server').call('echo', 1))).toMatchObject({
      code: 'PERMISSION_DENIED',
      reason: 'PERMISSION_DENIED',
    });
  });

  it('refuse those of another authority, and those without', async () => {
    const authority = new Authority();
    const service = run('certified', { id: 'orders', certificate: authority.issue('orders') });
    const where = at('orders', await service.next());
    const other = await start('gateway', new Authority().issue('gateway'), where);
    expect(await errorOf(other.connect('orders').call('echo', 1))).toMatchObject({
      code: 'UNAUTHENTICATED',
      // The caller refuses the certificate that it is shown.
      reason: 'CERT_UNTRUSTED',
    });
    const secret = new SecureMesh({
      serviceId: 'gateway',
      ...where,
      security: { rsaKeySize: 2048, jwtSecret: 'a secret of the tests, of 32 bytes and more' },
    });
    onTestFinished(() => secret.cleanup());
    await secret.initialize();
    expect(await errorOf(secret.connect('orders').call('echo', 1))).toMatchObject({
      reason: 'TLS_REQUIRED',
    });
  });

  it('renew their certificates under load without a lost call', async () => {
    const authority = new Authority();
    const { server, caller } = await pair(authority);
    const client = caller.connect('server');
    let running = true;
    const calls = (async () => {
      let n = 0;
      for (; running; n += 1) expect(await client.call('echo', n)).toBe(n);
      return n;
    })();
    const thumbprints = new Set([server.getStats().keyThumbprint]);
    for (const [id, mesh] of [
      ['server', server],
      ['caller', caller],
    ] as const) {
      authority.issue(id);
      thumbprints.add(await mesh.reloadIdentity());
      expect(mesh.getStats().keyThumbprint).toBe([...thumbprints].at(-1));
      await client.call('echo', id);
    }
    running = false;
    expect(await calls).toBeGreaterThan(0);
    expect(thumbprints.size).toBe(3);
  });

  it('keep the former certificate while the files are no good', async () => {
    const authority = new Authority();
    const { server, caller } = await pair(authority);
    const good = readFileSync(authority.path('server.crt'));
    writeFileSync(authority.path('server.crt'), good.subarray(0, 300));
    expect(await errorOf(server.reloadIdentity())).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'CERT_MATERIAL',
      message: expect.stringContaining('security.certificate.cert'),
    });
    expect(await caller.connect('server').call('echo', 1)).toBe(1);
  });
});

describe('a migration from a secret', () => {
  it('goes service by service, and back to the secret for none', async () => {
    const authority = new Authority();
    const jwtSecret = 'a secret of the certificate tests, more than 32 bytes';
    const accept = [{ trust: 'shared-secret' as const, until: '2999-01-01' }];
    const keysDir = (): { keysDir: string } => ({
      keysDir: mkdtempSync(join(authority.directory, 'keys-')),
    });
    const make = async (
      serviceId: string,
      security: MeshConfig['security'],
      extra: Partial<MeshConfig>,
    ): Promise<SecureMesh> => {
      const mesh = new SecureMesh({
        serviceId,
        host: '127.0.0.1',
        paths: keysDir(),
        ...extra,
        security: { rsaKeySize: 2048, jwtSecret, ...security },
      });
      onTestFinished(() => mesh.cleanup());
      mesh.handle('trust', (_input, { caller }) => caller.trust);
      await mesh.initialize();
      return mesh;
    };
    const certificate = authority.issue('server');
    const server = await make('server', { certificate, accept }, { port: 0 });
    const where = at('server', server.address()!);
    const before = await make('caller', {}, where);
    expect(await before.connect('server').call('trust')).toBe('shared-secret');
    const after = await make('caller', { certificate: authority.issue('caller'), accept }, where);
    expect(await after.connect('server').call('trust')).toBe('certificate');
    const thief = await make('caller', {}, where);
    expect(await errorOf(thief.connect('server').call('trust'))).toMatchObject({
      reason: 'HANDSHAKE_REFUSED',
    });
    const { details } = await server.healthCheck();
    expect(details['accepts']).toEqual({ trust: 'shared-secret', until: Date.UTC(2999, 0, 1) });
  });
});

describe('revocation', () => {
  it('by the list of the authority ends the session within a second', compared, async () => {
    const authority = new Authority();
    const { server, caller } = await pair(authority, { crl: authority.revoke() });
    const client = caller.connect('server');
    expect(await client.call('echo', 1)).toBe(1);
    const hung = errorOf(client.call('slow'));
    authority.revoke('caller');
    const begun = Date.now();
    await server.reloadIdentity();
    expect(await hung).toMatchObject({ reason: 'SESSION_LOST' });
    expect(Date.now() - begun).toBeLessThan(3_000);
    expect(await errorOf(client.call('echo', 2))).toMatchObject({ reason: 'HANDSHAKE_REFUSED' });
    await until(() => server.getStats().activeSessions === 0, 1_000);
  });

  it('by revoke() names an id, a serial number or a hash', async () => {
    const authority = new Authority();
    const of = {
      spiffeId: () => ({ spiffeId: `${NAME}caller` }),
      serial: () => ({
        serial: authority.run('x509', '-in', 'caller.crt', '-noout', '-serial').trim(),
        issuer: 'CN=Test Root',
      }),
      thumbprint: () => {
        const args = ['-in', 'caller.crt', '-noout', '-fingerprint', '-sha256'];
        return {
          thumbprint: authority
            .run('x509', ...args)
            .trim()
            .split('=')[1]!,
        };
      },
      meshKey: (caller: SecureMesh) => ({ thumbprint: caller.getStats().keyThumbprint! }),
    };
    for (const name of Object.values(of)) {
      const { server, caller } = await pair(authority);
      const client = caller.connect('server');
      expect(await client.call('echo', 1)).toBe(1);
      expect(await server.revoke(name(caller))).toBe(1);
      // A call that crosses with the end of the session would be SESSION_LOST.
      await until(() => caller.getStats().activeSessions === 0, 1_000);
      expect(await errorOf(client.call('echo', 2))).toMatchObject({ reason: 'HANDSHAKE_REFUSED' });
    }
  });

  it('refuses what names nothing, or two things', async () => {
    const { server } = await pair(new Authority());
    const refused = async (revocation: object): Promise<unknown> =>
      (await errorOf(server.revoke(revocation))) as unknown;
    const wrong = { code: 'INVALID_ARGUMENT' };
    expect(await refused({})).toMatchObject(wrong);
    expect(await refused({ spiffeId: 'a', serial: '01' })).toMatchObject(wrong);
    expect(await refused({ spiffeId: 'a', issuer: 'CN=x' })).toMatchObject(wrong);
    expect(await refused({ serial: 'not hexadecimal' })).toMatchObject(wrong);
    expect(await refused({ thumbprint: 'abcd' })).toMatchObject(wrong);
    expect(await refused({ subject: 'CN=x' })).toMatchObject(wrong);
  });
});

describe('a certificate that cannot be used', () => {
  it('refuses the start, with the option and the repair', async () => {
    const authority = new Authority();
    const files = authority.issue('server');
    const other = new Authority().issue('server');
    const refused = async (certificate: object, id = 'server'): Promise<unknown> =>
      (await errorOf(start(id, certificate))) as unknown;
    const failure = (reason: string, text: string): object => ({
      code: 'INVALID_ARGUMENT',
      reason,
      message: expect.stringContaining(text),
    });
    expect(await refused({ ...files, key: other.key })).toMatchObject(
      failure('CERT_MATERIAL', 'belongs to another certificate'),
    );
    expect(await refused({ ...files, ca: other.ca })).toMatchObject(
      failure('CERT_UNTRUSTED', 'security.certificate.ca'),
    );
    expect(await refused(files, 'orders')).toMatchObject(failure('CERT_NAME', 'serviceId'));
    const encrypted = authority.path('encrypted.key');
    authority.run('pkcs8', '-topk8', '-in', files.key, '-passout', 'pass:x', '-out', encrypted);
    expect(await refused({ ...files, key: encrypted })).toMatchObject({
      code: expect.any(String),
      message: expect.stringMatching(/encrypted|chmod/),
    });
    expect(await refused({ cert: files.cert })).toMatchObject(
      failure('CONFIG', 'security.certificate.key'),
    );
    expect(await refused({ ...files, ca: authority.path('nowhere.crt') })).toMatchObject(
      failure('CERT_MATERIAL', 'nowhere.crt'),
    );
  });
});
