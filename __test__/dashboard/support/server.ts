// A stand-in for the admin port: the built page under its headers, and answers that each test chooses.
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

/** The headers of the admin port. */
export const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const DIST = join(import.meta.dirname, '..', '..', '..', 'dashboard', 'dist');
const TYPES: Record<string, string> = {
  'index.html': 'text/html; charset=utf-8',
  'app.js': 'text/javascript; charset=utf-8',
  'app.css': 'text/css; charset=utf-8',
};

/** The answers of the server. Each may return a value, or a string that is sent as it is. */
export interface Answers {
  mesh: () => unknown;
  history?: (windowS: number, stepS: number) => unknown;
  /** Called for each reader of the live stream; returns the function that ends it. */
  live?: (send: (type: string, data: unknown) => void) => () => void;
  /** Asked for by the page when it is set. */
  token?: string;
}

export interface Port {
  url: string;
  answers: Answers;
  /** Paths in the order in which they were asked for. */
  asked: string[];
  /** Ends every connection and stops to listen, as a process that is killed. */
  kill(): Promise<void>;
  /** Listens again on the same port. */
  revive(): Promise<void>;
}

/** Starts the server on a free port. */
export async function serve(answers: Answers, port = 0): Promise<Port> {
  const asked: string[] = [];
  const self = { answers };
  let server: Server;
  const listen = (on: number): Promise<number> =>
    new Promise((resolve) => {
      server = createServer((request, response) => {
        asked.push(request.url ?? '');
        answer(self.answers, request, response);
      });
      server.listen(on, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
    });
  const at = await listen(port);
  return {
    url: `http://127.0.0.1:${at}/`,
    asked,
    get answers() {
      return self.answers;
    },
    set answers(next) {
      self.answers = next;
    },
    kill: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
    revive: async () => void (await listen(at)),
  };
}

function answer(answers: Answers, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://localhost');
  response.setHeader('content-security-policy', CSP);
  response.setHeader('x-content-type-options', 'nosniff');
  response.setHeader('referrer-policy', 'no-referrer');
  response.setHeader('cache-control', 'no-store');
  const file = url.pathname === '/' ? 'index.html' : url.pathname.slice(1);
  const type = TYPES[file];
  if (type !== undefined) {
    response.writeHead(200, { 'content-type': type }).end(readFileSync(join(DIST, file)));
    return;
  }
  if (url.pathname === '/login' && request.method === 'POST') {
    login(answers, request, response);
    return;
  }
  if (answers.token !== undefined && !(request.headers.cookie ?? '').includes('mesh=yes')) {
    response.writeHead(401).end();
    return;
  }
  const number = (name: string, fallback: number): number =>
    Number(url.searchParams.get(name) ?? fallback);
  switch (url.pathname) {
    case '/api/v1/mesh':
      json(response, answers.mesh());
      return;
    case '/api/v1/history':
      json(
        response,
        answers.history?.(number('window', 3600), number('step', 10)) ?? {
          v: 1,
          stepMs: 10_000,
          spanMs: 3_600_000,
          series: [],
          events: [],
        },
      );
      return;
    case '/api/v1/events':
      live(answers, request, response);
      return;
    default:
      response.writeHead(404).end();
  }
}

function json(response: ServerResponse, value: unknown): void {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  response.writeHead(200, { 'content-type': 'application/json' }).end(text);
}

function login(answers: Answers, request: IncomingMessage, response: ServerResponse): void {
  let body = '';
  request.setEncoding('utf8').on('data', (text: string) => (body += text));
  request.on('end', () => {
    const { token } = JSON.parse(body) as { token: string };
    if (token !== answers.token) response.writeHead(401).end();
    else {
      response
        .writeHead(204, { 'set-cookie': 'mesh=yes; HttpOnly; SameSite=Strict; Path=/' })
        .end();
    }
  });
}

function live(answers: Answers, request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.flushHeaders();
  let id = 0;
  const end = answers.live?.((type, data) => {
    const text = typeof data === 'string' ? data : JSON.stringify(data);
    response.write(`id: ${++id}\nevent: ${type}\ndata: ${text}\n\n`);
  });
  request.on('close', () => end?.());
}
