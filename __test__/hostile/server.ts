// A server whose every answer the test controls.
import * as http2 from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { accept, type Accepted, type ServerOptions } from './acceptor.js';
import { Carrier } from './carrier.js';
import { PATH } from './constants.js';
import type { Message } from './messages.js';
import { Queue } from './queue.js';
import { Tickets } from './resumption.js';

/** The reaction to each message of a session. */
export type Respond = (message: Message, accepted: Accepted) => void;

export class Server {
  /** The established sessions. */
  readonly sessions = new Queue<Accepted>();
  /** The errors of aborted handshakes. */
  readonly failures: Error[] = [];
  /** The numbers of begun handshakes and of resumed sessions. */
  handshakes = 0;
  resumed = 0;
  readonly tickets: Tickets;
  readonly #server = http2.createServer();
  readonly #sockets = new Set<Socket>();
  /** Ends streams with a gRPC status as soon as M1 has arrived. */
  refuse: { status: number; message: string } | null = null;
  respond: Respond;

  private constructor(
    readonly options: ServerOptions,
    respond: Respond,
  ) {
    this.respond = respond;
    this.tickets = new Tickets(options.id);
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.#sockets.delete(socket));
    });
    this.#server.on('session', (session) => session.on('error', () => {}));
    this.#server.on('stream', (stream, headers) => {
      stream.on('error', () => {});
      if (headers[':path'] === PATH) void this.#stream(stream);
      else stream.close();
    });
  }

  static async listen(options: ServerOptions, respond: Respond, port = 0): Promise<Server> {
    const server = new Server(options, respond);
    await new Promise<void>((resolve) => server.#server.listen(port, '127.0.0.1', resolve));
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The server's entry for `discovery.services`. */
  get entry(): { id: string; host: string; port: number } {
    return { id: this.options.id, host: '127.0.0.1', port: this.port };
  }

  async #stream(stream: http2.ServerHttp2Stream): Promise<void> {
    this.handshakes += 1;
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc' },
      { waitForTrailers: true },
    );
    let { status, message } = { status: 0, message: '' };
    stream.on('wantTrailers', () => {
      const trailers = { 'grpc-status': String(status), 'grpc-message': encodeURI(message) };
      stream.sendTrailers(trailers);
    });
    const sockets = [...this.#sockets];
    const { remotePort } = stream.session!.socket;
    const socket = sockets.find((each) => each.remotePort === remotePort)!;
    const carrier = new Carrier(stream, socket);
    try {
      if (this.refuse !== null) {
        ({ status, message } = this.refuse);
        await carrier.frames.next();
        stream.end();
        return;
      }
      const accepted = await accept(this.options, this.tickets, carrier);
      if (accepted.session.resumed) this.resumed += 1;
      accepted.session.onMessage = (message) => this.respond(message, accepted);
      accepted.session.start();
      this.sessions.push(accepted);
    } catch (error) {
      this.failures.push(error as Error);
      stream.close();
    }
  }

  /** Ends every connection with a reset. */
  drop(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}
