// The key schedule of section 3.
import { expand, extract } from './kdf.js';

/** The keys from the mesh secret; without one, the secret is 32 zero bytes and its id 8 zero bytes. */
export class Membership {
  readonly prk0: Buffer;
  readonly secretId: Buffer;

  constructor(secret: string | null) {
    const bytes = secret === null ? Buffer.alloc(32) : Buffer.from(secret, 'utf8');
    this.prk0 = extract('ssm mesh secret v1', bytes);
    this.secretId = secret === null ? Buffer.alloc(8) : expand(this.prk0, 'secret id', '', 8);
  }
  get clientHelloKey(): Buffer {
    return expand(this.prk0, 'client hello', '', 32);
  }
  get serverHelloKey(): Buffer {
    return expand(this.prk0, 'server hello', '', 32);
  }
}

/** The keys from the two hellos and `k_s`. */
export class Stage2 {
  readonly #prk2: Buffer;

  constructor(
    membership: Membership,
    readonly th2: Buffer,
    shared: Buffer,
    serverPart: Buffer,
  ) {
    const prk1 = extract(expand(membership.prk0, 'stage 1', th2, 32), shared);
    this.#prk2 = extract(expand(prk1, 'stage 2', th2, 32), serverPart);
  }
  get handshakeKey(): Buffer {
    return expand(this.#prk2, 'c handshake key', this.th2, 32);
  }
  get finishedKey(): Buffer {
    return expand(this.#prk2, 'c finished', this.th2, 32);
  }
  get tokenKey(): Buffer {
    return expand(this.#prk2, 'c token', this.th2, 32);
  }
  get sessionId(): Buffer {
    return expand(this.#prk2, 'session id', this.th2, 16);
  }
  next(th3: Buffer, clientPart: Buffer): Stage3 {
    return new Stage3(extract(expand(this.#prk2, 'stage 3', th3, 32), clientPart), th3);
  }
}

/** The keys from M3 and `k_c`. */
export class Stage3 {
  readonly #prk3: Buffer;
  readonly #th3: Buffer;

  constructor(prk3: Buffer, th3: Buffer) {
    this.#prk3 = prk3;
    this.#th3 = th3;
  }
  get handshakeKey(): Buffer {
    return expand(this.#prk3, 's handshake key', this.#th3, 32);
  }
  get finishedKey(): Buffer {
    return expand(this.#prk3, 's finished', this.#th3, 32);
  }
  get tokenKey(): Buffer {
    return expand(this.#prk3, 's token', this.#th3, 32);
  }
  /** The psk of the next resumption. */
  get resumption(): Buffer {
    return expand(this.#prk3, 'resumption', this.#th3, 32);
  }
  /** Traffic secret 0 of one direction. */
  traffic(direction: 'c' | 's', th4: Buffer): Buffer {
    return expand(this.#prk3, `${direction} traffic`, th4, 32);
  }
}
