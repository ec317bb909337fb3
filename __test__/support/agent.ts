// An agent of the SPIFFE Workload API, over a real Unix socket, which gives what a test tells it.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  Server,
  ServerCredentials,
  status,
  type Metadata,
  type ServerWritableStream,
} from '@grpc/grpc-js';
import { onTestFinished } from 'vitest';
import type { Authority } from './authority.js';
import { scratch } from './servers.js';

/** An identity, as the standard's message has it. */
export interface Svid {
  spiffeId?: string;
  chain?: Buffer;
  key?: Buffer;
  bundle?: Buffer;
}

/** An answer; `code` ends the stream with an error instead, `raw` is sent as it is. */
export interface Answer {
  svids?: Svid[];
  crl?: Buffer[];
  federated?: Record<string, Buffer>;
  raw?: Buffer;
  code?: status;
}

/** A field whose value has a length: all fields of these messages. */
function field(number: number, value: Buffer | string = ''): Buffer {
  const bytes = Buffer.from(value as Buffer);
  if (bytes.length === 0) return bytes;
  const length: number[] = [];
  for (let rest = bytes.length; ; rest >>>= 7) {
    length.push(rest > 127 ? (rest & 127) | 128 : rest);
    if (rest <= 127) break;
  }
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), bytes]);
}

function encode({ svids = [], crl = [], federated = {}, raw }: Answer): Buffer {
  if (raw !== undefined) return raw;
  const identities = svids.map(({ spiffeId, chain, key, bundle }) =>
    Buffer.concat([field(1, spiffeId), field(2, chain), field(3, key), field(4, bundle)]),
  );
  const others = Object.entries(federated).map(([domain, bundle]) =>
    Buffer.concat([field(1, domain), field(2, bundle)]),
  );
  return Buffer.concat([
    ...identities.map((one) => field(1, one)),
    ...crl.map((list) => field(2, list)),
    ...others.map((one) => field(3, one)),
  ]);
}

/** The certificates of a PEM file in DER, one behind the other. */
export function der(file: string): Buffer {
  const blocks = readFileSync(file, 'utf8').match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----/g);
  return Buffer.concat(
    (blocks ?? []).map((block) =>
      block.includes('X509 CRL')
        ? Buffer.from(block.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64')
        : new X509Certificate(block).raw,
    ),
  );
}

/** Issues a certificate for `id`, as an agent gives it. */
export function svid(authority: Authority, id: string): Required<Svid> {
  const { cert, key, ca } = authority.issue(id);
  const [uri] = new X509Certificate(readFileSync(cert)).subjectAltName!.split(', ');
  return {
    spiffeId: uri!.replace('URI:', ''),
    chain: der(cert),
    key: createPrivateKey(readFileSync(key)).export({ type: 'pkcs8', format: 'der' }),
    bundle: der(ca),
  };
}

type Stream = ServerWritableStream<Buffer, Answer>;

/** The agent. */
export class Agent {
  readonly socket = join(scratch(), 'agent.sock');
  /** The headers of each request. */
  readonly headers: Metadata[] = [];
  #current: Answer;
  #server: Server | undefined;
  readonly #streams = new Set<Stream>();

  constructor(answer: Answer) {
    this.#current = answer;
    onTestFinished(() => this.stop());
  }

  /** The value of the option. */
  get uri(): string {
    return `unix://${this.socket}`;
  }

  async start(): Promise<this> {
    const server = new Server();
    const method = {
      path: '/SpiffeWorkloadAPI/FetchX509SVID',
      requestStream: false,
      responseStream: true,
      requestSerialize: (bytes: Buffer) => bytes,
      requestDeserialize: (bytes: Buffer) => bytes,
      responseSerialize: encode,
      responseDeserialize: () => ({}),
    };
    server.addService({ fetch: method }, { fetch: (stream: Stream) => this.#answer(stream) });
    await new Promise<void>((resolve, reject) => {
      const credentials = ServerCredentials.createInsecure();
      server.bindAsync(`unix:${this.socket}`, credentials, (error) =>
        error === null ? resolve() : reject(error),
      );
    });
    this.#server = server;
    return this;
  }

  #answer(stream: Stream): void {
    this.headers.push(stream.metadata);
    this.#streams.add(stream);
    stream.on('close', () => this.#streams.delete(stream));
    stream.on('cancelled', () => this.#streams.delete(stream));
    // The standard refuses a request without it.
    if (stream.metadata.get('workload.spiffe.io')[0] !== 'true') {
      stream.emit('error', { code: status.INVALID_ARGUMENT, details: 'the header is missing' });
    } else {
      this.#send(stream);
    }
  }

  #send(stream: Stream): void {
    const { code } = this.#current;
    if (code === undefined) return void stream.write(this.#current);
    stream.emit('error', { code, details: 'no identity issued' });
  }

  /** Gives this from now on. */
  give(answer: Answer): void {
    this.#current = answer;
    for (const stream of this.#streams) this.#send(stream);
  }

  /** Ends at once. */
  stop(): void {
    this.#server?.forceShutdown();
    this.#server = undefined;
  }
}
