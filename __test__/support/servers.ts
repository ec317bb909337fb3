// Real servers of Debian for tests: etcd, bind9 and Redis. `scripts/servers.mjs` installs them.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { sleep } from './promises.js';

/** Whether a program can be started here. */
export function installed(program: string): boolean {
  return spawnSync('sh', ['-c', `PATH=$PATH:/usr/sbin command -v ${program}`]).status === 0;
}

/** A TCP port that nobody uses now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

async function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** A directory that is removed after the test. */
export function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'mesh-servers-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A program that is killed after the test, and can be killed and started again before. */
class Daemon {
  readonly #command: string;
  readonly #args: string[];
  readonly port: number;
  #child: ChildProcess | undefined;
  #output = '';

  constructor(command: string, args: string[], port: number) {
    this.#command = command;
    this.#args = args;
    this.port = port;
    onTestFinished(() => this.kill());
  }

  async start(): Promise<void> {
    const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` };
    const child = spawn(this.#command, this.#args, { stdio: ['ignore', 'pipe', 'pipe'], env });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on(
        'data',
        (text: Buffer) => (this.#output = `${this.#output}${text.toString()}`.slice(-10_000)),
      );
    }
    this.#child = child;
    for (let tries = 0; tries < 200; tries += 1) {
      if (await accepts(this.port)) return;
      if (child.exitCode !== null) break;
      await sleep(50);
    }
    throw new Error(`${this.#command} does not start: ${this.#output}`);
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await gone;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }
}

/** One etcd, and its JSON gateway for what a test does beside the mesh. */
export class Etcd extends Daemon {
  static async start(): Promise<Etcd> {
    const [client, peer] = [await freePort(), await freePort()];
    const at = (port: number): string => `http://127.0.0.1:${port}`;
    const etcd = new Etcd(
      'etcd',
      [
        ['--data-dir', scratch()],
        ['--listen-client-urls', at(client), '--advertise-client-urls', at(client)],
        ['--listen-peer-urls', at(peer), '--initial-advertise-peer-urls', at(peer)],
        ['--initial-cluster', `default=${at(peer)}`, '--log-level', 'error'],
      ].flat(),
      client,
    );
    await etcd.start();
    // It accepts connections before it has a leader.
    for (let tries = 0; tries < 100; tries += 1) {
      const answer = await etcd.ask('kv/range', { key: base64('x') }).catch(() => undefined);
      if (answer !== undefined) return etcd;
      await sleep(100);
    }
    throw new Error('etcd has no leader');
  }

  /** One etcd with TLS, which may have no leader yet. */
  static async startWithTls({ cert, key }: { cert: string; key: string }): Promise<Etcd> {
    const [client, peer] = [await freePort(), await freePort()];
    const at = `https://localhost:${client}`;
    const peers = `http://127.0.0.1:${peer}`;
    const etcd = new Etcd(
      'etcd',
      [
        ['--data-dir', scratch(), '--cert-file', cert, '--key-file', key],
        ['--listen-client-urls', `https://127.0.0.1:${client}`, '--advertise-client-urls', at],
        ['--listen-peer-urls', peers, '--initial-advertise-peer-urls', peers],
        ['--initial-cluster', `default=${peers}`, '--log-level', 'error'],
      ].flat(),
      client,
    );
    await etcd.start();
    return etcd;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async ask(path: string, body: object, token?: string): Promise<any> {
    const headers = token === undefined ? undefined : { authorization: token };
    const init = { method: 'POST', body: JSON.stringify(body), ...(headers && { headers }) };
    const answer = await fetch(`${this.url}/v3/${path}`, init);
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  put(key: string, value: string): Promise<unknown> {
    return this.ask('kv/put', { key: base64(key), value: base64(value) });
  }

  /** The keys of a folder. */
  async keys(folder: string): Promise<string[]> {
    const end = `${folder.slice(0, -1)}0`;
    const { kvs = [] } = await this.ask('kv/range', {
      key: base64(folder),
      range_end: base64(end),
    });
    return kvs.map(({ key }: { key: string }) => Buffer.from(key, 'base64').toString());
  }
}

/** One Redis with a password, which keeps nothing on disk. */
export class Redis extends Daemon {
  readonly password = 'a-password-of-redis';

  static async start(): Promise<Redis> {
    const port = await freePort();
    const redis = new Redis(
      'redis-server',
      [
        ['--port', String(port), '--bind', '127.0.0.1', '--dir', scratch()],
        ['--save', '', '--appendonly', 'no', '--requirepass', 'a-password-of-redis'],
      ].flat(),
      port,
    );
    await redis.start();
    return redis;
  }

  get url(): string {
    return `redis://:${this.password}@127.0.0.1:${this.port}`;
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

/** One bind9 with the zone `mesh.test`, whose records a test replaces. */
export class Bind extends Daemon {
  #directory = '';
  #serial = 1;

  static async start(...records: string[]): Promise<Bind> {
    const port = await freePort();
    const directory = scratch();
    const bind = new Bind('named', ['-g', '-4', '-c', join(directory, 'named.conf')], port);
    bind.#directory = directory;
    writeFileSync(
      join(directory, 'named.conf'),
      `options {
        directory "${directory}"; pid-file none; session-keyfile none; managed-keys-directory "${directory}";
        listen-on port ${port} { 127.0.0.1; }; recursion no; dnssec-validation no; max-records-per-type 0;
      };
      controls { };
      zone "mesh.test" { type primary; file "zone"; };`,
    );
    bind.#write(records);
    await bind.start();
    return bind;
  }

  get server(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Replaces the records of the zone. */
  records(...records: string[]): void {
    this.#write(records);
    this.signal('SIGHUP');
  }

  /** Writes a zone that cannot be loaded: the server answers SERVFAIL after a restart. */
  breakZone(): void {
    writeFileSync(join(this.#directory, 'zone'), 'this is no zone\n');
  }

  #write(records: string[]): void {
    this.#serial += 1;
    const head = `$TTL 1\n@ IN SOA ns hostmaster ${this.#serial} 60 60 600 1\n@ IN NS ns\nns IN A 127.0.0.1\n`;
    writeFileSync(join(this.#directory, 'zone'), `${head}${records.join('\n')}\n`);
  }
}
