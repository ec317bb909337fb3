// The byte strings of the protocol: big-endian numbers, and vectors with a length prefix of one, two or four
// bytes.

export class Writer {
  readonly #parts: Uint8Array[] = [];

  u8(value: number): this {
    return this.raw(Uint8Array.of(value));
  }
  u16(value: number): this {
    const bytes = Buffer.alloc(2);
    bytes.writeUInt16BE(value);
    return this.raw(bytes);
  }
  u32(value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return this.raw(bytes);
  }
  u64(value: bigint): this {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(value);
    return this.raw(bytes);
  }
  vec8(bytes: Uint8Array | string): this {
    const content = Buffer.from(bytes);
    return this.u8(content.length).raw(content);
  }
  vec16(bytes: Uint8Array | string): this {
    const content = Buffer.from(bytes);
    return this.u16(content.length).raw(content);
  }
  vec32(bytes: Uint8Array | string): this {
    const content = Buffer.from(bytes);
    return this.u32(content.length).raw(content);
  }
  raw(bytes: Uint8Array): this {
    this.#parts.push(bytes);
    return this;
  }
  done(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/** Reads the output of {@link Writer}; throws if the bytes end too early. */
export class Reader {
  #at = 0;
  constructor(readonly bytes: Buffer) {}

  /** The number of bytes read. */
  get at(): number {
    return this.#at;
  }
  get left(): number {
    return this.bytes.length - this.#at;
  }
  raw(length: number): Buffer {
    if (length > this.left) throw new Error(`${length} bytes wanted, ${this.left} left`);
    this.#at += length;
    return this.bytes.subarray(this.#at - length, this.#at);
  }
  u8(): number {
    return this.raw(1).readUInt8();
  }
  u16(): number {
    return this.raw(2).readUInt16BE();
  }
  u32(): number {
    return this.raw(4).readUInt32BE();
  }
  u64(): bigint {
    return this.raw(8).readBigUInt64BE();
  }
  vec8(): Buffer {
    return this.raw(this.u8());
  }
  vec16(): Buffer {
    return this.raw(this.u16());
  }
  vec32(): Buffer {
    return this.raw(this.u32());
  }
  rest(): Buffer {
    return this.raw(this.left);
  }
  end(): void {
    if (this.left !== 0) throw new Error(`${this.left} bytes too many`);
  }
}

/** The entries of a list of `tag ‖ vec16 value`, read with `tag`. */
export function entries(bytes: Buffer, tag: (reader: Reader) => number): Map<number, Buffer> {
  const reader = new Reader(bytes);
  const found = new Map<number, Buffer>();
  while (reader.left > 0) found.set(tag(reader), reader.vec16());
  return found;
}
