// Certificates of the real `openssl`, in a directory of their own.
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** The files of one service, as `security.certificate` takes them. */
export interface Files {
  cert: string;
  key: string;
  ca: string;
}

/** An authority with a directory of its own. */
export class Authority {
  readonly directory = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-authority-'));

  constructor(
    name = 'Test Root',
    readonly domain = 'shop.example',
  ) {
    onTestFinished(() => rmSync(this.directory, { recursive: true, force: true }));
    this.run(
      ...`req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout ca.key -out ca.crt
        -days 30 -addext basicConstraints=critical,CA:TRUE
        -addext keyUsage=critical,keyCertSign,cRLSign`.split(/\s+/),
      '-subj',
      `/CN=${name}`,
    );
    writeFileSync(this.path('index.txt'), '');
    writeFileSync(this.path('number'), '01\n');
    const section = 'database=index.txt\ncrlnumber=number\ndefault_md=sha256\ndefault_crl_days=1\n';
    const rest = 'new_certs_dir=.\nrand_serial=yes\npolicy=p\n[p]\ncommonName=supplied\n';
    writeFileSync(this.path('ca.cnf'), `[ca]\ndefault_ca=d\n[d]\n${section}${rest}`);
  }

  path(file: string): string {
    return join(this.directory, file);
  }

  run(...args: string[]): string {
    return execFileSync('openssl', args, {
      cwd: this.directory,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  /** Makes an intermediate under the root, in the files of `name`. */
  intermediate(name: string): void {
    this.run(
      ...'req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc'.split(' '),
      ...['-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`],
    );
    writeFileSync(
      this.path(`${name}.cnf`),
      'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n',
    );
    this.run(
      ...`x509 -req -in ${name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 20
        -extfile ${name}.cnf -out ${name}.crt`.split(/\s+/),
    );
  }

  /**
   * Issues a certificate for `id`, in the files of `id`; with `dns` for tools that compare host names. With `issuer`, an
   * intermediate, that one signs, and its certificate follows the leaf. `between` are its first and its last moment,
   * instead of now and `days` later.
   */
  issue(
    id: string,
    {
      key = 'ec',
      days = '2',
      dns = '',
      issuer = 'ca',
      between,
    }: {
      key?: string;
      days?: string;
      dns?: string;
      issuer?: string;
      between?: [Date, Date];
    } = {},
  ): Files {
    const kinds: Record<string, string[]> = {
      ec: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
      rsa: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
      ed25519: ['-algorithm', 'ED25519'],
    };
    this.run('genpkey', ...kinds[key]!, '-out', `${id}.key`);
    chmodSync(this.path(`${id}.key`), 0o600);
    this.run('req', '-new', '-key', `${id}.key`, '-subj', `/CN=${id}`, '-out', `${id}.csr`);
    writeFileSync(
      this.path(`${id}.cnf`),
      [
        'basicConstraints=critical,CA:FALSE',
        'keyUsage=critical,digitalSignature',
        'extendedKeyUsage=serverAuth,clientAuth',
        `subjectAltName=URI:spiffe://${this.domain}/ns/test/sa/${id}${dns && `,DNS:${dns}`}`,
      ].join('\n'),
    );
    const [from, to] = (between ?? []).map((at) => at.toISOString().replace(/[-:T]|\.\d+/g, ''));
    this.run(
      ...(from === undefined
        ? `x509 -req -in ${id}.csr -CA ${issuer}.crt -CAkey ${issuer}.key -CAcreateserial -days ${days}
            -extfile ${id}.cnf -out ${id}.crt`
        : `ca -config ca.cnf -batch -notext -in ${id}.csr -cert ${issuer}.crt -keyfile ${issuer}.key
            -startdate ${from} -enddate ${to} -extfile ${id}.cnf -out ${id}.crt`
      ).split(/\s+/),
    );
    if (issuer !== 'ca')
      appendFileSync(this.path(`${id}.crt`), readFileSync(this.path(`${issuer}.crt`)));
    return { cert: this.path(`${id}.crt`), key: this.path(`${id}.key`), ca: this.path('ca.crt') };
  }

  /** Revokes the certificate of `id`, and writes the list of its issuer. */
  revoke(id?: string, issuer = 'ca'): string {
    const ca = ['ca', '-config', 'ca.cnf', '-keyfile', `${issuer}.key`, '-cert', `${issuer}.crt`];
    if (id !== undefined) this.run(...ca, '-revoke', `${id}.crt`);
    this.run(...ca, '-gencrl', '-out', `${issuer}.crl`);
    return this.path(`${issuer}.crl`);
  }
}
