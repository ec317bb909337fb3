// The tokens of section 4.
import { randomUUID } from 'node:crypto';
import { hmac } from './kdf.js';

export type TokenType = 'ssm-handshake+jwt' | 'ssm-request+jwt';

/** The issuer, audience and session of a token. */
export interface TokenSubject {
  from: string;
  to: string;
  sessionId: Buffer;
  /** The thumbprint of the sender's key. */
  thumbprint: Buffer;
}

export function makeToken(
  type: TokenType,
  key: Buffer,
  subject: TokenSubject,
  lifetime = 3600,
): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: subject.from,
    sub: subject.from,
    aud: subject.to,
    sid: subject.sessionId.toString('hex'),
    cnf: { jkt: subject.thumbprint.toString('base64url') },
    iat: now,
    nbf: now,
    exp: now + lifetime,
    jti: randomUUID(),
  };
  const signed = `${encode({ alg: 'HS256', typ: type })}.${encode(claims)}`;
  return `${signed}.${hmac(key, Buffer.from(signed)).toString('base64url')}`;
}

/** Throws unless the token fulfils section 4. */
export function checkToken(
  token: string,
  type: TokenType,
  key: Buffer,
  subject: TokenSubject,
): void {
  const [header = '', claims = '', signature = ''] = token.split('.');
  const mac = hmac(key, Buffer.from(`${header}.${claims}`));
  if (!Buffer.from(signature, 'base64url').equals(mac)) throw new Error('token signature');
  const { alg, typ, ...more } = decode(header);
  if (alg !== 'HS256' || typ !== type || Object.keys(more).length > 0) {
    throw new Error(`token header ${header}`);
  }
  const found = decode(claims);
  const now = Date.now() / 1000;
  const right =
    found['iss'] === subject.from &&
    found['sub'] === subject.from &&
    found['aud'] === subject.to &&
    found['sid'] === subject.sessionId.toString('hex') &&
    found['cnf']?.jkt === subject.thumbprint.toString('base64url') &&
    found['iat'] <= now + 30 &&
    found['nbf'] <= now + 30 &&
    found['exp'] > now - 30 &&
    typeof found['jti'] === 'string';
  if (!right) throw new Error(`token claims ${JSON.stringify(found)}`);
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

const decode = (part: string): Record<string, any> =>
  JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, any>;
