// HTTP servers of tests that speak as the documentation of Consul and Kubernetes says, and lie when told to.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { onTestFinished } from 'vitest';

/** Answers a request in place of the usual answer. */
export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A server whose answers a test can replace. */
export abstract class HttpStub {
  /** What it was asked, as `METHOD /path?query`. */
  readonly asked: string[] = [];
  /** Replaces the usual answers while it is set. */
  lie: Answer | undefined;
  readonly #server: Server;
  protected port = 0;

  constructor() {
    this.#server = createServer((request, response) => {
      this.asked.push(`${request.method} ${request.url}`);
      response.on('error', () => {});
      if (this.lie !== undefined) return this.lie(request, response);
      let body = '';
      request.on('data', (text: Buffer) => (body += text.toString()));
      request.on('end', () => {
        const url = new URL(request.url ?? '/', 'http://stub');
        this.answer(request, response, url, body);
      });
    });
    onTestFinished(() => this.stop());
  }

  /** Listens, on the former port after a stop. */
  start(): Promise<this> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.port, '127.0.0.1', () => {
        const address = this.#server.address();
        if (typeof address === 'object' && address !== null) this.port = address.port;
        resolve(this);
      });
    });
  }

  /** Listens no more, and ends what is under way. */
  stop(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  protected abstract answer(
    request: IncomingMessage,
    response: ServerResponse,
    url: URL,
    body: string,
  ): void;
}

/** Answers of a hostile or faulty server: the name says which. */
export const LIES: Record<string, Answer> = {
  'an error page': (_, response) => void response.writeHead(500).end('boom'),
  'wrong types': (_, response) => void response.end('{"items": 7, "metadata": []}'),
  'no JSON': (_, response) => void response.end('<html>'),
  'an answer that never begins': () => {},
  'an answer without end': (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.write('[');
    const piece = Buffer.alloc(1 << 20, ' ');
    const more = (): void => {
      while (!response.destroyed && response.write(piece));
    };
    response.on('drain', more);
    more();
  },
  'a connection that breaks': (_, response) => void response.destroy(),
};

interface Entry {
  host: string;
  port: number;
  meta?: Record<string, string>;
}

/** A Consul agent: health of a service with blocking queries, and registration with TTL checks. */
export class ConsulStub extends HttpStub {
  index = 10;
  instances: unknown[] = [];
  readonly registered = new Map<string, any>();
  readonly passed: string[] = [];
  token = 'a-token-of-consul';
  /** The token lacks rights: Consul leaves out what it may not read, and says so. */
  filtered = false;
  readonly #waiting = new Set<() => void>();

  /** Replaces the instances of `server`. */
  set(...entries: (Entry | object)[]): void {
    this.instances = entries.map((entry) =>
      'host' in entry
        ? {
            Node: { Address: '192.0.2.1' },
            Service: {
              Address: entry.host,
              Port: entry.port,
              Meta: entry.meta,
            },
            Checks: [],
          }
        : entry,
    );
    this.index += 1;
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  protected answer(
    request: IncomingMessage,
    response: ServerResponse,
    url: URL,
    body: string,
  ): void {
    if (request.headers['x-consul-token'] !== this.token) {
      return void response.writeHead(403).end('Permission denied: token with no access');
    }
    const { pathname, searchParams } = url;
    if (pathname === '/v1/agent/service/register') {
      const service = JSON.parse(body);
      this.registered.set(service.ID, service);
      return void response.end();
    }
    if (pathname.startsWith('/v1/agent/check/pass/')) {
      const id = decodeURIComponent(pathname.slice('/v1/agent/check/pass/service:'.length));
      this.passed.push(id.replace(/^%3A/i, ''));
      const known = [...this.registered.keys()].some((one) => id.endsWith(one));
      return void response.writeHead(known ? 200 : 404).end(known ? '' : 'Unknown check');
    }
    if (pathname.startsWith('/v1/agent/service/deregister/')) {
      const id = decodeURIComponent(pathname.slice('/v1/agent/service/deregister/'.length));
      this.registered.delete(id);
      return void response.end();
    }
    if (pathname !== '/v1/health/service/server') return void response.writeHead(404).end();
    const send = (): void => {
      const filtered = this.filtered ? { 'x-consul-results-filtered-by-acls': 'true' } : {};
      response.writeHead(200, { 'x-consul-index': String(this.index), ...filtered });
      response.end(JSON.stringify(this.filtered ? [] : this.instances));
    };
    if (Number(searchParams.get('index') ?? 0) < this.index) return send();
    this.#waiting.add(send);
    response.on('close', () => this.#waiting.delete(send));
  }
}

/** The EndpointSlices of a Kubernetes API server, listed and watched. */
export class KubernetesStub extends HttpStub {
  version = 100;
  /** Versions below are gone. */
  oldest = 0;
  token = 'a-token-of-kubernetes';
  readonly slices = new Map<string, object>();
  readonly #watching = new Set<ServerResponse>();

  /** Adds or replaces a slice, and tells those that watch. */
  put(name: string, ...endpoints: object[]): void {
    this.version += 1;
    const type = this.slices.has(name) ? 'MODIFIED' : 'ADDED';
    const slice = {
      metadata: { name, resourceVersion: String(this.version) },
      ports: [{ name: 'mesh', port: (endpoints[0] as { port?: number })?.port ?? 1 }],
      endpoints,
    };
    this.slices.set(name, slice);
    this.tell({ type, object: slice });
  }

  remove(name: string): void {
    this.version += 1;
    const object = { metadata: { name, resourceVersion: String(this.version) } };
    this.slices.delete(name);
    this.tell({ type: 'DELETED', object });
  }

  bookmark(): void {
    this.version += 1;
    this.tell({
      type: 'BOOKMARK',
      object: { metadata: { resourceVersion: String(this.version) } },
    });
  }

  /** Sends a line to those that watch. */
  tell(event: unknown): void {
    const line = typeof event === 'string' ? event : JSON.stringify(event);
    for (const response of this.#watching) response.write(`${line}\n`);
  }

  /** Ends all watches. */
  end(): void {
    for (const response of this.#watching) response.end();
  }

  get watches(): number {
    return this.#watching.size;
  }

  protected answer(request: IncomingMessage, response: ServerResponse, url: URL): void {
    if (request.headers.authorization !== `Bearer ${this.token}`) {
      return void response.writeHead(401).end('{"kind":"Status","code":401}');
    }
    const { pathname, searchParams } = url;
    if (
      pathname !== '/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices' ||
      searchParams.get('labelSelector') !== 'kubernetes.io/service-name=server'
    ) {
      return void response.writeHead(404).end('{"kind":"Status","code":404}');
    }
    if (searchParams.get('watch') === 'true') {
      response.writeHead(200);
      if (Number(searchParams.get('resourceVersion')) < this.oldest) {
        response.end(
          `${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410 } })}\n`,
        );
        return;
      }
      response.flushHeaders();
      this.#watching.add(response);
      response.on('close', () => this.#watching.delete(response));
      return;
    }
    response.end(
      JSON.stringify({
        metadata: { resourceVersion: String(this.version) },
        items: [...this.slices.values()],
      }),
    );
  }
}
