// The chain of an audit log: each line has its number and the hash of the line before. Checkpoints are lines that the
// key of the service signs. Together they show whether a line was changed, removed, moved or cut off.

import { createHash, createPublicKey, constants, randomUUID, verify } from 'node:crypto';

/** The signature of a checkpoint. */
export interface Seal {
  /** The public key of the service, SPKI in base64url. */
  readonly key: string;
  /** RSASSA-PSS with SHA-256, in base64url. */
  readonly signature: string;
}

/** Signs a checkpoint with the key of the service. */
export interface Signer {
  readonly serviceId: string;
  sign(text: string): Promise<Seal>;
}

/** The occasion of a checkpoint: the first line of a file, a minute, the end of the process. */
export type Occasion = 'begin' | 'checkpoint' | 'end';

/** The type of a checkpoint, as an entry. */
const CHECKPOINT = 'checkpoint';
/** The name that precedes a signed text; it is that of the core. */
const DOMAIN = Buffer.from('secure-stack-mesh/audit/v1\0');

/** A line as a member of a chain. */
export interface Link {
  readonly number: number;
  /** The hash of the line before; '' for the first one of all. */
  readonly previous: string;
  readonly time: number;
  readonly checkpoint: Checkpoint | undefined;
}

/** A checkpoint as it was read. */
export interface Checkpoint {
  readonly occasion: Occasion;
  readonly service: string;
  /** The SHA-256 JWK thumbprint of the key (RFC 7638). */
  readonly thumbprint: string;
  /** Whether the signature is that of the key. */
  readonly valid: boolean;
}

/** The hash of a line without its end. */
export function hashOf(line: string | Uint8Array): string {
  return createHash('sha256').update(line).digest('base64url');
}

/** Writes the lines of a chain. */
export class Chain {
  #number = 0;
  #hash = '';

  /** Continues a chain after its last line; after a line that is no member, its number stays. */
  continueAfter(line: Uint8Array): void {
    this.#number = readLink(Buffer.from(line))?.number ?? this.#number;
    this.#hash = hashOf(line);
  }

  /** Adds number and hash to an entry, a JSON object on one line. */
  link(entry: string): string {
    const line = `${this.#head(entry)}}`;
    this.#advance(line);
    return line;
  }

  /** Makes the line of a checkpoint. */
  async checkpoint(occasion: Occasion, signer: Signer): Promise<string> {
    const entry = JSON.stringify({
      id: randomUUID(),
      timestamp: new Date(),
      eventType: CHECKPOINT,
      serviceId: signer.serviceId,
      details: { action: occasion, success: true },
    });
    const head = this.#head(entry);
    const { key, signature } = await signer.sign(head);
    const line = `${head},"key":"${key}","signature":"${signature}"}`;
    this.#advance(line);
    return line;
  }

  #head(entry: string): string {
    return `${entry.slice(0, -1)},"seq":${this.#number + 1},"prev":"${this.#hash}"`;
  }

  #advance(line: string): void {
    this.#number += 1;
    this.#hash = hashOf(line);
  }
}

const LINK =
  /^(\{.*),"seq":([1-9]\d{0,14}),"prev":"([\w-]{43}|)"(?:,"key":"([\w-]+)","signature":"([\w-]+)")?\}$/s;

/** Reads a line; `undefined` if it is no member of a chain. */
export function readLink(line: Buffer): Link | undefined {
  const text = line.toString('utf8');
  const match = LINK.exec(text);
  // Bytes that are no UTF-8 would be read as others.
  if (match === null || !Buffer.from(text).equals(line)) return undefined;
  const [, , number, previous = '', key, signature] = match;
  const entry = parse(text);
  if (entry === undefined) return undefined;
  const { timestamp, eventType, serviceId, details } = entry;
  const signed = key !== undefined && signature !== undefined;
  if ((eventType === CHECKPOINT && isOccasion(details?.action)) !== signed && signed)
    return undefined;
  const head = text.slice(0, text.lastIndexOf(',"key":"'));
  return {
    number: Number(number),
    previous,
    time: Date.parse(String(timestamp)),
    checkpoint: signed
      ? {
          occasion: details?.action as Occasion,
          service: String(serviceId),
          ...check(head, key, signature),
        }
      : undefined,
  };
}

interface Entry {
  timestamp?: unknown;
  eventType?: unknown;
  serviceId?: unknown;
  details?: { action?: unknown } | null;
}

function parse(text: string): Entry | undefined {
  try {
    return JSON.parse(text) as Entry;
  } catch {
    return undefined;
  }
}

function isOccasion(action: unknown): boolean {
  return action === 'begin' || action === 'checkpoint' || action === 'end';
}

/** Checks a signature. */
function check(
  head: string,
  key: string,
  signature: string,
): { thumbprint: string; valid: boolean } {
  try {
    const [der, bytes] = [key, signature].map((text) => Buffer.from(text, 'base64url'));
    // Other texts of the same bytes would be changes that nobody notices.
    const exact =
      [der, bytes].map((one) => one?.toString('base64url')).join() === `${key},${signature}`;
    const publicKey = createPublicKey({ key: der as Buffer, format: 'der', type: 'spki' });
    const { e, n, kty } = publicKey.export({ format: 'jwk' });
    const thumbprint = createHash('sha256')
      .update(JSON.stringify({ e, kty, n }))
      .digest('base64url');
    const valid =
      exact &&
      kty === 'RSA' &&
      verify(
        'sha256',
        Buffer.concat([DOMAIN, Buffer.from(head)]),
        { key: publicKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 },
        bytes as Buffer,
      );
    return { thumbprint, valid };
  } catch {
    return { thumbprint: '', valid: false };
  }
}
