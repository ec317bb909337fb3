// CryptoManager: its keys, their generation and their operations.
import * as nodeCrypto from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CryptoManager } from '../../js/crypto/crypto-manager.js';
import { KeyManager } from '../../js/crypto/key-manager.js';
import { root } from '../../scripts/lib.mjs';
import { keysDir, refused, rsa } from '../support/keys.js';
import { pss, thumbprint } from '../support/node-envelope.js';
import { compared } from '../support/compared.js';

const alice = new CryptoManager({ rsaKeySize: 2048 });
const bob = new CryptoManager({ rsaKeySize: 2048 });
const eve = new CryptoManager({ rsaKeySize: 2048 });

beforeAll(() => Promise.all([alice, bob, eve].map((manager) => manager.initialize())));

describe('keys', () => {
  test('unacceptable public keys are refused by name', async () => {
    const ec = nodeCrypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
    const bad = [
      '',
      '<RSA-PUBLIC-KEY>',
      rsa(1024).publicKey,
      rsa(2048, 3).publicKey,
      alice.exportKeyPair().privateKey,
      ec.export({ type: 'spki', format: 'pem' }) as string,
    ];
    for (const key of bad) {
      const error = await refused(() => alice.encrypt('x', key));
      expect([error.code, error.reason]).toEqual(['INVALID_ARGUMENT', 'BAD_KEY']);
      expect(error.message).toMatch(/^recipientPublicKey: /);
      expect((await refused(() => alice.verify('x', 'x', key))).message).toMatch(/^publicKey: /);
    }
  });

  test('export and import', async () => {
    const pair = alice.exportKeyPair();
    const copy = new CryptoManager();
    copy.importKeyPair(pair);
    expect(copy.getPublicKey()).toBe(alice.getPublicKey());
    expect(copy.getThumbprint()).toBe(thumbprint(pair.publicKey).toString('base64url'));
    const pkcs1 = nodeCrypto
      .createPrivateKey(pair.privateKey)
      .export({ type: 'pkcs1', format: 'pem' }) as string;
    new CryptoManager().importKeyPair({ privateKey: pkcs1 });

    const mixed = await refused(() =>
      copy.importKeyPair({ publicKey: bob.getPublicKey(), privateKey: pair.privateKey }),
    );
    expect(mixed.message).toContain('does not belong to');
    for (const privateKey of ['', 'x', rsa(1024).privateKey, pair.publicKey]) {
      expect((await refused(() => copy.importKeyPair({ privateKey }))).reason).toBe('BAD_KEY');
    }
    expect((await refused(() => copy.importKeyPair({} as never))).reason).toBe('ARGUMENT');
  });

  test('the former key still opens after a rotation, and the one before does not', async () => {
    const manager = new CryptoManager({ rsaKeySize: 2048 });
    await manager.initialize();
    const first = manager.getPublicKey();
    const envelope = alice.encrypt('old', first);
    const wrapped = alice.encryptWithPublicKey(Buffer.from('old'), first);
    const second = await manager.rotate();
    expect(second).not.toBe(first);
    expect(manager.getPublicKey()).toBe(second);
    expect(manager.decrypt(envelope, alice.getPublicKey()).toString()).toBe('old');
    expect(manager.decryptWithPrivateKey(wrapped).toString()).toBe('old');
    await manager.rotate();
    expect((await refused(() => manager.decrypt(envelope))).reason).toBe('DECRYPT_FAILED');
  });
});

describe('initialization', () => {
  test('without it, nothing works and the message says so', async () => {
    const manager = new CryptoManager();
    for (const act of [
      () => manager.getPublicKey(),
      () => manager.sign('x'),
      () => manager.encrypt('x', alice.getPublicKey()),
      () => manager.encryptAsync('x', alice.getPublicKey()),
      () => manager.rotate(),
      () => manager.exportKeyPair(),
    ]) {
      const error = await refused(act);
      expect([error.code, error.reason]).toEqual(['FAILED_PRECONDITION', 'NOT_INITIALIZED']);
      expect(error.message).toContain('await crypto.initialize()');
    }
  });

  test('a synchronous method waits for a key that is being made', async () => {
    const manager = new CryptoManager({ rsaKeySize: 2048 });
    const done = manager.initialize();
    const key = manager.getPublicKey();
    expect(manager.initialize()).toBe(done);
    await done;
    expect(manager.getPublicKey()).toBe(key);
  });

  test('making a key leaves the event loop alone', compared, async () => {
    const manager = new CryptoManager({ rsaKeySize: 4096 });
    const start = performance.now();
    let [last, longest] = [start, 0];
    const timer = setInterval(() => {
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
    }, 1);
    await manager.initialize();
    clearInterval(timer);
    // A generation on the event loop would block it for all of the time.
    expect(longest).toBeLessThan((performance.now() - start) / 2);
  });

  test('a stored key is found again', async () => {
    const dir = keysDir();
    const make = async (options = {}) => {
      const manager = new CryptoManager({ keysDir: dir, ...options });
      await manager.initialize('orders');
      return manager;
    };
    const first = await make({ rsaKeySize: 2048 });
    expect((await make()).getPublicKey()).toBe(first.getPublicKey());
    expect(new KeyManager(dir).getOrCreateKeyPair('orders').publicKey).toBe(first.getPublicKey());
    const size = await refused(() => make({ rsaKeySize: 4096 }));
    expect(size.reason).toBe('KEYDIR_KEY_SIZE');
    expect(size.message).toContain(dir);

    const envelope = alice.encrypt('old', first.getPublicKey());
    const rotated = await first.rotate();
    const again = await make();
    expect(again.getPublicKey()).toBe(rotated);
    expect(again.decrypt(envelope, alice.getPublicKey()).toString()).toBe('old');
  });

  test('a key manager provides the key, ours or one of the same shape', async () => {
    const keyManager = new KeyManager(keysDir(), 2048);
    const manager = new CryptoManager({ keyManager });
    void manager.initialize('orders');
    expect(manager.getPublicKey()).toBe(keyManager.loadKeyPair('orders')?.publicKey);

    const foreign = new CryptoManager({
      keyManager: { getOrCreateKeyPair: () => alice.exportKeyPair() },
    });
    await foreign.initialize('orders');
    expect(foreign.getPublicKey()).toBe(alice.getPublicKey());
  });

  test('a failure is told to whoever waits, and may be mended', async () => {
    const dir = keysDir();
    mkdirSync(dir, { mode: 0o755 });
    chmodSync(dir, 0o755);
    const manager = new CryptoManager({ keysDir: dir, rsaKeySize: 2048 });
    // Not awaited, as in code for 0.2.0.
    void manager.initialize('orders');
    const sync = await refused(() => manager.getPublicKey());
    expect(sync.reason).toBe('KEYDIR_MODE');
    expect(sync.message).toContain(`chmod 700 ${dir}`);
    expect((await refused(() => manager.initialize('orders'))).reason).toBe('KEYDIR_MODE');
    expect(readdirSync(dir)).toEqual([]);
    chmodSync(dir, 0o700);
    await manager.initialize('orders');
    expect(manager.getPublicKey()).toContain('BEGIN PUBLIC KEY');
  });

  test('misuse is refused', async () => {
    const message = async (act: () => unknown) => (await refused(act)).message;
    const make = (options: object) => () => new CryptoManager(options);
    expect(await message(make({ rsaKeySiz: 2048 }))).toContain('did you mean rsaKeySize');
    expect(await message(make({ rsaKeySize: 1024 }))).toContain('2048, 3072 or 4096, got 1024');
    expect(await message(make({ aesKeySize: 512 }))).toContain('128, 192 or 256, got 512');
    expect(await message(make({ aesKeySize: '256' }))).toContain('options.aesKeySize');
    expect(await message(make({ keysDir: '' }))).toContain('options.keysDir');
    expect(await message(make({ keyManager: {} }))).toContain('options.keyManager');
    expect(await message(() => new CryptoManager(null as never))).toContain('options');
    const stored = new CryptoManager({ keysDir: keysDir() });
    expect(await message(() => stored.initialize())).toContain('service id');
    expect(await message(() => stored.initialize(7 as never))).toContain('serviceId');
    expect((await refused(() => stored.initialize('../../tmp/x'))).reason).toBe('ID_SYNTAX');
    expect(await message(() => alice.initialize('other'))).toContain('another service id');
  });
});

describe('primitives', () => {
  test('signatures are PSS with a domain, and never a token', async () => {
    const signature = alice.sign('data');
    expect(bob.verify('data', signature, alice.getPublicKey())).toBe(true);
    expect(bob.verify(Buffer.from('data'), signature, alice.getPublicKey())).toBe(true);
    expect(bob.verify('other', signature, alice.getPublicKey())).toBe(false);
    expect(bob.verify('data', signature, eve.getPublicKey())).toBe(false);
    expect(bob.verify('data', signature.slice(4), alice.getPublicKey())).toBe(false);
    expect(bob.verify('data', '', alice.getPublicKey())).toBe(false);
    expect(await bob.verifyAsync('data', await alice.signAsync('data'), alice.getPublicKey())).toBe(
      true,
    );
    const key = { key: alice.getPublicKey(), ...pss };
    const bytes = Buffer.from(signature, 'base64');
    const domain = Buffer.from('secure-stack-mesh/data/v1\0data');
    expect(nodeCrypto.verify('sha256', domain, key, bytes)).toBe(true);
    expect(nodeCrypto.verify('sha256', Buffer.from('data'), key, bytes)).toBe(false);
    expect(nodeCrypto.verify('sha256', Buffer.from('data'), alice.getPublicKey(), bytes)).toBe(
      false,
    );
  });

  test('hmac is that of node:crypto', async () => {
    const key = nodeCrypto.randomBytes(32);
    const mac = alice.hmac('data', key);
    expect(mac).toBe(nodeCrypto.createHmac('sha256', key).update('data').digest('hex'));
    expect(alice.verifyHmac('data', mac, key)).toBe(true);
    expect(alice.verifyHmac('data', mac.toUpperCase(), key)).toBe(true);
    expect(alice.verifyHmac('date', mac, key)).toBe(false);
    for (const part of ['', mac.slice(0, 8), mac.slice(1), `${mac}00`, 'z'.repeat(64)]) {
      expect(alice.verifyHmac('data', part, key)).toBe(false);
    }
    for (const weak of ['', 'fifteen bytes!!', new Uint8Array(15)]) {
      expect((await refused(() => alice.hmac('data', weak))).reason).toBe('WEAK_SECRET');
    }
    expect((await refused(() => alice.hmac('data', 7 as never))).message).toContain('key');
  });

  test('RSA-OAEP is that of node:crypto, and of 0.2.0', async () => {
    const key = { oaepHash: 'sha256', key: bob.getPublicKey() };
    const made = nodeCrypto.publicEncrypt(key, Buffer.from('key')).toString('base64');
    expect(bob.decryptWithPrivateKey(made).toString()).toBe('key');
    const wrapped = await alice.encryptWithPublicKeyAsync(Buffer.from('key'), bob.getPublicKey());
    expect((await bob.decryptWithPrivateKeyAsync(wrapped)).toString()).toBe('key');
    const opened = nodeCrypto.privateDecrypt(
      { oaepHash: 'sha256', key: bob.exportKeyPair().privateKey },
      Buffer.from(wrapped, 'base64'),
    );
    expect(opened.toString()).toBe('key');
    for (const wrong of ['', 'AAAA', made.replace(/^./, (c) => (c === 'A' ? 'B' : 'A'))]) {
      expect((await refused(() => bob.decryptWithPrivateKey(wrong))).reason).toBe('DECRYPT_FAILED');
    }
    const long = await refused(() =>
      alice.encryptWithPublicKey(Buffer.alloc(191), bob.getPublicKey()),
    );
    expect([long.code, long.reason]).toEqual(['INVALID_ARGUMENT', 'TOO_LARGE']);
  });

  test('session keys have the configured size', () => {
    for (const aesKeySize of [128, 192, 256] as const) {
      const manager = new CryptoManager({ aesKeySize });
      expect(manager.generateSessionKey().length * 8).toBe(aesKeySize);
      expect(manager.generateSessionKey()).not.toEqual(manager.generateSessionKey());
    }
  });
});

describe('worker threads', () => {
  const workers: Worker[] = [];
  afterAll(() => Promise.all(workers.map((worker) => worker.terminate())));

  test('a worker that ends while a key is being made does no harm', async () => {
    const addon = readdirSync(root).find((file) => file.endsWith('.node'));
    const path = JSON.stringify(join(root, addon as string));
    const source = `
      const { NativeCrypto } = require(${path});
      const crypto = new NativeCrypto(4096, 256);
      crypto.begin(null, null, '{}');
      crypto.ready().catch(() => {});
      require('node:worker_threads').parentPort.postMessage('begun');
    `;
    const worker = new Worker(source, { eval: true });
    workers.push(worker);
    await new Promise((resolve) => worker.once('message', resolve));
    await worker.terminate();
    expect(alice.sign('still here')).toBeTypeOf('string');
  });
});
