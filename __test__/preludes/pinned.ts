import { generateKeyPairSync } from 'node:crypto';
import { SecureMesh } from '@lemur-bookstores/secure-stack-mesh';

const secret = 'a secret for this test only, of more than 32 bytes';
const { publicKey: otherServicePublicKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});
