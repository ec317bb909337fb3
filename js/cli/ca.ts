// ca init, issue, revoke, rotate, bundle, token, status

import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { CertificateAuthority } from '../index.js';
import { duration } from './arguments.js';
import { CommandError } from './exits.js';
import type { Add, Surroundings } from './runner.js';
import { oneLine } from './text.js';

interface DirOptions {
  dir: string;
}

type InitOptions = DirOptions & {
  trustDomain: string;
  template?: string;
  rootDir?: string;
  lifetime?: string;
};
type IssueOptions = DirOptions & { out?: string; lifetime?: string };
type RevokeOptions = DirOptions & { serial?: string };
type RotateOptions = DirOptions & { root?: boolean; overlap?: string; rootDir?: string };
type BundleOptions = DirOptions & { out?: string };
type TokenOptions = DirOptions & { uses: string; ttl: string };

export const addCa: Add = (program, runner) => {
  const ca = program.command('ca').description('an authority for the certificates of a mesh');
  const command = (usage: string, description: string): Command =>
    ca
      .command(usage)
      .description(description)
      .requiredOption('--dir <directory>', 'the directory of the authority');
  command('init', 'makes an authority: a root, and an issuer below it')
    .requiredOption('--trust-domain <name>', 'the trust domain, as in shop.example')
    .option(
      '--template <id>',
      'the SPIFFE id of a service (default: spiffe://<trust domain>/{service})',
    )
    .option('--root-dir <directory>', "the directory of the root's key (default: root in --dir)")
    .option('--lifetime <time>', 'the lifetime of certificates (default: 24h)')
    .action(runner<[]>(init));
  command('issue <service>', 'issues a certificate and makes its key')
    .option('--out <directory>', 'writes <service>.crt, <service>.key, ca.crt and ca.crl there')
    .option('--lifetime <time>', 'the lifetime (default: that of the authority)')
    .action(runner<[string]>(issue));
  command('revoke [service]', 'revokes every certificate of a service, and its tokens')
    .option('--serial <digits>', 'one certificate instead, by its serial number')
    .action(runner<[string | undefined]>(revoke));
  command('rotate', 'replaces the issuer, or the root')
    .option('--root', 'the root as well')
    .option('--overlap <time>', 'the time until the new root comes into use (default: 24h)')
    .option('--root-dir <directory>', "the directory of the root's key (default: root in --dir)")
    .action(runner<[]>(rotate));
  command('bundle', 'prints the trust anchors')
    .option('--out <directory>', 'writes ca.crt and ca.crl, the revocation lists, there')
    .action(runner<[]>(bundle));
  command('token <service>', 'makes a token with which a service gets its first certificate')
    .option('--uses <number>', 'how many certificates it is good for', '1')
    .option('--ttl <time>', 'how long it is valid', '1h')
    .action(runner<[string]>(token));
  command('status', 'shows the state of the authority').action(runner<[]>(status));
};

async function init({ options, output }: Surroundings<InitOptions>): Promise<void> {
  const directory = resolve(options.dir);
  const authority = await CertificateAuthority.init(directory, {
    trustDomain: options.trustDomain,
    template: options.template,
    rootDirectory: options.rootDir === undefined ? undefined : resolve(options.rootDir),
    lifetime: optional('--lifetime', options.lifetime),
  });
  const { roots, trustDomain } = await authority.status();
  output.line(`made an authority for ${trustDomain} in ${directory}; its root is ${roots[0]}`);
  output.document({ v: 1, directory, trustDomain, root: roots[0] });
}

async function issue(
  { options, output }: Surroundings<IssueOptions>,
  service: string,
): Promise<void> {
  const authority = await CertificateAuthority.open(resolve(options.dir));
  const lifetime = optional('--lifetime', options.lifetime);
  const issued = await authority.issue(service, { lifetime });
  const { certificate, key = '', serial, expiresAt } = issued;
  if (options.out === undefined) {
    output.line(`${certificate}${key}`.trimEnd());
    output.document({ v: 1, service, serial, expiresAt, certificate, key });
    return;
  }
  const out = resolve(options.out);
  const { ca, crl } = await authority.bundle();
  const files = write(out, [
    [`${service}.key`, key, 0o600],
    [`${service}.crt`, certificate, 0o644],
    ['ca.crt', ca, 0o644],
    ['ca.crl', crl, 0o644],
  ]);
  output.line(`${oneLine(service)}: ${serial}, until ${new Date(expiresAt).toISOString()}`);
  for (const file of files) output.line(`  ${file}`);
  output.document({ v: 1, service, serial, expiresAt, files });
}

async function revoke(
  { options, output }: Surroundings<RevokeOptions>,
  service: string | undefined,
): Promise<void> {
  if ((service === undefined) === (options.serial === undefined)) {
    throw new CommandError(
      'ca revoke needs a service or --serial',
      'Name the service whose certificates are revoked, or one certificate by --serial.',
    );
  }
  const authority = await CertificateAuthority.open(resolve(options.dir));
  const { serial } = options;
  const revoked = await authority.revoke(
    service === undefined ? { serial } : { serviceId: service },
  );
  for (const one of revoked) output.line(`revoked ${one.serial} of ${oneLine(one.serviceId)}`);
  if (revoked.length === 0) output.line(`revoked the tokens of ${oneLine(service ?? '')}`);
  output.document({ v: 1, revoked });
}

async function rotate({ options, output }: Surroundings<RotateOptions>): Promise<void> {
  const authority = await CertificateAuthority.open(resolve(options.dir));
  const root = options.root === true;
  await authority.rotate({
    root,
    overlap: optional('--overlap', options.overlap),
    rootDirectory: options.rootDir === undefined ? undefined : resolve(options.rootDir),
  });
  const { roots, issuerExpiresAt } = await authority.status();
  output.line(
    root
      ? 'the new root is in the bundle; give the bundle to every service before the root comes into use'
      : `the new issuer is in use, until ${new Date(issuerExpiresAt).toISOString()}`,
  );
  output.document({ v: 1, roots, issuerExpiresAt });
}

async function bundle({ options, output }: Surroundings<BundleOptions>): Promise<void> {
  const authority = await CertificateAuthority.open(resolve(options.dir));
  const { ca, crl, version } = await authority.bundle();
  if (options.out === undefined) {
    output.line(ca.trimEnd());
    output.document({ v: 1, version, ca, crl });
    return;
  }
  const files = write(resolve(options.out), [
    ['ca.crt', ca, 0o644],
    ['ca.crl', crl, 0o644],
  ]);
  for (const file of files) output.line(file);
  output.document({ v: 1, version, files });
}

async function token(
  { options, output }: Surroundings<TokenOptions>,
  service: string,
): Promise<void> {
  const authority = await CertificateAuthority.open(resolve(options.dir));
  const uses = Number(options.uses);
  const made = await authority.token(service, { uses, ttl: duration('--ttl', options.ttl) });
  output.line(made.token);
  output.document({ v: 1, service, uses, ...made });
  if (process.stdout.isTTY) {
    output.remark(
      `It is a secret, good for ${uses === 1 ? 'one certificate' : `${uses} certificates`} of ${oneLine(service)}.`,
    );
  }
}

async function status({ options, output }: Surroundings<DirOptions>): Promise<void> {
  const authority = await CertificateAuthority.open(resolve(options.dir));
  const found = await authority.status();
  output.line(`trust domain  ${found.trustDomain}`);
  for (const root of found.roots) output.line(`root          ${root}`);
  output.line(`issuer until  ${new Date(found.issuerExpiresAt).toISOString()}`);
  output.line(`certificates  ${found.issued} valid, ${found.revoked} of them revoked`);
  output.line(`tokens        ${found.tokens} with uses left`);
  output.document({ v: 1, ...found });
}

function optional(option: string, given: string | undefined): string | undefined {
  return given === undefined ? undefined : duration(option, given);
}

/** Writes files that a running service may read at the same time: each appears as a whole. */
function write(directory: string, files: readonly [string, string, number][]): string[] {
  mkdirSync(directory, { recursive: true });
  return files.map(([name, text, mode]) => {
    const path = join(directory, name);
    const temporary = `${path}.${process.pid}.tmp`;
    try {
      writeFileSync(temporary, text, { mode, flag: 'wx' });
      renameSync(temporary, path);
    } finally {
      rmSync(temporary, { force: true });
    }
    return path;
  });
}
