import assert from 'node:assert/strict';
import { CryptoManager as Original } from '@lemur-bookstores/secure-stack-mesh';

// The block encrypts to a recipient and decrypts as one: here they are the
// same, so its key is known only once the block has made it.
let recipientPublicKey = '';
let senderPublicKey = '';
class CryptoManager extends Original {
  override async initialize(serviceId?: string): Promise<void> {
    await super.initialize(serviceId as string);
    recipientPublicKey = this.getPublicKey();
    senderPublicKey = this.getPublicKey();
  }
}
const data = 'data';
