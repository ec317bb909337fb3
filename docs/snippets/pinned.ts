import { generateKeyPairSync } from 'node:crypto';
import { SecureMesh } from '@lemur-bookstores/secure-stack-mesh';

const secret = 'a secret for this test and no other purpose';
const otherServicePublicKey = generateKeyPairSync('rsa', { modulusLength: 2048 })
  .publicKey.export({ type: 'spki', format: 'pem' })
  .toString();
