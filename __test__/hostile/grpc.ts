// gRPC's framing of `Frame { bytes data = 1 }`.

const FIELD_1_BYTES = 0x0a;

/** One gRPC message that holds a Frame with `data`. */
export function grpcMessage(data: Uint8Array): Buffer {
  const frame = Buffer.concat([Buffer.from([FIELD_1_BYTES]), varint(data.length), data]);
  return grpcEnvelope(frame);
}

/** The five bytes of the prefix, and the unmodified message. */
export function grpcEnvelope(content: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(content.length, 1);
  return Buffer.concat([head, content]);
}

/** Splits the bytes of a stream into the data of its Frames. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #size = 0;

  push(chunk: Buffer): Buffer[] {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    const found: Buffer[] = [];
    for (;;) {
      if (this.#size < 5) return found;
      const all = this.#join();
      const length = all.readUInt32BE(1);
      if (all.length < 5 + length) return found;
      found.push(frameData(all.subarray(5, 5 + length)));
      this.#chunks = [all.subarray(5 + length)];
      this.#size = all.length - 5 - length;
    }
  }
  #join(): Buffer {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0] as Buffer;
  }
}

function frameData(frame: Buffer): Buffer {
  if (frame.length === 0) return frame;
  if (frame[0] !== FIELD_1_BYTES) throw new Error(`protobuf tag ${frame[0]}`);
  let [length, at] = [0, 1];
  for (let shift = 0; ; shift += 7) {
    const byte = frame.readUInt8(at++);
    length += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) break;
  }
  if (frame.length !== at + length) throw new Error('a Frame with more than data');
  return frame.subarray(at);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  return Buffer.from([...bytes, rest]);
}
