// JavaScript's numbers that the addon takes as 32 bits, and memory that other threads share: neither may
// change at the boundary.

import { Worker } from 'node:worker_threads';
import { describe, expect, it, onTestFinished } from 'vitest';
import { native } from '../../js/base/native.js';
import { bytesOf, isBytes } from '../../js/base/bytes.js';
import { CryptoManager, JWTManager } from '../../js/index.js';
import { errorOf } from '../support/promises.js';

const WRAP = 2 ** 32;

async function crypto(): Promise<CryptoManager> {
  const manager = new CryptoManager({ rsaKeySize: 2048 });
  await manager.initialize();
  return manager;
}

function failure(act: () => unknown): any {
  try {
    act();
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}

describe('numbers beyond 32 bits', () => {
  it.each([WRAP + 1, 1.5, -WRAP + 1, Number.NaN, Number.POSITIVE_INFINITY])(
    'an envelope of version %s is not one of version 1',
    async (version) => {
      const manager = await crypto();
      const envelope = manager.encrypt('text', manager.getPublicKey());
      const other = { ...envelope, version };
      const expected = { code: 'INVALID_ARGUMENT', reason: 'ENVELOPE_FORMAT' };
      expect(failure(() => manager.decrypt(other, manager.getPublicKey()))).toMatchObject(expected);
      const later = errorOf(manager.decryptAsync(other, manager.getPublicKey()));
      expect(await later).toMatchObject(expected);
      expect(manager.decrypt(envelope, manager.getPublicKey()).toString()).toBe('text');
    },
  );

  // The addon itself, in case a caller omits its own check.
  const addon = native();
  const quota = new addon.NativeQuota(1, 1000, 0, 10);
  const policy = new addon.NativeRetryPolicy(3, 1, 1, 1, false, null, 10);
  it.each<[string, (value: number) => unknown]>([
    ['rsaKeySize', (value) => new addon.NativeCrypto(2048 + value, 256)],
    ['aesKeySize', (value) => new addon.NativeCrypto(2048, 256 + value)],
    ['keySize', (value) => new addon.NativeKeys(null, '{}', 2048 + value)],
    ['failureThreshold', (value) => new addon.NativeCircuitBreaker(1 + value, 0, 1000, 1000, 1)],
    ['successThreshold', (value) => new addon.NativeCircuitBreaker(1, 0, 1000, 1000, 1 + value)],
    ['maxAttempts', (value) => new addon.NativeRetryPolicy(3 + value, 1, 1, 1, false, null, 10)],
    ['budget.reserve', (value) => new addon.NativeRetryPolicy(3, 1, 1, 1, false, 1, 1 + value)],
    ['attempt', (value) => policy.delay(1 + value, null, 0)],
    ['maxRequests', (value) => new addon.NativeQuota(1 + value, 1000, 0, 10)],
    ['maxKeys', (value) => new addon.NativeQuota(1, 1000, 0, 10 + value)],
  ])('%s is no other number', (name, make) => {
    expect(quota.size()).toBe(0);
    make(0);
    for (const value of [WRAP, -WRAP, 0.5]) {
      const error = failure(() => make(value));
      expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
      expect(error.message).toContain(name);
    }
  });
});

describe('memory that is shared', () => {
  const shared = (text: string): Uint8Array<SharedArrayBuffer> => {
    const bytes = new Uint8Array(new SharedArrayBuffer(text.length));
    bytes.set(Buffer.from(text));
    return bytes;
  };

  it('is copied, and other memory is not', () => {
    const view = shared('abc');
    const copy = bytesOf(view);
    view[0] = 0x7a;
    expect(copy.toString()).toBe('abc');
    expect(bytesOf(view.buffer).toString()).toBe('zbc');
    const own = Uint8Array.from([1, 2, 3, 4]);
    expect(bytesOf(own.subarray(1, 3)).buffer).toBe(own.buffer);
    expect([...bytesOf(new DataView(own.buffer, 1, 2))]).toEqual([2, 3]);
    expect([view.buffer, own.buffer, new DataView(own.buffer)].every(isBytes)).toBe(true);
    expect([[1], 'a', {}, null, undefined].some(isBytes)).toBe(false);
  });

  it('is bytes for every operation, also where the buffer itself is given', async () => {
    const manager = await crypto();
    const key = manager.getPublicKey();
    const { buffer } = shared('shared text');
    const opened = manager.decrypt(manager.encrypt(buffer, key), key);
    expect(opened.toString()).toBe('shared text');
    expect(manager.verify('shared text', manager.sign(buffer), key)).toBe(true);
    const secret = 'a secret of more than 32 bytes, shared';
    const [one, other] = [new JWTManager({ secret: shared(secret) }), new JWTManager({ secret })];
    expect(other.verifyToken(one.generateToken('orders', 's-1')).serviceId).toBe('orders');
  });

  it('is one text for the whole of an operation, whatever a worker writes meanwhile', async () => {
    const bytes = new Uint8Array(new SharedArrayBuffer(1 << 16));
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker(
      `const { bytes, stop } = require('node:worker_threads').workerData;
       for (let n = 0; Atomics.load(stop, 0) === 0; n++) bytes.fill(n);`,
      { eval: true, workerData: { bytes, stop } },
    );
    onTestFinished(async () => {
      Atomics.store(stop, 0, 1);
      await worker.terminate();
    });
    await new Promise((resolve) => worker.once('online', resolve));
    const manager = await crypto();
    const key = manager.getPublicKey();
    for (let n = 0; n < 50; n += 1) {
      // An envelope whose MAC, signature and ciphertext cover different bytes does not open.
      const envelope = manager.encrypt(bytes, key);
      expect(manager.decrypt(envelope, key)).toHaveLength(bytes.length);
    }
  });
});
