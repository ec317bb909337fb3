// One gRPC stream over one TCP connection, either side of it.
import type * as http2 from 'node:http2';
import type { Socket } from 'node:net';
import { FrameReader, grpcMessage } from './grpc.js';
import { Queue } from './queue.js';

/** How a stream ended, as gRPC says it; `null` where it ended without a word. */
export interface Ending {
  status: number | null;
  message: string;
}

export class Carrier {
  /** Frames that came while nobody had set `onFrame`. */
  readonly frames = new Queue<Buffer>();
  readonly ended: Promise<Ending>;
  #onFrame: ((frame: Buffer) => void) | null = null;
  #end!: (ending: Ending) => void;

  constructor(
    readonly stream: http2.Http2Stream,
    readonly socket: Socket,
  ) {
    this.ended = new Promise((resolve) => (this.#end = resolve));
    const reader = new FrameReader();
    stream.on('data', (chunk: Buffer) => {
      for (const frame of reader.push(chunk)) this.#take(frame);
    });
    stream.on('error', () => this.over(null, 'the stream broke'));
    stream.on('close', () => this.over(null, 'the stream closed'));
  }

  /** From now on frames go to `take`, beginning with those that have come. */
  onFrame(take: (frame: Buffer) => void): void {
    this.#onFrame = take;
    for (const frame of this.frames.drain()) take(frame);
  }

  #take(frame: Buffer): void {
    if (this.#onFrame === null) this.frames.push(frame);
    else this.#onFrame(frame);
  }

  over(status: number | null, message: string): void {
    this.#end({ status, message });
    this.frames.fail(new Error(`over: ${status} ${message}`));
  }

  get closed(): boolean {
    return this.stream.destroyed || this.stream.closed;
  }

  /** Sends `data` as one frame, whatever the other side has room for. */
  send(data: Uint8Array): void {
    this.raw(grpcMessage(data));
  }

  /** Sends bytes as they are: they need not be gRPC. */
  raw(bytes: Uint8Array): void {
    if (!this.closed && this.stream.writable) this.stream.write(bytes);
  }

  /** Stops reading: HTTP/2's window is not opened again, and the other side has to wait. */
  pause(): void {
    this.stream.pause();
  }
  resume(): void {
    this.stream.resume();
  }

  /** Ends the connection with a TCP reset. */
  reset(): void {
    this.socket.resetAndDestroy();
  }
  /** Ends the connection with a FIN. */
  close(): void {
    this.socket.destroy();
  }
}
