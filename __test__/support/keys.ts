// The common code of the tests of keys and envelopes.
import * as nodeCrypto from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect } from 'vitest';
import { MeshError } from '../../js/base/errors.js';

/** A key pair of node:crypto, as PEM. */
export const rsa = (modulusLength: number, publicExponent = 65537) =>
  nodeCrypto.generateKeyPairSync('rsa', {
    modulusLength,
    publicExponent,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });

let scratch: string[] = [];
/** The path of a key directory that does not exist yet, and is removed after the test. */
export function keysDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'ssm-keys-'));
  scratch.push(dir);
  return join(dir, 'keys');
}
afterEach(() => {
  for (const dir of scratch) rmSync(dir, { recursive: true, force: true });
  scratch = [];
});

/** The error of `act`, thrown or rejected. */
export async function refused(act: () => unknown): Promise<MeshError> {
  try {
    await act();
  } catch (error) {
    expect(error).toBeInstanceOf(MeshError);
    return error as MeshError;
  }
  throw new Error('not refused');
}
