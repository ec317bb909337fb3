// ca init, issue, revoke, rotate, bundle, token, status.
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { SecureMesh } from '../../js/index.js';
import { command, scratch } from '../support/command.js';

async function ca(...args: string[]): Promise<Record<string, any>> {
  const { code, stdout, stderr } = await command(['--json', 'ca', ...args]);
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

function kept(mesh: SecureMesh): SecureMesh {
  onTestFinished(() => mesh.cleanup());
  return mesh;
}

async function made(): Promise<string> {
  const dir = join(scratch(), 'ca');
  const made = await ca('init', '--dir', dir, '--trust-domain', 'shop.example');
  expect(made).toMatchObject({ v: 1, directory: dir, trustDomain: 'shop.example' });
  return dir;
}

it('issues files with which two services call each other', async () => {
  const dir = await made();
  const out = join(scratch(), 'pki');
  for (const service of ['orders', 'gateway']) {
    const { files } = await ca('issue', service, '--dir', dir, '--out', out, '--lifetime', '2h');
    expect(files).toContain(join(out, `${service}.key`));
  }
  expect(statSync(join(out, 'orders.key')).mode & 0o777).toBe(0o600);
  const certificate = (service: string) => ({
    cert: join(out, `${service}.crt`),
    key: join(out, `${service}.key`),
    ca: join(out, 'ca.crt'),
    crl: join(out, 'ca.crl'),
  });
  const orders = kept(
    new SecureMesh({
      serviceId: 'orders',
      port: 0,
      security: { certificate: certificate('orders') },
    }),
  );
  orders.handle('whoami', (_input, ctx) => ctx.caller.spiffeId);
  await orders.initialize();
  const gateway = kept(
    new SecureMesh({
      serviceId: 'gateway',
      security: { certificate: certificate('gateway') },
      discovery: { services: [{ id: 'orders', host: 'localhost', port: orders.address()!.port }] },
    }),
  );
  await gateway.initialize();
  expect(await gateway.connect('orders').call('whoami')).toBe('spiffe://shop.example/gateway');

  // The lists of the authority reach the service by its file.
  await ca('revoke', 'gateway', '--dir', dir);
  await ca('bundle', '--dir', dir, '--out', out);
  await expect
    .poll(
      () =>
        gateway
          .connect('orders')
          .call('whoami')
          .catch((error) => error.reason),
      {
        timeout: 20_000,
      },
    )
    .not.toBe('spiffe://shop.example/gateway');
});

it('makes certificates that openssl verifies', async () => {
  const dir = await made();
  const out = join(scratch(), 'pki');
  await ca('issue', 'orders', '--dir', dir, '--out', out);
  const [, issuer] = readFileSync(join(out, 'orders.crt'), 'utf8').split(
    /(?<=-----END CERTIFICATE-----\n)/,
  );
  expect(issuer).toContain('BEGIN CERTIFICATE');
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { cwd: out, encoding: 'utf8' });
  const verified = openssl(
    ...['verify', '-x509_strict', '-crl_check_all', '-CRLfile', 'ca.crl'],
    ...['-CAfile', 'ca.crt', '-untrusted', 'orders.crt', 'orders.crt'],
  );
  expect(verified).toContain('orders.crt: OK');
  const text = openssl('x509', '-in', 'orders.crt', '-noout', '-text');
  expect(text).toContain('URI:spiffe://shop.example/orders');
  expect(text).toContain('CA:FALSE');
});

it('makes tokens, and shows none of them afterwards', async () => {
  const dir = await made();
  const { token, uses } = await ca('token', 'orders', '--dir', dir, '--uses', '3', '--ttl', '1d');
  expect(token).toMatch(/^ssm-join-[\w-]{80,}$/);
  expect(uses).toBe(3);
  expect(await ca('status', '--dir', dir)).toMatchObject({ tokens: 1, issued: 0 });
  const kept = readFileSync(join(dir, 'authority.json'), 'utf8');
  expect(kept).not.toContain(token.slice(30, 60));
});

it('rotates the issuer and the root', async () => {
  const dir = await made();
  expect((await ca('rotate', '--dir', dir)).roots).toHaveLength(1);
  expect((await ca('rotate', '--dir', dir, '--root', '--overlap', '1h')).roots).toHaveLength(2);
  const { code, stderr } = await command(['ca', 'rotate', '--dir', dir]);
  expect(stderr).toContain('being replaced already');
  expect(code).not.toBe(0);
});

it.each([
  [['issue', 'orders', '--dir', '/nowhere/ca'], 'has no authority'],
  [['issue', '../x'], 'a service id is'],
  [['token', 'orders', '--ttl', 'soon'], '--ttl must be a time with a unit'],
  [['token', 'orders', '--uses', '0'], 'uses must be a whole number'],
  [['revoke'], 'a service or --serial'],
  [['revoke', 'nobody'], 'nobody'],
  [['init', '--trust-domain', 'other.example'], 'already has an authority'],
])('explains what is wrong with %j', async (args, text) => {
  const dir = await made();
  const given = args.includes('--dir') ? args : [...args, '--dir', dir];
  const { code, stdout, stderr } = await command(['ca', ...given]);
  expect(stderr).toContain(text);
  expect(stderr).toContain('repair:');
  expect(stdout).toBe('');
  expect(code).not.toBe(0);
});
