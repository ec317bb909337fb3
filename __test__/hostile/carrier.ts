// Either side of one gRPC stream over one TCP connection.
import type * as http2 from 'node:http2';
import type { Socket } from 'node:net';
import { FrameReader, grpcMessage } from './grpc.js';
import { Queue } from './queue.js';

/** The gRPC status of an ended stream; `null` if it ended without one. */
export interface Ending {
  status: number | null;
  message: string;
}

export class Carrier {
  /** Frames that arrived before `onFrame` was set. */
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

  /** Passes all frames to `take`, beginning with those that have arrived. */
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

  /** Sends `data` as one frame, regardless of flow control. */
  send(data: Uint8Array): void {
    this.raw(grpcMessage(data));
  }

  /** Sends raw bytes, which need not be gRPC. */
  raw(bytes: Uint8Array): void {
    if (!this.closed && this.stream.writable) this.stream.write(bytes);
  }

  /** Stops reading: HTTP/2's window is not opened again, so the other side must wait. */
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
