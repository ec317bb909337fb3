import assert from 'node:assert/strict';
import { CryptoManager as Original } from '@lemur-bookstores/secure-stack-mesh';

// The block encrypts to a recipient and decrypts as one: they are the same
// here, so its key is known only once the block has made it.
let own: Original;
class CryptoManager extends Original {
  constructor(...args: ConstructorParameters<typeof Original>) {
    super(...args);
    own = this;
  }
}
const data = 'data';
declare global {
  var recipientPublicKey: string;
  var senderPublicKey: string;
}
for (const name of ['recipientPublicKey', 'senderPublicKey']) {
  Object.defineProperty(globalThis, name, { get: () => own.getPublicKey() });
}
