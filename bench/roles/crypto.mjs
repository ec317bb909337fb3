// The classes of this package, and node:crypto, in one quiet process.
import { CryptoManager, JWTManager } from '../lib/mesh.mjs';
import { nodeCrypto, time } from '../micro/node-crypto.mjs';

export { nodeCrypto };

/** Returns a list of `{ name, us }` of the exported classes, called from JavaScript. */
export async function classes(seconds) {
  const results = [];
  const add = (name, work) => results.push({ name, us: time(work, seconds) });
  for (const rsaKeySize of [2048, 4096]) {
    const [sender, recipient] = [
      new CryptoManager({ rsaKeySize }),
      new CryptoManager({ rsaKeySize }),
    ];
    await Promise.all([sender.initialize(), recipient.initialize()]);
    const text = Buffer.alloc(1024, 7);
    const [from, to] = [sender.getPublicKey(), recipient.getPublicKey()];
    const sealed = sender.encrypt(text, to);
    add(`envelope/seal/${rsaKeySize}`, () => sender.encrypt(text, to));
    add(`envelope/open/${rsaKeySize}`, () => recipient.decrypt(sealed, from));
  }
  const tokens = new JWTManager({ secret: 'x'.repeat(32) });
  const token = tokens.generateToken('client', 'session');
  add('token/issue', () => tokens.generateToken('client', 'session'));
  add('token/fresh', () => tokens.verifyToken(token));
  return results;
}
