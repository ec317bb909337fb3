// Section 5: records, separately for each direction.
import { seal, unseal } from './aead.js';
import { PROTOCOL_VERSION, RECORD } from './constants.js';
import { expand, hmac } from './kdf.js';

const HEADER = 20;
const TAG = 16;
const MAC = 32;

/** The keys of one direction in one epoch. */
class Epoch {
  readonly #secret: Buffer;
  readonly #key: Buffer;
  readonly #iv: Buffer;
  readonly #mac: Buffer;

  constructor(
    secret: Buffer,
    readonly aes: number,
    readonly number = 0,
  ) {
    this.#secret = secret;
    this.#key = expand(secret, 'key', '', aes / 8);
    this.#iv = expand(secret, 'iv', '', 12);
    this.#mac = expand(secret, 'mac', '', 32);
  }
  get tokenKey(): Buffer {
    return expand(this.#secret, 'token', '', 32);
  }
  next(): Epoch {
    return new Epoch(expand(this.#secret, 'rekey', '', 32), this.aes, this.number + 1);
  }
  nonce(sequence: bigint): Buffer {
    const nonce = Buffer.from(this.#iv);
    nonce.writeBigUInt64BE(nonce.readBigUInt64BE(4) ^ sequence, 4);
    return nonce;
  }
  seal(header: Buffer, sequence: bigint, plaintext: Uint8Array): Buffer {
    const sealed = seal(this.#key, this.nonce(sequence), plaintext, header);
    return Buffer.concat([header, sealed, hmac(this.#mac, header, sealed)]);
  }
  open(record: Buffer, sequence: bigint): Buffer {
    const header = record.subarray(0, HEADER);
    const sealed = record.subarray(HEADER, -MAC);
    if (!record.subarray(-MAC).equals(hmac(this.#mac, header, sealed))) throw new Error('mac');
    return unseal(this.#key, this.nonce(sequence), sealed, header);
  }
}

/** The parts of a record before it is sealed; a test can corrupt all of them except the plaintext. */
export interface RecordParts {
  type?: number;
  flags?: number;
  version?: number;
  epoch?: number;
  sequence?: bigint;
}

/** The sending side of a direction. */
export class Sealer {
  #epoch: Epoch;
  sequence = 0n;

  constructor(secret: Buffer, aes: number) {
    this.#epoch = new Epoch(secret, aes);
  }
  get epoch(): number {
    return this.#epoch.number;
  }
  get tokenKey(): Buffer {
    return this.#epoch.tokenKey;
  }
  seal(plaintext: Uint8Array, parts: RecordParts = {}): Buffer {
    const sequence = parts.sequence ?? this.sequence;
    const header = Buffer.alloc(HEADER);
    header.writeUInt8(parts.version ?? PROTOCOL_VERSION, 0);
    header.writeUInt8(parts.type ?? RECORD.messages, 1);
    header.writeUInt16BE(parts.flags ?? 0, 2);
    header.writeUInt32BE(parts.epoch ?? this.#epoch.number, 4);
    header.writeBigUInt64BE(sequence, 8);
    header.writeUInt32BE(plaintext.length, 16);
    if (parts.sequence === undefined) this.sequence += 1n;
    return this.#epoch.seal(header, sequence, plaintext);
  }
  /** Returns the record that ends this epoch; later records belong to the next one. */
  rekey(): Buffer {
    const record = this.seal(Buffer.alloc(0), { type: RECORD.rekey });
    this.#epoch = this.#epoch.next();
    return record;
  }
}

/** The receiving side of a direction; it tolerates no error. */
export class Opener {
  #epoch: Epoch;
  sequence = 0n;

  constructor(secret: Buffer, aes: number) {
    this.#epoch = new Epoch(secret, aes);
  }
  get epoch(): number {
    return this.#epoch.number;
  }
  get tokenKey(): Buffer {
    return this.#epoch.tokenKey;
  }
  /** The plaintexts of the records in a frame that are messages. */
  open(frame: Buffer): Buffer[] {
    const plaintexts: Buffer[] = [];
    let rest = frame;
    while (rest.length > 0) {
      if (rest.length < HEADER) throw new Error('a record without a header');
      const size = HEADER + rest.readUInt32BE(16) + TAG + MAC;
      if (rest.length < size) throw new Error('a record that ends too early');
      const plaintext = this.#one(rest.subarray(0, size));
      if (plaintext !== null) plaintexts.push(plaintext);
      rest = rest.subarray(size);
    }
    return plaintexts;
  }
  #one(record: Buffer): Buffer | null {
    if (record.readUInt8(0) !== PROTOCOL_VERSION) throw new Error('record version');
    const type = record.readUInt8(1);
    if (record.readUInt16BE(2) !== 0) throw new Error('record flags');
    if (record.readUInt32BE(4) !== this.#epoch.number) throw new Error('record epoch');
    if (record.readBigUInt64BE(8) !== this.sequence) throw new Error('record sequence');
    const plaintext = this.#epoch.open(record, this.sequence);
    this.sequence += 1n;
    if (type === RECORD.messages) return plaintext;
    if (type !== RECORD.rekey || plaintext.length !== 0) throw new Error(`record type ${type}`);
    this.#epoch = this.#epoch.next();
    return null;
  }
}
