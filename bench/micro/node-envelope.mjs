// A fast implementation of docs/envelope.md with node:crypto only: each key is parsed once, and its
// thumbprint computed once.
import * as crypto from 'node:crypto';

const DOMAIN = Buffer.from('secure-stack-mesh/envelope/v1');
const SEPARATOR = Buffer.from([0]);
const pss = { padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
const oaep = { oaepHash: 'sha256', oaepLabel: DOMAIN };
const names = new WeakMap();

const sha256 = (data) => crypto.createHash('sha256').update(data).digest();
const hmacOf = (key, data) => crypto.createHmac('sha256', key).update(data).digest();

function thumbprint(publicKey) {
  let name = names.get(publicKey);
  if (name === undefined) {
    const { e, n } = publicKey.export({ format: 'jwk' });
    names.set(publicKey, (name = sha256(JSON.stringify({ e, kty: 'RSA', n }))));
  }
  return name;
}

function derive(secret) {
  const expand = (info, length) =>
    Buffer.from(crypto.hkdfSync('sha256', secret, '', `${DOMAIN} ${info}`, length));
  return { aes: expand('aes', secret.length), mac: expand('hmac', 32) };
}

function covered(recipient, { encryptedKey, iv, authTag, encryptedData }) {
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(encryptedKey.length));
  const parts = [thumbprint(recipient), length, encryptedKey, iv, authTag, encryptedData];
  return Buffer.concat([DOMAIN, SEPARATOR, ...parts]);
}

const signed = (all, hmac) => Buffer.concat([DOMAIN, SEPARATOR, sha256(all), hmac]);

/** Encrypts to `recipient`, signs as `sender`; both are key objects. */
export function nodeSeal(data, recipient, sender, keyBytes) {
  const secret = crypto.randomBytes(keyBytes);
  const encryptedKey = crypto.publicEncrypt(
    { key: recipient, ...oaep },
    Buffer.concat([secret, thumbprint(sender.publicKey)]),
  );
  const { aes, mac } = derive(secret);
  const iv = crypto.randomBytes(12);
  const cipher = crypto.createCipheriv(`aes-${keyBytes * 8}-gcm`, aes, iv);
  cipher.setAAD(DOMAIN);
  const encryptedData = Buffer.concat([cipher.update(data), cipher.final()]);
  const parts = { encryptedKey, iv, authTag: cipher.getAuthTag(), encryptedData };
  const all = covered(recipient, parts);
  const hmac = hmacOf(mac, all);
  const signature = crypto.sign('sha256', signed(all, hmac), { key: sender.privateKey, ...pss });
  return {
    version: 1,
    encryptedData: encryptedData.toString('base64'),
    encryptedKey: encryptedKey.toString('base64'),
    iv: iv.toString('base64'),
    authTag: parts.authTag.toString('base64'),
    hmac: hmac.toString('hex'),
    signature: signature.toString('base64'),
  };
}

/** Verifies and decrypts an envelope of {@link nodeSeal} or `CryptoManager`. */
export function nodeOpen(envelope, recipient, sender) {
  const bytes = (text) => Buffer.from(text, 'base64');
  const parts = {
    encryptedKey: bytes(envelope.encryptedKey),
    iv: bytes(envelope.iv),
    authTag: bytes(envelope.authTag),
    encryptedData: bytes(envelope.encryptedData),
  };
  const all = covered(recipient.publicKey, parts);
  const hmac = Buffer.from(envelope.hmac, 'hex');
  const signature = bytes(envelope.signature);
  if (!crypto.verify('sha256', signed(all, hmac), { key: sender, ...pss }, signature)) {
    throw new Error('the signature does not match');
  }
  const wrapped = crypto.privateDecrypt({ key: recipient.privateKey, ...oaep }, parts.encryptedKey);
  const secret = wrapped.subarray(0, -32);
  if (!crypto.timingSafeEqual(wrapped.subarray(-32), thumbprint(sender))) {
    throw new Error('another sender');
  }
  const { aes, mac } = derive(secret);
  if (!crypto.timingSafeEqual(hmacOf(mac, all), hmac)) throw new Error('forged');
  const name = `aes-${secret.length * 8}-gcm`;
  const decipher = crypto.createDecipheriv(name, aes, parts.iv, { authTagLength: 16 });
  decipher.setAAD(DOMAIN);
  decipher.setAuthTag(parts.authTag);
  return Buffer.concat([decipher.update(parts.encryptedData), decipher.final()]);
}
