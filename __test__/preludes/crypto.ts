// The block encrypts to, and checks the sender of, one and the same manager. Its
// key exists only once the block has made it, so both names are looked up late.
import { CryptoManager as Manager } from '@lemur-bookstores/secure-stack-mesh';

let made: Manager | undefined;
class CryptoManager extends Manager {
  constructor(...args: ConstructorParameters<typeof Manager>) {
    super(...args);
    made = this;
  }
}

declare global {
  var recipientPublicKey: string;
  var senderPublicKey: string;
}
for (const name of ['recipientPublicKey', 'senderPublicKey']) {
  Object.defineProperty(globalThis, name, { get: () => made?.getPublicKey(), configurable: true });
}

const data = 'payload';
