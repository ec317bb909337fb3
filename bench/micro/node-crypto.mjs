// The time of node:crypto for the work of crates/mesh-core/benches/parts.rs, under the same names:
// microseconds, as a median of several runs.
import * as crypto from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { median } from '../lib/stats.mjs';
import { nodeOpen, nodeSeal } from './node-envelope.mjs';

/** Returns a list of `{ name, us }`; each measurement takes about `seconds`. */
export function nodeCrypto(seconds) {
  const results = [];
  const add = (name, work) => results.push({ name, us: time(work, seconds) });

  for (const size of [100, 1024, 65_536]) {
    const text = Buffer.alloc(size, 7);
    const [seal, open] = recordLayer();
    add(`record/seal/${size}`, () => seal(text));
    add(`record/seal+open/${size}`, () => open(seal(text)));
  }

  const [issue, check] = tokens();
  const token = issue();
  add('token/issue', issue);
  add('token/fresh', () => check(token));

  for (const bits of [2048, 4096]) {
    const [sender, recipient] = [keyPair(bits), keyPair(bits)];
    add(`handshake/x25519/${bits}`, () => exchange(sender, recipient));
    const text = Buffer.alloc(1024, 7);
    const sealed = nodeSeal(text, recipient.publicKey, sender, 32);
    add(`envelope/seal/${bits}`, () => nodeSeal(text, recipient.publicKey, sender, 32));
    add(`envelope/open/${bits}`, () => nodeOpen(sealed, recipient, sender.publicKey));
  }
  return results;
}

/** Microseconds of a piece of work: the median of nine runs. */
export function time(work, seconds) {
  let [count, took] = [1, 0];
  for (; took < seconds * 50; count *= 2) took = run(work, count);
  return median(Array.from({ length: 9 }, () => (run(work, count) * 1000) / count));
}

function run(work, count) {
  const began = performance.now();
  for (let done = 0; done < count; done += 1) work();
  return performance.now() - began;
}

function keyPair(bits) {
  const { publicKey, privateKey } = crypto.generateKeyPairSync('rsa', { modulusLength: bits });
  return { publicKey, privateKey };
}

/** AES-256-GCM with a counted nonce, then HMAC-SHA256 over header and ciphertext. */
function recordLayer() {
  const [key, mac] = [Buffer.alloc(32, 7), Buffer.alloc(32, 8)];
  let sequence = 0;
  const seal = (text) => {
    const header = Buffer.alloc(20);
    header.writeUInt32BE((sequence += 1), 12);
    const cipher = crypto.createCipheriv('aes-256-gcm', key, header.subarray(4, 16));
    cipher.setAAD(header);
    const ciphertext = cipher.update(text);
    cipher.final();
    const body = Buffer.concat([header, ciphertext, cipher.getAuthTag()]);
    return [body, crypto.createHmac('sha256', mac).update(body).digest()];
  };
  const open = ([body, tag]) => {
    const expected = crypto.createHmac('sha256', mac).update(body).digest();
    if (!crypto.timingSafeEqual(expected, tag)) throw new Error('forged');
    const header = body.subarray(0, 20);
    const decipher = crypto.createDecipheriv('aes-256-gcm', key, header.subarray(4, 16));
    decipher.setAAD(header);
    decipher.setAuthTag(body.subarray(-16));
    const text = decipher.update(body.subarray(20, -16));
    decipher.final();
    return text;
  };
  return [seal, open];
}

/** An HS256 token with the claims of a request's token, issued and verified without a library. */
function tokens() {
  const key = Buffer.alloc(32, 7);
  const head = Buffer.from('{"alg":"HS256","typ":"ssm-request+jwt"}').toString('base64url');
  const sign = (text) => crypto.createHmac('sha256', key).update(text).digest();
  const issue = () => {
    const now = 1_700_000_000;
    const claims = {
      iss: 'client',
      sub: 'client',
      aud: 'server',
      sid: '00112233445566778899aabbccddeeff',
      iat: now,
      nbf: now,
      exp: now + 3600,
      jti: crypto.randomBytes(16).toString('hex'),
      cnf: { jkt: 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs' },
    };
    const text = `${head}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
    return `${text}.${sign(text).toString('base64url')}`;
  };
  const check = (token) => {
    const end = token.lastIndexOf('.');
    const text = token.slice(0, end);
    const signature = Buffer.from(token.slice(end + 1), 'base64url');
    if (!crypto.timingSafeEqual(sign(text), signature)) throw new Error('forged');
    const [header, claims] = text.split('.').map((part) => Buffer.from(part, 'base64url'));
    const parsed = JSON.parse(claims);
    if (JSON.parse(header).alg !== 'HS256' || parsed.aud !== 'server' || parsed.exp < parsed.iat) {
      throw new Error('not for here');
    }
    return parsed;
  };
  return [issue, check];
}

/** The public-key part of a handshake without ML-KEM, which Node 20 lacks; both sides. */
function exchange(client, server) {
  const pairs = [crypto.generateKeyPairSync('x25519'), crypto.generateKeyPairSync('x25519')];
  crypto.diffieHellman({ publicKey: pairs[0].publicKey, privateKey: pairs[1].privateKey });
  crypto.diffieHellman({ publicKey: pairs[1].publicKey, privateKey: pairs[0].privateKey });
  for (const { publicKey, privateKey } of [client, server]) {
    const wrapped = crypto.publicEncrypt({ key: publicKey, oaepHash: 'sha256' }, Buffer.alloc(32));
    crypto.privateDecrypt({ key: privateKey, oaepHash: 'sha256' }, wrapped);
  }
}
