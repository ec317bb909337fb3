// M3 and M4.
import { seal, unseal } from './aead.js';
import { entries, Reader, Writer } from './bytes.js';
import { HANDSHAKE } from './constants.js';
import { message, read } from './handshake-message.js';
import { hash, hmac } from './kdf.js';
import type { Stage2, Stage3 } from './schedule.js';

const ZERO = Buffer.alloc(12);

/** The sealed content of M3 and M4. */
export interface Finish {
  token: string;
  parameters: Map<number, Buffer>;
}

/** `wrapped` is `ct_c`: empty in a resumption. */
export function writeClientFinish(
  finish: Finish,
  stage: Stage2,
  hellos: Buffer,
  wrapped: Buffer,
): Buffer {
  const associated = Buffer.concat([stage.th2, wrapped]);
  const sealed = seal(stage.handshakeKey, ZERO, write(finish), associated);
  const body = new Writer().vec16(wrapped).vec16(sealed).done();
  return message(HANDSHAKE.clientFinish, body, 32, (before) =>
    hmac(stage.finishedKey, hash(hellos, before)),
  );
}

export function readClientFinish(
  bytes: Buffer,
  stage: Stage2,
  hellos: Buffer,
): Finish & { wrapped: Buffer } {
  const reader = read(bytes, HANDSHAKE.clientFinish);
  const wrapped = reader.vec16();
  const sealed = reader.vec16();
  const before = bytes.subarray(0, reader.at);
  const finished = hmac(stage.finishedKey, hash(hellos, before));
  if (!reader.raw(32).equals(finished)) throw new Error('M3 finished');
  reader.end();
  const associated = Buffer.concat([stage.th2, wrapped]);
  return { wrapped, ...parse(unseal(stage.handshakeKey, ZERO, sealed, associated)) };
}

/** `before3` is M1 ‖ M2 ‖ M3. */
export function writeServerFinish(
  finish: Finish,
  stage: Stage3,
  before3: Buffer,
  th3: Buffer,
): Buffer {
  const sealed = seal(stage.handshakeKey, ZERO, write(finish), th3);
  const body = new Writer().vec16(sealed).done();
  return message(HANDSHAKE.serverFinish, body, 32, (before) =>
    hmac(stage.finishedKey, hash(before3, before)),
  );
}

export function readServerFinish(
  bytes: Buffer,
  stage: Stage3,
  before3: Buffer,
  th3: Buffer,
): Finish {
  const reader = read(bytes, HANDSHAKE.serverFinish);
  const sealed = reader.vec16();
  const before = bytes.subarray(0, reader.at);
  const finished = hmac(stage.finishedKey, hash(before3, before));
  if (!reader.raw(32).equals(finished)) throw new Error('M4 finished');
  reader.end();
  return parse(unseal(stage.handshakeKey, ZERO, sealed, th3));
}

/** A number of four bytes, as a parameter's value. */
export const u32 = (value: number): Buffer => new Writer().u32(value).done();

function write(finish: Finish): Buffer {
  const parameters = new Writer();
  for (const [tag, value] of finish.parameters) parameters.u8(tag).vec16(value);
  return new Writer().vec16(finish.token).vec16(parameters.done()).done();
}

function parse(plaintext: Buffer): Finish {
  const reader = new Reader(plaintext);
  const token = reader.vec16().toString();
  const parameters = entries(reader.vec16(), (each) => each.u8());
  reader.end();
  return { token, parameters };
}
