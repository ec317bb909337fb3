import assert from 'node:assert/strict';
import { CryptoManager as Original } from '@lemur-bookstores/secure-stack-mesh';

// The block encrypts for a recipient and decrypts as that recipient. Here both are
// one manager, so its key is known only after the block has generated it.
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
